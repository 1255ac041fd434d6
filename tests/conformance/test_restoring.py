"""Marking a restored database: nothing goes on by itself, and a worker of the lost time can write nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.errors import LeaseLost
from agentflow.records import Restored
from agentflow.requests import (
    Completed,
    DeclareListener,
    MarkRestored,
    NeedsAttention,
    NewToken,
    OpenWait,
    RunFilter,
    SendEvent,
)
from agentflow.states import (
    DispatchStatus,
    EntryKind,
    MatchStatus,
    OccurrenceOutcome,
    Overlap,
    RunStatus,
    WaitKind,
)
from tests.conformance.test_telling import a_dispatch, a_subscription, listed, settled, told
from tests.conformance.test_telling import claimed as claimed_dispatches
from tests.support.schedules import a_backfill, declared, due, occurrences_of, paused, plan, planned
from tests.support.stores import a_decision, a_gated_run, a_trigger, a_turn, an_entry, claimed, kinds_of, last_entry

if TYPE_CHECKING:
    from agentflow.store import Store
    from agentflow.testing import FakeClock

WHY = "the database was restored from a backup"


async def marked(store: Store, **given: Any) -> Restored:
    request, total = MarkRestored(by="mia", reason=WHY, limit=2, **given), Restored()
    while True:
        found = await store.mark_restored(request)
        total = Restored(
            paused=total.paused + found.paused,
            going_on=total.going_on + found.going_on,
            left=total.left + found.left,
        )
        if found.after is None:
            return total
        request = replace(request, after=found.after)


async def one_of_each(store: Store) -> dict[str, str]:
    """Runs in every open status, and one that has ended."""
    made = {}
    running = await a_turn(store, task="runs")
    await store.append(running, an_entry())
    made["running"] = running.run_id
    made["waiting"] = (await a_gated_run(store, trigger={"task": "asks"})).run_id
    ended = await a_turn(store, task="ends")
    await store.finish(ended, Completed("1"))
    made["completed"] = ended.run_id
    doubtful = await a_turn(store, task="doubts")
    await store.finish(doubtful, NeedsAttention(EntryKind.QUARANTINED, "{}", "why"))
    made["needs_attention"] = doubtful.run_id
    paused = await store.trigger(a_trigger(task="stands"))
    await store.pause(paused.id, by="zoe", reason="mine")
    made["paused"] = paused.id
    made["queued"] = (await store.trigger(a_trigger(task="new"))).id
    return made


async def test_open_runs_are_paused_with_the_reason(store: Store) -> None:
    made = await one_of_each(store)
    assert await marked(store) == Restored(paused=3, left=2)
    assert {name: (await store.run(run_id)).status for name, run_id in made.items()} == {
        "running": RunStatus.PAUSED,
        "waiting": RunStatus.PAUSED,
        "queued": RunStatus.PAUSED,
        "paused": RunStatus.PAUSED,
        "completed": RunStatus.COMPLETED,
        "needs_attention": RunStatus.NEEDS_ATTENTION,
    }
    for name in ("running", "waiting", "queued"):
        assert WHY in str((await last_entry(store, made[name])).detail)
        assert WHY in str((await store.run(made[name])).pause)
    assert "mine" in str((await store.run(made["paused"])).pause)
    assert await kinds_of(store, made["running"]) == [
        EntryKind.TRIGGERED, EntryKind.SUCCEEDED, EntryKind.RECOVERED, EntryKind.PAUSED,
    ]  # fmt: skip
    assert (await store.run(made["running"])).recoveries == 0


async def test_runs_may_be_let_go_on(store: Store) -> None:
    made = await one_of_each(store)
    assert await marked(store, go_on=True) == Restored(going_on=3, left=2)
    for name in ("running", "waiting", "queued"):
        assert (await store.run(made[name])).status is RunStatus.QUEUED
        assert (await kinds_of(store, made[name]))[-2:] == [EntryKind.PAUSED, EntryKind.RESUMED]


async def test_a_worker_of_the_lost_time_can_write_nothing(store: Store) -> None:
    """Though its epoch may be the very one a worker here is given next, were epochs only counted on."""
    before = await a_turn(store)
    await marked(store, go_on=True)
    await store.forget_workers()
    (here,) = await claimed(store)
    for epoch in range(before.epoch, before.epoch + 50):
        with pytest.raises(LeaseLost):
            await store.append(replace(before, epoch=epoch), an_entry())
    assert here.epoch > before.epoch + 100_000
    await store.append(here, an_entry())


async def test_forgotten_workers_are_told_so(store: Store) -> None:
    lease = await a_turn(store)
    assert await store.forget_workers() == 1
    assert store.renew(lease.worker_id, timedelta(seconds=30)) is None
    assert await store.workers() == []


async def test_a_gate_stays_answerable_and_its_run_goes_on_when_it_is_resumed(store: Store) -> None:
    approval = await a_gated_run(store)
    await marked(store)
    await store.decide(a_decision(approval.id))
    assert (await store.run(approval.run_id)).status is RunStatus.PAUSED
    await store.resume(approval.run_id, by="mia")
    assert [one.run_id for one in await claimed(store)] == [approval.run_id]


async def test_marking_again_changes_no_status(store: Store) -> None:
    """Whoever is interrupted begins again."""
    await one_of_each(store)
    await store.mark_restored(MarkRestored(by="mia", reason=WHY, limit=1))
    await marked(store)
    before = {one.id: one.status for one in (await store.runs(RunFilter(limit=100))).items}
    assert (await marked(store)).paused == 0
    assert {one.id: one.status for one in (await store.runs(RunFilter(limit=100))).items} == before


async def test_a_run_that_never_started_keeps_its_place_under_the_limits_of_its_queue(store: Store) -> None:
    made = await store.trigger(a_trigger(queue="slow"))
    await marked(store, go_on=True)
    assert (await store.run(made.id)).epoch == 0


async def test_a_wait_is_answered_by_what_comes_while_the_run_is_paused(store: Store) -> None:
    lease = await a_turn(store)
    await store.park(lease, [OpenWait(key="e#1", kind=WaitKind.EVENT, subject="paid:1")], ["e#1"])
    await marked(store)
    assert [one.key for one in await store.waits(lease.run_id)] == ["e#1"]


async def test_schedules_go_on_from_now(store: Store, clock: FakeClock) -> None:
    first = store.now()
    for name, after in (("missed", timedelta(0)), ("later", timedelta(days=9)), ("paused", timedelta(0))):
        await store.upsert_schedule(declared(name), by="mia")
        await plan(store, name, first + after)
    await store.pause_schedule(paused("paused"))
    await clock.advance(timedelta(days=3))

    assert (await store.withhold(by="mia", reason="restored")).schedules == 1

    assert {one.id: (one.next_fire_at, one.plan_from) for one in await store.schedules()} == {
        "missed": (None, store.now()),
        "later": (first + timedelta(days=9), None),
        "paused": (None, None),
    }


async def test_what_was_queued_or_being_filled_in_may_have_started_in_the_lost_time(store: Store) -> None:
    one = await planned(store, overlap=Overlap.QUEUE)
    await store.fire(due(one))
    await store.fire(due(await store.schedule(one.id)))
    await store.request_backfill(a_backfill(store.now(), 1))

    done = await store.withhold(by="mia", reason="the database was restored")

    assert [(each.outcome, each.reason) for each in await occurrences_of(store)] == [
        (OccurrenceOutcome.STARTED, None),
        (OccurrenceOutcome.SKIPPED, "the database was restored"),
    ]
    assert [each.cancelled_by for each in await store.backfills()] == ["mia"]
    assert (done.occurrences, done.backfills) == (1, 1)


async def test_an_event_that_waited_for_a_listener_starts_its_task_when_somebody_says_so(store: Store) -> None:
    heard = DeclareListener(id="book", task="book", pattern="*")
    await store.declare_listeners([heard], ["book"], begins=True)
    await store.send_event(SendEvent(id="evt_1", name="paid", key="", payload="1", sent_by="tests"))

    assert (await store.withhold(by="mia", reason=WHY)).matches == 1

    assert await store.pending_matches(["book"], limit=9) == []
    (found,) = await store.matches(["evt_1"])
    assert (found.status, found.settled_at) == (MatchStatus.FAILED, store.now())
    assert (
        found.reason == f"{WHY}: see whether it started its task in the lost time; if it did not, have it tried again"
    )
    await store.retry_match("evt_1", "book", by="mia")
    assert [one.event.id for one in await store.pending_matches(["book"], limit=9)] == ["evt_1"]


async def test_subscribers_are_told_of_what_happens_from_now_on(store: Store) -> None:
    made = await a_subscription(store)
    off = await a_subscription(store)
    await store.disable_subscription(off.id, by="mia", reason="")
    made = await told(store, made, a_dispatch(store, 1), a_dispatch(store, 2))
    (sent, _) = await claimed_dispatches(store, made)
    await store.settle_dispatch(settled(sent))
    await a_gated_run(store)  # which nobody was told of yet
    await marked(store)

    done = await store.withhold(by="mia", reason=WHY)

    assert (done.dispatches, done.subscriptions) == (1, 1)
    assert sorted(one.status for one in await listed(store)) == [DispatchStatus.DELIVERED, DispatchStatus.DISCARDED]
    assert (await store.unread(after=(await store.subscription(made.id)).cursor, limit=9)).entries == ()
    assert (await store.subscription(off.id)).cursor == off.cursor
    (kept,) = [one for one in await listed(store) if one.status is DispatchStatus.DISCARDED]
    assert (await store.resend(kept.id, by="mia")).status is DispatchStatus.PENDING


async def test_who_was_signed_in_signs_in_again_and_tokens_stay_as_they_were(store: Store) -> None:
    for name, revoked in (("ci", False), ("old", True)):
        token = await store.add_token(
            NewToken(id=f"tok_{name}", name=name, digest="d", scopes="[]", created_by="mia", expires_in=None)
        )
        await store.open_session(f"s_{name}", token.id, keep_for=timedelta(days=1))
        if revoked:
            await store.revoke_token(token.id, by="mia")

    done = await store.withhold(by="mia", reason=WHY)

    assert (done.sessions, done.tokens) == (2, 1)
    assert await store.session("s_ci") is None
    assert (await store.api_token("tok_ci")).revoked_at is None


async def test_withholding_again_changes_nothing(store: Store) -> None:
    made = await a_subscription(store)
    await told(store, made, a_dispatch(store))
    await store.withhold(by="mia", reason=WHY)
    done = await store.withhold(by="mia", reason=WHY)
    assert (done.dispatches, done.matches, done.occurrences, done.sessions) == (0, 0, 0, 0)
