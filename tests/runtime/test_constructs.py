"""Ordinary Python in tasks: every construct with an await in it survives a replay at each of its operations."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import step, task
from agentflow.errors import SourceUnavailable
from tests.support.tasks import Ledger, keys

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness

ledger = Ledger()


@pytest.fixture(autouse=True)
def _empty_ledger() -> None:
    ledger.clear()


async def double(x: int, *more: int, times: int = 2, **named: int) -> int:
    ledger.add(f"double {x}")
    return x * times + sum(more) + sum(named.values())


async def boom(text: str = "boom") -> None:
    ledger.add("boom")
    raise ValueError(text)


@step
async def noted(what: str) -> str:
    ledger.add(what)
    return what


class Counter:
    def __init__(self, start: int) -> None:
        self.start = start

    async def add(self, n: int) -> int:
        ledger.add(f"add {n}")
        return self.start + n

    def again(self) -> Counter:
        return Counter(self.start)

    @task
    async def total(self, upto: int) -> int:
        return sum([await self.add(n) for n in range(upto)])


EXTRA = {"more": 4}
db = SimpleNamespace(invoices=Counter(100))


@task
async def calls(n: int) -> list[int]:
    counter = Counter(10)
    return [
        await counter.add(n),
        await counter.again().add(n + 1),
        await db.invoices.add(n + 2),
        await double(n, 1, *[2, 3], times=3, **EXTRA),
    ]


@task
async def nested_functions(n: int) -> list[int]:
    base = n * 10

    async def helper(x: int) -> int:
        first = await double(x)
        return first + base + await double(first)

    async def outer(x: int) -> int:
        return await helper(x) + await helper(x + 1)

    return [await outer(n), await helper(5)]


@task
async def comprehensions(n: int) -> list[Any]:
    listed = [await double(x) for x in range(n) if await double(x + 10) > 20]
    by_name = {str(x): await double(x) for x in range(n)}
    unique = {await double(x % 2) for x in range(n)}
    return [listed, by_name, sorted(unique)]


@task
async def defaults(n: int, /, twice: int = 2, *, plus: int = 3) -> int:
    return await double(n, times=twice) + plus


@task
async def inside_arguments(n: int) -> int:
    return await double(await double(n, await double(1)), times=await double(await double(1)))


@task
async def conditional(n: int) -> list[int]:
    found = [await double(n) if n % 2 else await double(n + 1)]
    found.append(n % 2 and await double(n + 2))
    found.append((await double(n + 3)) or (await double(n + 4)))
    return found


@task
async def early_return(n: int) -> str:
    for x in range(10):
        if await double(x) == n:
            return await noted(f"found {x}")
    return "none"


@task
async def loops(n: int) -> list[int]:
    found = []
    x = 0
    while (x := await double(x + 1)) < n:
        if x == 6:
            continue
        if x > 1_000:
            break
        found.append(x)
    else:
        found.append(-1)
    for each in range(3):
        if each == 2:
            break
        found.append(await double(each))
    return found


@task
async def matching(n: int) -> str:
    match await double(n):
        case 2:
            return await noted("two")
        case x if x > await double(2):
            return await noted(f"large {x}")
        case _:
            return "other"


@task
async def unpacking(n: int) -> list[Any]:
    first, *rest = [await double(x) for x in range(n)]
    found = {"sum": first}
    found["sum"] += await double(3)
    text = f"{await double(4)} and {await noted('five')!r}"
    assert await double(1) == 2, "assertions may await too"
    return [rest, found, text, max(map(len, [text]), default=await double(5))]


CONSTRUCTS = [
    (calls, (1,), [11, 12, 103, 13]),
    (nested_functions, (1,), [2 + 10 + 4 + 4 + 10 + 8, 10 + 10 + 20]),
    (comprehensions, (3,), [[2, 4], {"0": 0, "1": 2, "2": 4}, [0, 2]]),
    (defaults, (4,), 11),
    (inside_arguments, (3,), (3 * 2 + 2) * 4),
    (conditional, (1,), [2, 6, 8]),
    (conditional, (2,), [6, 0, 10]),
    (early_return, (6,), "found 3"),
    (loops, (40,), [2, 14, 30, -1, 0, 2]),
    (matching, (1,), "two"),
    (matching, (9,), "large 18"),
    (unpacking, (3,), [[2, 4], {"sum": 6}, "8 and 'five'", 12]),
]


@pytest.mark.parametrize(
    ("task_", "args", "wanted"), CONSTRUCTS, ids=[f"{one.id}-{args}" for one, args, _ in CONSTRUCTS]
)
async def test_a_construct_gives_the_same_in_a_run_as_outside(
    harness: OpenHarness, task_: Any, args: tuple[Any, ...], wanted: Any
) -> None:
    outside = await task_(*args)
    effects = dict(ledger)
    ledger.clear()
    async with harness(task_) as h:
        assert await h.run(task_, *args) == wanted == outside
    assert ledger == effects, "each effect happened as often as without a journal"


async def test_a_task_that_is_a_method_runs_with_its_object(harness: OpenHarness) -> None:
    total = Counter(5).total
    async with harness(total) as h:
        assert await h.run(total, 3) == 5 + 6 + 7
    assert ledger == {"add 0": 1, "add 1": 1, "add 2": 1}


async def test_keys_are_the_names_in_the_source_counted_in_their_scope(harness: OpenHarness) -> None:
    async with harness(calls, nested_functions) as h:
        run = await h.trigger(calls, 1)
        await h.result(run)
        assert await keys(h, run) == ["counter.add#1", "counter.again().add#1", "db.invoices.add#1", "double#1"]
        run = await h.trigger(nested_functions, 1)
        await h.result(run)
        assert await keys(h, run) == [
            "outer#1/helper#1/double#1",
            "outer#1/helper#1/double#2",
            "outer#1/helper#1",
            "outer#1/helper#2/double#1",
            "outer#1/helper#2/double#2",
            "outer#1/helper#2",
            "outer#1",
            "helper#1/double#1",
            "helper#1/double#2",
            "helper#1",
        ]


async def test_a_function_inside_a_task_sees_and_rebinds_the_variables_around_it(harness: OpenHarness) -> None:
    start = 3

    @task
    async def counting(n: int) -> int:
        count = start

        async def up() -> None:
            nonlocal count
            count += await double(1)

        for _ in range(n):
            await double(0)
            count += 1
        inner = up()
        await inner
        return count

    async with harness(counting) as h:
        assert await h.run(counting, 2) in {5, 7}  # what a recorded helper did to `count` is not done again


async def test_with_explicit_checkpoints_only_steps_and_waits_are_recorded(harness: OpenHarness) -> None:
    @task(checkpoint="explicit")
    async def explicit(n: int) -> int:
        found = await double(n)
        await noted("step")
        return found + await double(n)

    async with harness(explicit) as h:
        run = await h.trigger(explicit, 4)
        assert await h.result(run) == 16
        assert await keys(h, run) == ["noted#1"]


def test_a_task_without_source_says_what_to_do() -> None:
    names: dict[str, Any] = {}
    exec("async def typed():\n    await x\n", names)
    with pytest.raises(SourceUnavailable, match=r"typed.*put it in a file, or use @task\(checkpoint=\"explicit\"\)"):
        task(names["typed"])
    assert task(names["typed"], checkpoint="explicit").id == "typed"


class Plus:
    async def __call__(self, x: int) -> int:
        return await double(x) + 1

    @classmethod
    async def two(cls, x: int) -> int:
        return await double(x) + 2

    @staticmethod
    async def three(x: int) -> int:
        return await double(x) + 3


async def test_anything_that_can_be_called_can_be_awaited(harness: OpenHarness) -> None:
    @task
    async def calling(n: int) -> list[int]:
        plus = Plus()
        partly = functools.partial(double, n)
        return [await partly(), await plus(n), await plus.two(n), await Plus.three(n)]

    async with harness(calling) as h:
        run = await h.trigger(calling, 1)
        assert await h.result(run) == [2, 3, 4, 5]
        assert await keys(h, run) == ["partly#1", "plus#1", "plus.two#1", "Plus.three#1"]


async def test_steps_in_async_generators_and_context_managers_are_operations_of_the_task(harness: OpenHarness) -> None:
    class Bracket:
        async def __aenter__(self) -> None:
            await noted("open")

        async def __aexit__(self, *exc: object) -> None:
            await noted("close")

    async def counted(n: int) -> AsyncIterator[str]:
        for each in range(n):
            yield await noted(f"item {each}")

    @task
    async def iterating() -> list[str]:
        async with Bracket():
            found = [await noted(f"saw {item}") async for item in counted(2)]
            async for item in counted(1):
                found.append(item)  # noqa: PERF401  the loop is what is tested
        return found

    async with harness(iterating) as h:
        assert await h.run(iterating) == ["saw item 0", "saw item 1", "item 0"]
    assert ledger == {"open": 1, "item 0": 2, "saw item 0": 1, "item 1": 1, "saw item 1": 1, "close": 1}
