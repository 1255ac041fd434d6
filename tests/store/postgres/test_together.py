"""Verbs that go together store what they store alone, and those that cannot are left to themselves."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.errors import (
    AlreadyDecided,
    ApprovalExpired,
    ApprovalNotFound,
    LeaseLost,
    StaleVersion,
    StoreUnavailable,
)
from agentflow.requests import Completed
from agentflow.states import EntryKind, RunStatus, Verdict
from agentflow.store import decisions, journal, open_store, triggering
from agentflow.testing import FakeClock
from tests.support.postgres import postgres_database
from tests.support.stores import (
    a_child,
    a_decision,
    a_gate,
    a_trigger,
    a_turn,
    a_wait_for,
    a_worker,
    an_entry,
    claimed,
    everything_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentflow.records import Approval
    from agentflow.requests import Decide, Lease
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


async def gates(store: Store, count: int) -> list[Approval]:
    leases = await turns(store, count)
    opened = [a_gate(store) for _ in leases]
    await asyncio.gather(*(store.park(lease, [gate], [gate.key]) for lease, gate in zip(leases, opened, strict=True)))
    return [await store.approval(str(gate.subject)) for gate in opened]


def without_ids(decided: Approval) -> Approval:
    return replace(decided, id="", run_id="", decision_id=None, created_at=None)  # type: ignore[arg-type]


DATA = ["approve", "correct", "reject"]


async def test_decisions_are_recorded_together_as_the_verb_records_them(store: Any) -> None:
    """In one batch, or in a batch of one."""

    def asked(gate: Approval, n: int) -> Decide:
        final = '{"total":7}' if n % 3 == 1 else None
        return a_decision(gate.id, Verdict(DATA[n % 3]), final=final, comment=f"as in {n % 3}")

    async def stored(gate: Approval) -> Any:
        run = without_names(await everything_of(store, gate.run_id))
        entries = [replace(entry, detail=re.sub(r"(apr|dec)_\w+", "", entry.detail or "")) for entry in run[1]]
        return without_ids(await store.approval(gate.id)), run[0], entries, run[2]

    alone, batch, by_verb = await gates(store, 3), await gates(store, 12), await gates(store, 3)
    receipts = [await store.decide(asked(gate, n)) for n, gate in enumerate(alone)]
    receipts += await asyncio.gather(*(store.decide(asked(gate, n)) for n, gate in enumerate(batch)))
    receipts += [await store.write(the_verb_itself, asked(gate, n)) for n, gate in enumerate(by_verb)]

    assert [one.approval_id for one in receipts] == [gate.id for gate in (*alone, *batch, *by_verb)]
    assert [one.outcome for one in receipts[:3]] == ["approved", "corrected", "rejected"]
    for n, gate in enumerate((*alone, *batch)):
        assert await stored(gate) == await stored(by_verb[n % 3])
    assert len(await claimed(store, worker=await a_worker(store), limit=100)) == len(receipts)


def the_verb_itself(tx: Any, request: Decide) -> Any:
    return decisions.decide(tx, request)


async def test_of_many_decisions_at_once_on_one_approval_one_is_recorded(store: Store) -> None:
    gate, other = await gates(store, 2)
    verdicts = [Verdict.APPROVE, Verdict.REJECT] * 10
    asked = [a_decision(gate.id, verdict, id=f"dec_{n}") for n, verdict in enumerate(verdicts)]
    asked += [a_decision(other.id, id="dec_0"), a_decision("apr_none"), a_decision(other.id, expected_version=7)]
    told = await asyncio.gather(*(store.decide(one) for one in asked), return_exceptions=True)

    made = [one for one in told if not isinstance(one, Exception)]
    errors = {type(one) for one in told if isinstance(one, Exception)}
    assert {one.id for one in made} <= {one.id for one in asked}
    assert sum(one.approval_id == gate.id for one in made) == 1
    assert errors >= {AlreadyDecided, ApprovalNotFound, StaleVersion}
    entries = await store.entries(gate.run_id)
    assert sum(entry.kind is EntryKind.WAIT_RESOLVED for entry in entries) == 1


async def test_the_same_decision_many_times_at_once_is_one(store: Store) -> None:
    (gate,) = await gates(store, 1)
    told = await asyncio.gather(*(store.decide(a_decision(gate.id)) for _ in range(20)))
    assert len({one.id for one in told}) == 1
    assert sum(not one.repeated for one in told) == 1


@pytest.mark.parametrize("size", [1, 20])
async def test_a_decision_on_large_data_is_left_to_the_verb(store: Store, size: int) -> None:
    leases = await turns(store, size)
    opened = [a_gate(store, data=LARGE) for _ in leases]
    for lease, gate in zip(leases, opened, strict=True):
        await store.park(lease, [gate], [gate.key])
    told = await asyncio.gather(*(store.decide(a_decision(str(gate.subject))) for gate in opened))
    assert [one.final for one in told] == [LARGE] * size
    entries = await store.entries(leases[0].run_id)
    assert [entry.output for entry in entries if entry.kind is EntryKind.WAIT_RESOLVED] == [LARGE]


async def test_a_decision_after_the_deadline_is_refused_and_the_time_out_recorded(store: Any) -> None:
    (gate,) = await gates(store, 1)
    lease = (await turns(store, 1))[0]
    late = a_gate(store, timeout=timedelta(minutes=1))
    await store.park(lease, [late], [late.key])
    await store.clock.advance(timedelta(minutes=2))
    asked = [a_decision(str(late.subject)), a_decision(gate.id)]
    told = await asyncio.gather(*(store.decide(one) for one in asked), return_exceptions=True)
    assert isinstance(told[0], ApprovalExpired)
    assert told[1].outcome == "approved"
    assert (await store.approval(str(late.subject))).status == "timed_out"


async def test_what_nobody_foresaw_fails_its_writes_and_no_later_one(
    store: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The writer's thread goes on: without it a worker would renew the lease of runs it can write nothing of."""
    broken = (store.write(triggering.trigger, None) for _ in range(20))
    failed = await asyncio.gather(*broken, return_exceptions=True)
    assert all(isinstance(error, StoreUnavailable | AttributeError) for error in failed)
    assert any(isinstance(error, StoreUnavailable) and error.may_be_stored for error in failed)
    assert "nobody foresaw" in caplog.text
    assert (await store.trigger(a_trigger())).status is RunStatus.QUEUED


async def test_appends_that_nobody_foresaw_fail_and_no_later_one(store: Any, caplog: pytest.LogCaptureFixture) -> None:
    """They are the event loop's own to send: it goes on too."""
    lease = await a_turn(store)
    for number in range(6):
        await store.append(lease, an_entry(f"early#{number}"))
    broken = (store.write(journal.append, lease, None) for _ in range(2))
    failed = await asyncio.gather(*broken, return_exceptions=True)
    assert all(isinstance(error, StoreUnavailable) and error.may_be_stored for error in failed)
    assert "nobody foresaw" in caplog.text
    await store.append(lease, an_entry("late#1"))
