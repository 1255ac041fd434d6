"""What people do to runs, as promises of the store: cancel, pause, resume, retry."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.errors import IllegalTransition, LeaseLost, RunNotFound, SingletonTaken
from agentflow.requests import (
    Completed,
    Failed,
    HandedBack,
    NeedsAttention,
    RunFilter,
    Singleton,
    TryAgain,
)
from agentflow.states import EntryKind, ParentClose, RunStatus
from tests.support.stores import (
    Database,
    a_child,
    a_decision,
    a_gate,
    a_gated_run,
    a_trigger,
    a_turn,
    a_worker,
    an_entry,
    claimed,
    completed,
    kinds_of,
    last_entry,
)

if TYPE_CHECKING:
    from agentflow.requests import Lease
    from agentflow.store import Store
    from agentflow.testing import FakeClock

VERBS = ("cancel", "pause", "resume", "retry")


async def steer(store: Store, verb: str, run_id: str) -> Any:
    given = {"by": "mia"} if verb == "resume" else {"by": "mia", "reason": "why not"}
    return await getattr(store, verb)(run_id, **given)


async def a_turn_with_undo(store: Store, **given: Any) -> Lease:
    """The lease of a run one of whose steps can be undone."""
    lease = await a_turn(store, **given)
    await store.append(lease, an_entry("book#1", detail="undo:unbook"))
    return lease


async def a_failed_run(store: Store, **given: Any) -> str:
    lease = await a_turn(store, **given)
    await store.append(lease, an_entry("charge#1", EntryKind.FAILED, error="{}"))
    await store.finish(lease, Failed("{}", "charge#1"))
    return lease.run_id


# -- pausing


async def test_a_queued_run_that_is_paused_is_claimed_by_nobody_until_it_is_resumed(store: Store) -> None:
    made = await store.trigger(a_trigger())

    paused = await store.pause(made.id, by="mia", reason="month's end")

    assert (paused.status, json.loads(paused.pause or "")) == ("paused", {"by": "mia", "reason": "month's end"})
    assert (await last_entry(store, made.id)).detail == "paused by mia: month's end"
    assert await claimed(store) == []
    resumed = await store.resume(made.id, by="tom")
    assert (resumed.status, resumed.pause) == ("queued", None)
    assert [lease.run_id for lease in await claimed(store)] == [made.id]


async def test_a_delay_counts_on_while_a_run_is_paused(store: Store, clock: FakeClock) -> None:
    made = await store.trigger(a_trigger(delay=timedelta(hours=2)))
    await store.pause(made.id, by="mia", reason="")
    clock.advance("1h")

    resumed = await store.resume(made.id, by="mia")

    assert resumed.available_at == made.available_at
    assert await claimed(store) == []
    clock.advance("1h")
    assert len(await claimed(store)) == 1


async def test_a_gate_is_answered_while_its_run_is_paused_and_wakes_nothing(store: Store) -> None:
    gate = await a_gated_run(store)
    await store.pause(gate.run_id, by="mia", reason="")

    await store.decide(a_decision(gate.id))

    run = await store.run(gate.run_id)
    assert run.status is RunStatus.PAUSED
    assert await store.waits(gate.run_id) == []
    assert await claimed(store) == []
    await store.resume(gate.run_id, by="mia")
    assert len(await claimed(store)) == 1


@pytest.mark.parametrize("way", ["handed back", "parked", "to be tried again", "its worker lost"])
async def test_a_running_run_is_paused_once_its_turn_ends(store: Store, clock: FakeClock, way: str) -> None:
    lease = await a_turn(store)
    marked = await store.pause(lease.run_id, by="mia", reason="")
    assert (marked.status, marked.pause is not None) == ("running", True)
    await store.append(lease, an_entry())  # its lease still holds

    match way:
        case "handed back":
            await store.finish(lease, HandedBack())
        case "parked":
            await store.park(lease, [a_gate(store)], ["approval#1"])
        case "to be tried again":
            await store.finish(lease, TryAgain("{}", timedelta(hours=1), None))
        case _:
            await store.bury([lease.worker_id])
            await store.sweep(limit=10, max_recoveries=5)

    run = await store.run(lease.run_id)
    assert (run.status, run.worker_id) == ("paused", None)
    clock.advance("2h")
    assert await claimed(store) == []
    assert (await store.resume(lease.run_id, by="mia")).status is RunStatus.QUEUED
    assert len(await claimed(store)) == 1


async def test_a_run_that_ends_before_it_is_paused_has_ended(store: Store) -> None:
    lease = await a_turn(store)
    await store.pause(lease.run_id, by="mia", reason="")

    await store.finish(lease, Completed("1"))

    run = await store.run(lease.run_id)
    assert (run.status, run.pause) == ("completed", None)
    with pytest.raises(IllegalTransition):
        await store.resume(lease.run_id, by="mia")


async def test_a_pause_that_has_not_come_to_pass_is_taken_back(store: Store) -> None:
    lease = await a_turn(store)
    await store.pause(lease.run_id, by="mia", reason="")

    run = await store.resume(lease.run_id, by="mia")

    assert (run.status, run.pause) == ("running", None)
    await store.finish(lease, HandedBack())
    assert (await store.run(lease.run_id)).status is RunStatus.QUEUED


async def test_a_deadline_passes_also_for_a_paused_run(store: Store, clock: FakeClock) -> None:
    made = await store.trigger(a_trigger(max_duration=timedelta(hours=1)))
    await store.pause(made.id, by="mia", reason="")
    clock.advance("2h")

    assert await store.expire(limit=10) == 1

    run = await store.run(made.id)
    assert (run.status, run.pause) == ("failed", None)


async def test_of_two_who_pause_a_run_the_second_is_told(store: Store) -> None:
    for run_id in ((await store.trigger(a_trigger())).id, (await a_turn(store)).run_id):
        told = await asyncio.gather(
            *(store.pause(run_id, by=by, reason="") for by in ("mia", "tom")), return_exceptions=True
        )
        assert sorted(type(one).__name__ for one in told) == ["IllegalTransition", "Run"]
        assert (await kinds_of(store, run_id)).count(EntryKind.PAUSED) == 1


# -- resuming what is in doubt


async def a_run_in_doubt(store: Store) -> str:
    lease = await a_turn(store)
    await store.append(lease, an_entry("charge#1", EntryKind.STARTED, input="[5]", detail="undo:refund"))
    detail = json.dumps({"recorded": "start", "asked": "end", "key": "charge#1"})
    await store.finish(lease, NeedsAttention(EntryKind.DIVERGED, "{}", detail))
    return lease.run_id


async def test_an_operation_in_doubt_is_given_its_result_with_the_mark_of_its_undo(store: Store) -> None:
    run_id = await a_run_in_doubt(store)

    await store.resume(run_id, by="mia", output='"receipt 7"')

    told = (await store.entries(run_id))[-2]
    assert (told.kind, told.key, told.output, told.input) == (EntryKind.SUCCEEDED, "charge#1", '"receipt 7"', "[5]")
    assert told.detail == "undo:refund"
    assert (await store.run(run_id)).status is RunStatus.QUEUED


async def test_an_output_for_a_run_without_doubt_is_refused_and_the_run_stays(store: Store) -> None:
    made = await store.trigger(a_trigger())
    await store.pause(made.id, by="mia", reason="")

    with pytest.raises(IllegalTransition, match="there is none here"):
        await store.resume(made.id, by="mia", output="1")

    assert (await store.run(made.id)).status is RunStatus.PAUSED


# -- trying again


async def test_a_failed_run_is_queued_for_another_attempt(store: Store) -> None:
    run_id = await a_failed_run(store)
    ended = await last_entry(store, run_id)
    assert json.loads(ended.detail or "") == {"retry": "charge#1"}

    again = await store.retry(run_id, by="mia", reason="bank is back")

    assert (again.status, again.attempt, again.error, again.finished_at) == ("queued", 2, None, None)
    assert (await last_entry(store, run_id)).detail == "retried by mia: bank is back"
    assert len(await claimed(store)) == 1


async def test_a_retried_run_has_no_deadline_that_has_passed(store: Store, clock: FakeClock) -> None:
    soon = await store.trigger(a_trigger(max_duration=timedelta(hours=1)))
    late = await store.trigger(a_trigger(max_duration=timedelta(hours=9)))
    await store.cancel(late.id, by="mia", reason="")
    clock.advance("2h")
    await store.expire(limit=10)

    assert (await store.retry(soon.id, by="mia", reason="")).deadline_at is None
    assert (await store.retry(late.id, by="mia", reason="")).deadline_at == late.deadline_at
    assert await store.expire(limit=10) == 0


async def test_a_run_is_not_retried_while_another_holds_its_singleton_key(store: Store) -> None:
    one = await store.trigger(a_trigger(singleton=Singleton("acme", "skip")))
    await store.cancel(one.id, by="mia", reason="")
    other = await store.trigger(a_trigger(singleton=Singleton("acme", "skip")))

    with pytest.raises(SingletonTaken, match=other.id):
        await store.retry(one.id, by="mia", reason="")

    assert (await store.run(one.id)).status is RunStatus.CANCELLED


async def test_a_retry_takes_back_the_children_that_ended_with_their_parent(store: Store) -> None:
    lease = await a_turn(store)
    closed, gone, free = [
        await a_child(store, lease, key=f"child#{n}", on_parent_close=policy)
        for n, policy in enumerate((ParentClose.CANCEL, ParentClose.CANCEL, ParentClose.ABANDON), start=1)
    ]
    await store.cancel(gone.id, by="tom", reason="")
    await store.finish(lease, Failed("{}"))
    statuses = {one.id: one.status for one in (await store.runs(RunFilter(parent_id=lease.run_id))).items}
    assert statuses == {closed.id: "cancelled", gone.id: "cancelled", free.id: "queued"}

    await store.retry(lease.run_id, by="mia", reason="")

    assert (await store.run(closed.id)).status is RunStatus.QUEUED
    assert (await store.run(gone.id)).status is RunStatus.CANCELLED, "somebody else had cancelled it"


async def test_a_child_whose_place_another_run_has_taken_does_not_keep_its_parent_from_being_retried(
    store: Store,
) -> None:
    lease = await a_turn(store)
    child = await a_child(store, lease, singleton=Singleton("acme", "skip"))
    await store.finish(lease, Failed("{}"))
    await store.trigger(a_trigger(task="child", singleton=Singleton("acme", "skip")))

    assert (await store.retry(lease.run_id, by="mia", reason="")).status is RunStatus.QUEUED

    assert (await store.run(child.id)).status is RunStatus.CANCELLED


# -- refusals and races


@pytest.mark.parametrize("verb", VERBS)
async def test_a_run_that_is_not_there_cannot_be_steered(store: Store, verb: str) -> None:
    with pytest.raises(RunNotFound):
        await steer(store, verb, "run_none")


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume", "retry"])
async def test_a_completed_run_cannot_be_steered_and_stays_as_it_was(store: Store, verb: str) -> None:
    made = await store.trigger(a_trigger())
    await completed(store, made.id, "review")
    before = await store.entries(made.id)

    with pytest.raises(IllegalTransition, match="is completed"):
        await steer(store, verb, made.id)

    assert await store.entries(made.id) == before


async def test_a_cancel_and_a_completion_race_and_one_of_them_wins(database: Database) -> None:
    store, other = await database.open(), await database.open()
    await store.trigger_many([a_trigger() for _ in range(60)])
    leases = await claimed(store, limit=60)
    for lease in leases[::2]:
        await store.append(lease, an_entry("book#1", detail="undo:unbook"))

    async def late(verb: Any, looks: int) -> Any:
        for _ in range(looks):
            await other.head()
        return await verb

    told = await asyncio.gather(
        *(late(store.finish(lease, Completed("1")), number % 5) for number, lease in enumerate(leases)),
        *(late(other.cancel(lease.run_id, by="mia", reason=""), number % 7) for number, lease in enumerate(leases)),
        return_exceptions=True,
    )

    seen = set()
    for lease, finished, cancelled in zip(leases, told[:60], told[60:], strict=True):
        run = await store.run(lease.run_id)
        if isinstance(finished, LeaseLost):
            assert run.status in {RunStatus.CANCELLED, RunStatus.QUEUED}
            assert (run.ending is not None) == (run.status is RunStatus.QUEUED)
        else:
            assert run.status is RunStatus.COMPLETED
            assert isinstance(cancelled, IllegalTransition)
        seen.add(run.status)
    assert len(seen) >= 2, "this was no race"


async def test_a_pause_and_a_claim_race_and_no_run_escapes_its_pause(database: Database) -> None:
    store, other = await database.open(), await database.open()
    worker = await a_worker(store)
    made = await store.trigger_many([a_trigger() for _ in range(60)])

    async def claim_all() -> list[Lease]:
        return [lease for _ in range(20) for lease in await claimed(store, worker=worker, limit=3)]

    async def pause_all() -> None:
        for one in reversed(made):  # the last to be claimed first, so that the two meet
            await other.pause(one.id, by="mia", reason="")

    leases, _ = await asyncio.gather(claim_all(), pause_all())

    taken = {lease.run_id for lease in leases}
    assert 0 < len(taken) < len(made), "this was no race"
    for one in made:
        run = await store.run(one.id)
        assert (run.status, run.pause is not None) == ("running" if one.id in taken else "paused", True)
    await asyncio.gather(*(store.finish(lease, HandedBack()) for lease in leases))
    assert {(await store.run(one.id)).status for one in made} == {RunStatus.PAUSED}


async def test_of_many_who_retry_a_run_at_once_one_does(database: Database) -> None:
    stores = [await database.open() for _ in range(3)]
    run_id = await a_failed_run(stores[0])

    told = await asyncio.gather(
        *(stores[n % 3].retry(run_id, by=f"person {n}", reason="") for n in range(12)), return_exceptions=True
    )

    assert sorted(type(one).__name__ for one in told) == ["IllegalTransition"] * 11 + ["Run"]
    assert (await stores[0].run(run_id)).attempt == 2
