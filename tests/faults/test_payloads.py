"""Values at and beyond the limit, values that are no data, and values that databases disagree about."""

from __future__ import annotations

import math
import re
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from agentflow import step, task, wait_for_approval
from agentflow.errors import InvalidDecision, PayloadTooLarge
from agentflow.failures import Failure
from agentflow.payloads import LIMIT
from agentflow.states import EntryKind, RunStatus
from agentflow.testing import Harness
from tests.runtime.conftest import OpenHarness
from tests.support.tasks import Ledger

FRAME = 2
"""The quotes around a text."""
HUGE = 100_000_000


@step
async def fetch(size: int) -> str:
    return "x" * size


@step
async def fetch_parts(size: int) -> list[str]:
    return ["x" * 1_000] * (size // 1_000)


@step
async def fetch_bytes(size: int) -> bytes:
    return b"x" * size


@task
async def fetches(size: int) -> int:
    return len(await fetch(size))


@task
async def fetches_parts(size: int) -> int:
    return len(await fetch_parts(size))


@task
async def fetches_bytes(size: int) -> int:
    return len(await fetch_bytes(size))


@task
async def returns(size: int) -> str:
    return "x" * size


@task
async def asks(size: int) -> str:
    return (await wait_for_approval({"text": "x" * size}, title="Fine?")).outcome


@task
async def takes(text: str) -> int:
    return len(text)


@task
async def starts_a_child(size: int) -> int:
    return await takes.trigger_and_wait("x" * size)


async def failure_of(h: Harness, run_id: str) -> Failure:
    found = await h.client.run(run_id)
    assert found.status is RunStatus.FAILED
    assert found.error is not None
    return Failure.from_json(found.error)


@pytest.mark.parametrize("below", [1, 0])
async def test_up_to_the_limit_a_result_is_kept(harness: OpenHarness, below: int) -> None:
    async with harness(fetches) as h:
        assert await h.run(fetches, LIMIT - FRAME - below) == LIMIT - FRAME - below


TOO_LARGE: dict[str, tuple[Any, str]] = {
    "the result of a step": (fetches, r"the result of `await fetch\(…\)` at .*test_payloads.py:\d+ takes"),
    "parts of a result": (fetches_parts, r"the result of `await fetch_parts\(…\)` at .*test_payloads.py:\d+ takes"),
    "bytes": (fetches_bytes, r"the result of `await fetch_bytes\(…\)` at .*test_payloads.py:\d+ takes"),
    "the result of the task": (returns, r"the result of task returns \(.*test_payloads.py:\d+\) takes"),
    "what a person is asked about": (asks, "what approval asks about takes"),
    "the input of a child": (starts_a_child, "the input 'text' takes"),
}


@pytest.mark.parametrize("size", [LIMIT - FRAME + 1, HUGE], ids=["limit+1", "100 MB"])
@pytest.mark.parametrize(("task_", "said"), TOO_LARGE.values(), ids=TOO_LARGE)
async def test_beyond_the_limit_the_run_fails_and_says_what_was_too_large(
    live: OpenHarness, task_: Any, said: str, size: int
) -> None:
    tracemalloc.start()
    try:
        async with live(fetches, fetches_parts, fetches_bytes, returns, asks, takes, starts_a_child) as h:
            run = await h.trigger(task_, size + (3 * 1_000 if task_ is fetches_parts else 0))
            await h.until_idle()
            found = await failure_of(h, run.id)
            entries = await h.journal(run)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found.type.endswith(":PayloadTooLarge")
    assert f"the limit is {LIMIT:,}" in found.message
    assert re.search(said, found.message), found.message
    assert peak < 4 * size + 40_000_000, f"{peak:,} bytes for a value of {size:,}"
    assert all(len(one.output or "") < LIMIT for one in entries)


async def test_an_input_beyond_the_limit_makes_no_run(live: OpenHarness) -> None:
    async with live(takes) as h:
        with pytest.raises(PayloadTooLarge, match="the input 'text' takes 100,000,002 bytes"):
            await h.trigger(takes, "x" * HUGE)
        assert not (await h.client.runs()).items


async def test_a_correction_beyond_the_limit_is_refused_and_the_run_still_waits(live: OpenHarness) -> None:
    async with live(asks) as h:
        run = await h.trigger(asks, 1)
        approval = await h.only_approval(run)
        with pytest.raises(InvalidDecision, match=r"found 4,194,\d+ bytes of JSON; wanted 4,194,304 at most"):
            await h.correct(approval, text="x" * LIMIT)
        assert (await h.only_approval(run)).is_pending
        await h.correct(approval, text="x" * (LIMIT - 100))
        assert await h.result(run) == "corrected"


# -- what is no data


def deep() -> Any:
    value: Any = []
    for _ in range(10_000):
        value = [value]
    return value


def cyclic() -> Any:
    value: list[Any] = []
    value.append({"again": value})
    return value


SOCKETS: list[socket.socket] = []


@pytest.fixture
def _a_socket() -> Iterator[None]:
    with socket.socket() as held:
        SOCKETS.append(held)
        yield
        SOCKETS.clear()


NO_DATA: dict[str, tuple[Callable[[], Any], str]] = {
    "a lambda": (lambda: lambda: 1, "function"),
    "a socket": (lambda: SOCKETS[0], "socket"),
    "a generator": (lambda: (n for n in [1]), "generator"),
    "a loop": (cyclic, "contains itself"),
    "ten thousand levels": (deep, "nested more than"),
}


@pytest.mark.parametrize(("make", "said"), NO_DATA.values(), ids=NO_DATA)
@pytest.mark.usefixtures("_a_socket")
async def test_what_is_no_data_fails_at_the_step_that_returned_it(
    harness: OpenHarness, ledger: Ledger, make: Callable[[], Any], said: str
) -> None:
    @step
    async def produce() -> Any:
        ledger.add("produced")
        return make()

    @task
    async def producing() -> str:
        await produce()
        ledger.add("went on")
        return "it was stored"

    async with harness(producing) as h:
        run = await h.trigger(producing)
        await h.until_idle()
        found = await failure_of(h, run.id)
        [failed] = [one for one in await h.journal(run) if one.kind is EntryKind.FAILED]

    assert found.type.endswith(":NotRecordable")
    assert said in found.message
    assert "`await produce(…)`" in found.traceback
    assert failed.key == "produce#1"
    assert ledger == {"produced": 1}


# -- what JSON and databases disagree about

AWARE = datetime(2026, 10, 25, 2, 30, tzinfo=UTC)
EVERYTHING: dict[str, Any] = {
    "not a number": math.nan,
    "infinities": [math.inf, -math.inf],
    "minus zero": -0.0,
    "an integer beyond 2**53": 2**53 + 1,
    "an integer beyond 64 bits": -(2**200),
    "a decimal": Decimal("0.10"),
    "an aware datetime": AWARE,
    "bytes": b"\x00\xff",
    "a lone surrogate": "a\ud800b",
    "a NUL": "a\x00b",
    "keys that differ by their type": {1: "one", "1": "text", None: "none"},
    "a tuple": (1, (2, [3])),
    "integer keys": {1: {2: "deep"}},
    "a set": {1, 2, 3},
    "keys that begin with a dollar": {"$tuple": [1], "$large": 2},
    "a text like a blob's name": f"blob:{'0' * 64}:1",
    "line separators": "a\u2028b\u2029c",
}


def same(left: Any, right: Any) -> bool:
    """Equal, of the same types all the way down, and with the sign of zero."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return repr(left) == repr(right)
    if isinstance(left, dict):
        return len(left) == len(right) and all(
            same(a, b) and same(left[a], right[b]) for a, b in zip(left, right, strict=True)
        )
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


@pytest.mark.parametrize("value", EVERYTHING.values(), ids=EVERYTHING)
async def test_what_the_task_sees_live_is_what_it_sees_replayed_and_what_was_returned(
    harness: OpenHarness, value: Any
) -> None:
    """`harness` runs it both ways; a value that came back changed in one of them would not be the same in both."""
    seen: list[Any] = []

    @step
    async def produce() -> Any:
        return value

    @task
    async def producing() -> Any:
        found = await produce()
        seen.append(found)
        await asks_for_nothing()
        return found

    @step
    async def asks_for_nothing() -> None:
        return None

    async with harness(producing) as h:
        result = await h.run(producing)

    assert all(same(one, value) for one in seen)
    assert same(result, value)
