"""`map`: one function for many items, each call a branch of the run."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

import agentflow
from agentflow import (
    CompletionFailed,
    Fatal,
    Retry,
    RunFailed,
    fallback,
    gather,
    hop,
    sleep,
    step,
    task,
    tolerate,
    wait_for_approval,
)
from agentflow.errors import DefinitionError, UnsupportedAwait
from agentflow.states import EntryKind
from tests.support.tasks import Flaky, Invoice, Ledger, Price, entries, eventually, keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.runtime.conftest import OpenHarness

ledger = Ledger()


@pytest.fixture(autouse=True)
def _empty_ledger() -> None:
    ledger.clear()


@step
async def doubled(n: int) -> int:
    ledger.add(f"doubled {n}")
    return 2 * n


@step
async def failing(n: int) -> int:
    ledger.add(f"failing {n}")
    raise Flaky(str(n))


async def plain(n: int) -> int:
    ledger.add(f"plain {n}")
    return n + 1


async def asking(n: int) -> int:
    return int((await wait_for_approval(await doubled(n), key=f"gate {n}")).data)


@task
async def nested(n: int) -> int:
    return await doubled(n) + await plain(n)


async def test_the_values_come_in_the_order_of_the_items_and_each_call_happens_once(harness: OpenHarness) -> None:
    @task
    async def mapping(n: int) -> list[int]:
        found = await agentflow.map(doubled, range(n))
        await wait_for_approval("go on?")
        return found

    async with harness(mapping) as h:
        run = await h.trigger(mapping, 20)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == [2 * n for n in range(20)]
        assert sorted(await keys(h, run)) == sorted(f"map#1[{n}]/doubled#1" for n in range(20))
    assert len(ledger) == 20
    assert set(ledger.values()) == {1}


async def test_whatever_a_task_can_await_can_be_mapped(harness: OpenHarness) -> None:
    chain = fallback(failing, doubled)
    single = hop(doubled, name="twice")

    @task
    async def mapping() -> list[list[int]]:
        return [
            await agentflow.map(one, [1, 2])
            for one in (doubled, plain, nested, chain, single, lambda n: doubled(10 * n), partial(doubled))
        ]

    async with harness(mapping) as h:
        run = await h.trigger(mapping)
        assert await h.result(run) == [[2, 4], [2, 3], [4, 7], [2, 4], [2, 4], [20, 40], [2, 4]]
        found = set(await keys(h, run))
    assert {
        "map#1[0]/doubled#1",
        "map#2[0]/plain#1",
        "map#3[0]/nested#1",
        "map#4[0]/fallback(failing, doubled)#1/failing#1",
        "map#5[0]/twice#1",
        "map#6[0]/doubled#1",
        "map#7[1]/doubled#1",
    } <= found
    assert ledger["failing 1"] == ledger["failing 2"] == 1


async def test_outside_a_run_it_just_runs() -> None:
    assert await agentflow.map(doubled, [1, 2, 3], concurrency=2) == [2, 4, 6]
    assert await agentflow.map(plain, []) == []
    assert await agentflow.map(hop(plain), [1]) == [2]
    with pytest.raises(Flaky, match="1"):
        await agentflow.map(failing, [1, 2], concurrency=1)
    assert ledger["failing 2"] == 0, "the first error stops what has not begun"
    with pytest.raises(CompletionFailed, match=r"map cannot meet tolerate\(count=1\) any more: 2 of 3"):
        await agentflow.map(failing, [1, 2, 3], concurrency=1, until=tolerate(count=1))


async def test_inside_a_step_it_just_runs_and_records_nothing(harness: OpenHarness) -> None:
    @step
    async def inside() -> list[int]:
        found = await agentflow.map(doubled, [1, 2], until=tolerate(count=0))
        return [*found.values, *await agentflow.map(plain, [1], concurrency=1)]

    @task
    async def outside() -> list[int]:
        return await inside()

    async with harness(outside) as h:
        run = await h.trigger(outside)
        assert await h.result(run) == [2, 4, 2]
        assert await keys(h, run) == ["inside#1"]


async def test_a_map_of_nothing_gives_nothing_wherever_it_stands(harness: OpenHarness) -> None:
    @task
    async def mapping() -> list[int]:
        none = await agentflow.map(doubled, [])
        some = await agentflow.map(doubled, [1])
        also_none = [*await gather(), *(await agentflow.map(doubled, [], until=tolerate(count=1))).values]
        return [*none, *some, *also_none, *await agentflow.map(doubled, [2])]

    async with harness(mapping) as h:
        assert await h.run(mapping) == [2, 4]
    assert ledger == {"doubled 1": 1, "doubled 2": 1}


async def test_items_are_gone_through_once_whatever_they_are(harness: OpenHarness) -> None:
    def items() -> Iterator[int]:
        yield from (3, 1, 2)

    @task
    async def mapping() -> list[Any]:
        return [
            await agentflow.map(doubled, items()),
            sorted(await agentflow.map(doubled, {5, 4})),
            await agentflow.map(doubled, {7: "seven"}),
        ]

    async with harness(mapping) as h:
        assert await h.run(mapping) == [[6, 2, 4], [8, 10], [14]]
    assert set(ledger.values()) == {1}


async def test_models_and_dataclasses_come_back_as_what_they_are(harness: OpenHarness) -> None:
    @step
    async def read(number: str) -> Invoice:
        return Invoice(number=number, total=1.5)

    async def priced(factor: int, invoice: Invoice) -> Price:
        return Price(amount=int(invoice.total * factor))  # type: ignore[arg-type]

    @task
    async def mapping() -> list[str]:
        invoices = await agentflow.map(read, ["a", "b"])
        assert all(type(one) is Invoice for one in invoices)
        prices = await agentflow.map(partial(priced, 2), invoices)
        await wait_for_approval("go on?")
        return [f"{one.number} {each.amount}" for one, each in zip(invoices, prices, strict=True)]

    async with harness(mapping) as h:
        run = await h.trigger(mapping)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == ["a 3", "b 3"]


async def test_the_first_error_is_raised_and_stops_the_others(harness: OpenHarness) -> None:
    async def sometimes(n: int) -> int:
        return await (failing(n) if n == 2 else asking(n))

    seen = []

    @task
    async def mapping() -> str:
        try:
            await agentflow.map(sometimes, [1, 2, 3])
        except Flaky as error:
            seen.append(str(error))
        return (await wait_for_approval("go on?", key="after")).outcome

    async with harness(mapping) as h:
        run = await h.trigger(mapping)
        last = await h.only_approval(run)
        assert last.key == "after#1", "the gates of the others are withdrawn"
        await h.restart()
        await h.approve(last)
        assert await h.result(run) == "approved"
        [failed] = [one for one in await entries(h, run, EntryKind.FAILED) if one.key == "map#1"]
        assert failed.operation == "map"
    assert set(seen) == {"2"}
    assert ledger["failing 2"] == 1


async def test_a_fatal_error_ends_the_run_without_another_attempt(harness: OpenHarness) -> None:
    @step(retry=Retry(max_attempts=5, min_delay=0))
    async def fatal(n: int) -> int:
        ledger.add(f"fatal {n}")
        if n == 1:
            raise Fatal("never")
        return n

    @task(retry=Retry(max_attempts=5, min_delay=0))
    async def mapping() -> list[int]:
        return await agentflow.map(fatal, [0, 1, 2])

    async with harness(mapping) as h:
        with pytest.raises(RunFailed, match="Fatal: never"):
            await h.run(mapping)
    assert ledger["fatal 1"] == 1


async def test_a_retry_of_the_run_repeats_every_call_that_failed_and_no_other(harness: OpenHarness) -> None:
    release = asyncio.Event()

    @step
    async def together(n: int) -> int:
        if ledger.add(f"together {n}") == 1 and n != 1:
            if ledger["together 0"] and ledger["together 2"]:
                release.set()
            await release.wait()
            raise Flaky(str(n))
        return n

    @task(retry=Retry(max_attempts=2, min_delay=0))
    async def mapping() -> list[int]:
        return await agentflow.map(together, [0, 1, 2])

    async with harness(mapping) as h:
        assert await h.run(mapping) == [0, 1, 2]
    assert ledger == {"together 0": 2, "together 1": 1, "together 2": 2}


async def test_maps_nest(harness: OpenHarness) -> None:
    async def row(n: int) -> list[int]:
        return await agentflow.map(doubled, [10 * n, 10 * n + 1])

    async def asked(n: int) -> list[int]:
        return await agentflow.map(asking, [100 * n, 100 * n + 1])

    @task
    async def table() -> list[list[int]]:
        return [*await agentflow.map(row, [1, 2, 3]), *await agentflow.map(asked, [1, 2], concurrency=1)]

    async with harness(table) as h:
        run = await h.trigger(table)
        for n in (100, 200):
            for approval in await h.approvals(run):
                assert int(approval.data) in {2 * n, 2 * n + 2}
                await h.approve(approval)
        assert await h.result(run) == [[20, 22], [40, 42], [60, 62], [200, 202], [400, 402]]
        assert "map#1[2]/row#1/map#1[0]/doubled#1" in await keys(h, run)
    assert set(ledger.values()) == {1}


async def test_calls_that_sleep_wake_one_by_one(harness: OpenHarness) -> None:
    async def sleeping(days: int) -> int:
        await sleep(f"{days}d")
        return await doubled(days)

    @task
    async def mapping() -> list[int]:
        return await agentflow.map(sleeping, [3, 1, 2])

    async with harness(mapping) as h:
        run = await h.trigger(mapping)
        for day in (1, 2, 3):
            await h.advance("1d")
            assert list(ledger) == [f"doubled {each}" for each in range(1, day + 1)]
        assert await h.result(run) == [6, 2, 4]
    assert set(ledger.values()) == {1}


async def test_a_replay_with_fewer_items_than_are_recorded_is_a_divergence(live: OpenHarness) -> None:
    counts = [3]

    @task
    async def mapping() -> list[int]:
        found = await agentflow.map(doubled, range(counts[0]))
        await wait_for_approval("go on?")
        return found

    async with live(mapping) as h:
        run = await h.trigger(mapping)
        approval = await h.only_approval(run)
        counts[0] = 2
        await h.restart()
        await h.approve(approval)
        assert await h.status(run) == "needs_attention"
        assert "map map#1 with 3 branches" in await h.why(run)


@pytest.mark.parametrize("concurrency", [0, -1, True, False, 2.5, "3"])
async def test_a_limit_that_is_none_is_refused_before_anything_starts(live: OpenHarness, concurrency: Any) -> None:
    @task
    async def mapping() -> list[int]:
        return await agentflow.map(doubled, [1], concurrency=concurrency)

    async with live(mapping) as h:
        with pytest.raises(RunFailed, match="concurrency=") as failed:
            await h.run(mapping)
        assert isinstance(failed.value.__cause__, DefinitionError)
    assert not ledger


async def test_what_cannot_be_mapped_is_refused_with_what_to_do() -> None:
    async def endless() -> Any:
        yield 1

    with pytest.raises(DefinitionError, match="wanted a step, a task or an async function"):
        await agentflow.map(3, [1])  # type: ignore[call-overload]
    with pytest.raises(DefinitionError, match="collect its items in a step"):
        await agentflow.map(doubled, endless())
    with pytest.raises(DefinitionError, match="int, which is no iterable"):
        await agentflow.map(doubled, 3)  # type: ignore[call-overload]
    with pytest.raises(UnsupportedAwait, match="gave int, which cannot be awaited"):
        await agentflow.map(lambda n: n, [1])  # type: ignore[arg-type, return-value]
    with pytest.raises(UnsupportedAwait, match="abs gave int"):
        await agentflow.map(abs, [1])  # type: ignore[arg-type]


async def test_an_answer_reaches_its_call_while_others_are_at_work(live: OpenHarness) -> None:
    release = asyncio.Event()

    @step
    async def slow(n: int) -> int:
        await release.wait()
        return n

    async def either(n: int) -> int:
        found = await (slow(n) if n else asking(n))
        release.set()
        return found

    @task
    async def mapping() -> list[int]:
        return await agentflow.map(either, [0, 1])

    async with live(mapping) as h:
        run = await h.trigger(mapping)
        [approval] = await eventually(lambda: _pending(h))
        await h.correct(approval, 41)
        assert await h.result(run) == [41, 1]
        assert (await h.client.run(run.id)).epoch == 1, "the run never left memory"


async def _pending(h: Any) -> list[Any]:
    return list((await h.client.approvals()).items)
