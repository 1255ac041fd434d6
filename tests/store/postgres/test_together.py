"""Verbs that go together store what they store alone, and those that cannot are left to themselves."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.errors import LeaseLost
from agentflow.requests import Completed
from agentflow.states import EntryKind, RunStatus
from agentflow.store import open_store
from agentflow.testing import FakeClock
from tests.support.postgres import postgres_database
from tests.support.stores import (
    a_child,
    a_gate,
    a_trigger,
    a_wait_for,
    a_worker,
    an_entry,
    claimed,
    everything_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentflow.requests import Lease
    from agentflow.store import Store

LARGE = '"' + "x" * 200_000 + '"'


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with postgres_database() as url:
        opened = await open_store(url, clock=FakeClock())
        yield opened
        await opened.close()


def without_names(stored: dict[str, Any]) -> Any:
    """What is stored of a run, but for the ids that no two runs share."""
    run = replace(stored["run"], id="", root_id="", worker_id=None)
    return run, [replace(entry, id=0, run_id="") for entry in stored["journal"]], stored["waits"]


async def turns(store: Store, count: int, **given: Any) -> list[Lease]:
    await asyncio.gather(*(store.trigger(a_trigger(**given)) for _ in range(count)))
    return await claimed(store, worker=await a_worker(store), limit=count)


async def statements(store: Any, doing: Any) -> int:
    """How many transactions it took."""
    before = store.commits
    await doing
    return int(store.commits - before)


async def test_runs_are_stored_together_as_they_are_alone(store: Store) -> None:
    worker = await a_worker(store)

    async def live(count: int) -> list[Any]:
        made = await asyncio.gather(*(store.trigger(a_trigger(priority=3)) for _ in range(count)))
        leases = await claimed(store, worker=worker, limit=count)
        await asyncio.gather(*(store.append(lease, an_entry(took=5, output="[1]")) for lease in leases))
        await asyncio.gather(*(store.finish(lease, Completed('"done"')) for lease in leases))
        assert {run.id for run in made} == {lease.run_id for lease in leases}
        return [without_names(await everything_of(store, run.id)) for run in made]

    (alone,) = await live(1)
    assert await live(7) == [alone] * 7


async def test_a_trigger_gives_each_caller_its_own_run(store: Store) -> None:
    made = await asyncio.gather(*(store.trigger(a_trigger(input=f'{{"n":{n}}}')) for n in range(50)))
    assert [run.input for run in made] == [f'{{"n":{n}}}' for n in range(50)]
    assert [await store.run(run.id) for run in made] == list(made)


async def test_entries_of_one_run_keep_their_order_and_leave_no_gap(store: Store) -> None:
    first, second = await turns(store, 2)
    keys = [f"step#{n}" for n in range(20)]

    await asyncio.gather(*(store.append(lease, an_entry(key)) for key in keys for lease in (first, second)))

    for lease in (first, second):
        entries = await store.entries(lease.run_id)
        assert [one.seq for one in entries] == list(range(1, 22))
        assert [one.key for one in entries[1:]] == keys


async def test_a_turn_that_lost_its_run_fails_alone(store: Store) -> None:
    leases = await turns(store, 4)
    stale = replace(leases[1], epoch=0)

    told = await asyncio.gather(
        *(store.append(lease, an_entry()) for lease in [leases[0], stale, leases[2]]), return_exceptions=True
    )
    assert [type(one) for one in told] == [type(None), LeaseLost, type(None)]
    told = await asyncio.gather(
        *(store.finish(lease, Completed("1")) for lease in [leases[0], stale, leases[2]]), return_exceptions=True
    )
    assert [type(one) for one in told] == [type(None), LeaseLost, type(None)]
    assert (await store.run(stale.run_id)).status is RunStatus.RUNNING


async def test_a_run_that_is_waited_for_or_waits_is_completed_by_the_verb_itself(store: Store) -> None:
    parent, waiting, plain, other = await turns(store, 4)
    child = await a_child(store, parent)
    (of_child,) = await claimed(store, task="child")
    await store.park(parent, [a_wait_for(child)], ["review#1"])
    gate = a_gate(store)
    await store.open_waits(waiting, [gate])

    await asyncio.gather(*(store.finish(lease, Completed("7")) for lease in (of_child, waiting, plain, other)))

    assert (await store.run(parent.run_id)).status is RunStatus.QUEUED
    assert (await store.entries(parent.run_id))[-1].kind is EntryKind.WAIT_RESOLVED
    assert await store.waits(waiting.run_id) == []
    assert not (await store.approval(str(gate.subject))).is_pending
    for lease in (of_child, waiting, plain, other):
        run = await store.run(lease.run_id)
        assert (run.status, run.output) == (RunStatus.COMPLETED, "7")


async def test_what_is_large_goes_beside_the_others(store: Store) -> None:
    leases = await turns(store, 3)
    made = await asyncio.gather(*(store.trigger(a_trigger(task="large", input=text)) for text in ("1", LARGE, "2")))
    await asyncio.gather(*(store.append(lease, an_entry(output=LARGE)) for lease in leases))
    await asyncio.gather(*(store.finish(lease, Completed(LARGE)) for lease in leases))

    assert [(await store.run(run.id)).input for run in made] == ["1", LARGE, "2"]
    for lease in leases:
        assert (await store.entries(lease.run_id))[1].output == LARGE
        assert (await store.run(lease.run_id)).output == LARGE


async def test_a_tick_of_appends_is_one_transaction(store: Store) -> None:
    leases = await turns(store, 30)

    async def all_append() -> None:
        await asyncio.gather(*(store.append(lease, an_entry()) for lease in leases))

    # The first may be on its way before the others are there.
    assert await statements(store, all_append()) <= 2
