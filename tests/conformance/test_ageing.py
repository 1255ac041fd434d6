"""What grows old by itself is removed by its age, and never what something open may still read or be kept by."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from agentflow.clock import to_micros
from agentflow.requests import (
    Completed,
    DeliveryFilter,
    Kept,
    NewEntry,
    NewLogLine,
    Prune,
    ReceiveEvents,
    SendEvent,
)
from agentflow.states import EntryKind, OccurrenceOutcome, Overlap
from agentflow.store import tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement
from tests.support.deliveries import a_delivery, a_refused, an_ignored
from tests.support.schedules import a_backfill, declared, due, occurrences_of, plan, planned
from tests.support.stores import a_trigger, a_turn, completed

if TYPE_CHECKING:
    from agentflow.records import Event
    from agentflow.store import Store
    from agentflow.testing import FakeClock

AGE = timedelta(days=14)
_numbers = count()
COUNT_BLOBS = Statement(select(func.count()).select_from(table_of(tables.BlobRow)))


async def pruned(store: Store, kind: Kept, *, really: bool = True) -> int:
    request, total = Prune(kind=kind, before=store.now() - AGE, limit=2), 0
    while True:
        found = await (store.prune(request) if really else store.prunable(request))
        total += found.removed
        if found.after is None:
            return total
        assert found.after != request.after
        request = replace(request, after=found.after)


async def counted_then_pruned(store: Store, kind: Kept) -> int:
    """How many went, which is how many were said to go."""
    counted = await pruned(store, kind, really=False)
    assert await pruned(store, kind) == counted
    assert await pruned(store, kind) == 0
    return counted


# -- log lines


async def a_logging_run(store: Store, lines: int, *, ends: bool = True) -> str:
    lease = await a_turn(store)
    line = NewLogLine(
        run_id=lease.run_id, epoch=1, at=to_micros(store.now()), level="INFO", logger="t", message="m", key=None
    )
    await store.keep_logs([line] * lines)
    if ends:
        await store.finish(lease, Completed("1"))
    return lease.run_id


async def test_old_log_lines_of_ended_runs_go_and_their_runs_stay(store: Store, clock: FakeClock) -> None:
    old, still_open = await a_logging_run(store, 5), await a_logging_run(store, 2, ends=False)
    await clock.advance(AGE + timedelta(seconds=1))
    young = await a_logging_run(store, 3)
    assert await counted_then_pruned(store, Kept.LOGS) == 5
    assert [len(await store.logs(run_id)) for run_id in (old, still_open, young)] == [0, 2, 3]
    assert len(await store.entries(old)) == 2


# -- events


async def sent(store: Store, key: str = "17", payload: str = "1") -> Event:
    return await store.send_event(
        SendEvent(id=f"evt_{next(_numbers)}", name="paid", key=key, payload=payload, sent_by="mia")
    )


async def received(store: Store, lease: object) -> list[str]:
    request = ReceiveEvents(name="paid", key="17", limit=10)
    entry = NewEntry(kind=EntryKind.SUCCEEDED, key="receive#1", operation="receive")
    return [one.payload for one in await store.receive_events(lease, request, entry)]  # type: ignore[arg-type]


async def test_old_events_go(store: Store, clock: FakeClock) -> None:
    for key in ("17", "17", "18", "19", "19"):
        await sent(store, key)
    await sent(store, "20", json.dumps("x" * 200_000))
    await clock.advance(AGE + timedelta(seconds=1))
    young = await sent(store, "17")
    assert await counted_then_pruned(store, Kept.EVENTS) == 6
    assert [one.id for one in await store.events()] == [young.id]


@pytest.mark.parametrize("status", ["queued", "running", "paused"])
async def test_an_event_that_an_open_run_may_still_ask_for_stays(store: Store, clock: FakeClock, status: str) -> None:
    await sent(store, "17")
    await clock.advance(timedelta(seconds=10))
    made = await store.trigger(a_trigger())
    if status == "running":
        await a_turn(store)
    if status == "paused":
        await store.pause(made.id, by="mia", reason="")
    await clock.advance(timedelta(seconds=10))
    kept = await sent(store, "17")
    await clock.advance(AGE * 2)
    assert await counted_then_pruned(store, Kept.EVENTS) == 1
    assert [one.id for one in await store.events()] == [kept.id]


async def test_messages_are_counted_on_where_a_run_has_read_them(store: Store, clock: FakeClock) -> None:
    """Else the next message would have a number that the run believes it has had."""
    await sent(store, payload="1")
    await sent(store, payload="2")
    await clock.advance(timedelta(seconds=10))
    lease = await a_turn(store)
    request = ReceiveEvents(name="paid", key="17", limit=10, since=store.now() - timedelta(hours=1))
    entry = NewEntry(kind=EntryKind.SUCCEEDED, key="receive#1", operation="receive")
    assert len(await store.receive_events(lease, request, entry)) == 2
    await clock.advance(AGE * 2)
    assert await counted_then_pruned(store, Kept.EVENTS) == 1
    assert (await sent(store, payload="3")).seq == 3
    assert await received(store, lease) == ["3"]


# -- occurrences


async def test_old_occurrences_go_once_their_runs_have_ended(store: Store, clock: FakeClock) -> None:
    day, first = timedelta(days=1), store.now()
    one = await planned(store, at=first, task="review")
    runs = []
    for n in range(5):
        fired = await store.fire(due(one, first + n * day, after=day, run=a_trigger(task=f"t{n}")))
        assert fired is not None
        assert fired.run_id is not None
        runs.append(fired.run_id)
        if n:
            await completed(store, fired.run_id, f"t{n}")
        await clock.advance(day)
    await clock.advance(AGE - 1.5 * day)
    assert await counted_then_pruned(store, Kept.OCCURRENCES) == 3
    assert {one.run_id for one in await occurrences_of(store)} == {runs[0], runs[4]}


async def test_an_occurrence_its_schedule_could_come_to_again_stays(store: Store, clock: FakeClock) -> None:
    """The clock was put back when the schedule was changed."""
    first = store.now()
    one = await planned(store, at=first, task="review")
    fired = await store.fire(due(one, after=AGE))
    assert fired is not None
    assert fired.run_id is not None
    await completed(store, fired.run_id, "review")
    await store.declare_schedules([declared(task="review", rule="5 * * * *")], ["review"])
    await plan(store, one.id, first - timedelta(hours=1))
    await clock.advance(AGE * 2)
    assert await counted_then_pruned(store, Kept.OCCURRENCES) == 0


async def test_what_is_queued_or_may_be_filled_in_stays(store: Store, clock: FakeClock) -> None:
    one = await planned(store, at=store.now(), task="review", overlap=Overlap.QUEUE)
    fired = await store.fire(due(one))
    assert fired is not None
    assert fired.run_id is not None
    assert await store.fire(due(await store.schedule(one.id))) is not None
    await completed(store, fired.run_id, "review")
    backfill = await store.request_backfill(a_backfill(store.now(), 1))
    await clock.advance(AGE * 2)
    assert await counted_then_pruned(store, Kept.OCCURRENCES) == 0
    await store.cancel_backfill(backfill.id, by="mia")
    assert await counted_then_pruned(store, Kept.OCCURRENCES) == 1
    assert [one.outcome for one in await occurrences_of(store)] == [OccurrenceOutcome.QUEUED]


async def test_finished_backfills_go_with_the_occurrences(store: Store, clock: FakeClock) -> None:
    await planned(store, task="review")
    for n in range(3):
        await store.request_backfill(a_backfill(store.now(), 1, id=f"bkf_{n}"))
    for n in range(2):
        await store.cancel_backfill(f"bkf_{n}", by="mia")
        await clock.advance(AGE * 0.75)
    assert await counted_then_pruned(store, Kept.OCCURRENCES) == 1
    assert [one.id for one in await store.backfills()] == ["bkf_2", "bkf_1"]


# -- deliveries


async def delivered(store: Store) -> set[str]:
    return {one.delivery_id for one in (await store.deliveries(DeliveryFilter())).items}


async def test_old_deliveries_go_once_their_runs_have_ended(store: Store, clock: FakeClock) -> None:
    receipts = [await store.receive_delivery(a_delivery(f"d{n}", run=a_trigger(task=f"t{n}"))) for n in range(5)]
    for n in range(4):
        assert receipts[n].delivery.run_id is not None
        await completed(store, receipts[n].delivery.run_id, f"t{n}")
    await store.receive_delivery(a_refused("d5"))
    await store.receive_delivery(an_ignored("d6"))
    await clock.advance(AGE * 2)
    await store.receive_delivery(a_delivery("young", run=a_trigger()))
    assert await counted_then_pruned(store, Kept.DELIVERIES) == 6
    assert await delivered(store) == {"d4", "young"}


async def test_a_large_body_goes_with_the_last_delivery_of_it(store: Store, clock: FakeClock) -> None:
    large = json.dumps("x" * 200_000)
    await store.receive_delivery(a_refused("d1", large))
    await clock.advance(AGE * 2)
    young = (await store.receive_delivery(a_refused("d2", large))).delivery
    assert await counted_then_pruned(store, Kept.DELIVERIES) == 1
    assert (await store.delivery(young.id)).body == large
    await clock.advance(AGE * 2)
    assert await counted_then_pruned(store, Kept.DELIVERIES) == 1
    assert await store.read(_blobs) == 0  # type: ignore[attr-defined]


def _blobs(tx: Any) -> int:
    return int(tx.row(COUNT_BLOBS, {})[0])
