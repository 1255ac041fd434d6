"""What grows old by itself is removed by its age, and never what something open may still read or be kept by."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest

from agentflow.clock import to_micros
from agentflow.requests import (
    Completed,
    DeclareSchedule,
    Deliver,
    Fire,
    Kept,
    NewEntry,
    NewLogLine,
    Prune,
    ReceiveEvents,
    SendEvent,
)
from agentflow.states import EntryKind
from tests.support.stores import a_trigger, a_turn, completed

if TYPE_CHECKING:
    from datetime import datetime

    from agentflow.records import Event
    from agentflow.store import Store
    from agentflow.testing import FakeClock

AGE = timedelta(days=14)
_numbers = count()


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


async def a_schedule(store: Store, first: datetime) -> str:
    declared = DeclareSchedule(
        id="nightly", task="review", version="1", rule="@daily", timezone="UTC", input="{}", first_fire_at=first
    )
    await store.declare_schedules([declared], ["review"])
    return declared.id


async def test_old_occurrences_go_once_their_runs_have_ended(store: Store, clock: FakeClock) -> None:
    day, first = timedelta(days=1), store.now()
    name = await a_schedule(store, first)
    runs = []
    for n in range(5):
        made = a_trigger(task=f"t{n}")
        run = await store.fire(
            Fire(schedule_id=name, fire_at=first + n * day, next_fire_at=first + (n + 1) * day, run=made)
        )
        assert run is not None
        runs.append(run.id)
        if n:
            await completed(store, run.id, f"t{n}")
    await clock.advance(AGE + 3.5 * day)
    assert await counted_then_pruned(store, Kept.OCCURRENCES) == 3
    assert {one.run_id for one in await store.occurrences(name)} == {runs[0], runs[4]}


async def test_an_occurrence_its_schedule_could_come_to_again_stays(store: Store, clock: FakeClock) -> None:
    first = store.now()
    name = await a_schedule(store, first)
    run = await store.fire(Fire(schedule_id=name, fire_at=first, next_fire_at=first + AGE, run=a_trigger()))
    assert run is not None
    await completed(store, run.id, "review")
    changed = DeclareSchedule(
        id=name,
        task="review",
        version="1",
        rule="@hourly",
        timezone="UTC",
        input="{}",
        first_fire_at=first - timedelta(hours=1),
    )
    await store.declare_schedules([changed], ["review"])
    await clock.advance(AGE * 2)
    assert await counted_then_pruned(store, Kept.OCCURRENCES) == 0


# -- deliveries


async def test_old_deliveries_go_once_their_runs_have_ended(store: Store, clock: FakeClock) -> None:
    for n in range(5):
        await store.deliver(Deliver(webhook="/paid", delivery_id=f"d{n}", digest="x", run=a_trigger(task=f"t{n}")))
    for n in range(4):
        (run_id,) = [one.run_id for one in await store.deliveries() if one.delivery_id == f"d{n}"]
        await completed(store, run_id, f"t{n}")
    await clock.advance(AGE * 2)
    await store.deliver(Deliver(webhook="/paid", delivery_id="young", digest="x", run=a_trigger()))
    assert await counted_then_pruned(store, Kept.DELIVERIES) == 4
    assert {one.delivery_id for one in await store.deliveries()} == {"d4", "young"}
