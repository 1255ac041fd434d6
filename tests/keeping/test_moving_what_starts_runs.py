"""Schedules, webhooks, events, subscribers and tokens move too: nothing starts or is told twice, nothing is missed."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.requests import (
    DeclareListener,
    DeliveryFilter,
    DispatchFilter,
    Kept,
    NewToken,
    Prune,
    RunFilter,
    SendEvent,
    SettleMatch,
    StartQueued,
    TriggerRun,
)
from agentflow.states import MatchStatus, OccurrenceOutcome, Overlap
from agentflow.store.keeping.checking import check
from agentflow.store.keeping.moving import move
from agentflow.store.keeping.places import place_of
from agentflow.telling.outbox import Outbox
from tests.conformance.test_telling import a_subscription, settled
from tests.conformance.test_telling import claimed as claimed_dispatches
from tests.support.deliveries import a_delivery, a_refused
from tests.support.schedules import HOUR, a_backfill, declared, due, occurrences_of, paused, planned, step
from tests.support.stores import a_trigger, database_of

if TYPE_CHECKING:
    from pathlib import Path

    from agentflow.records import Subscription
    from agentflow.store import Store
    from tests.support.stores import Database

LARGE = json.dumps(["x" * 200_000])
WAYS = [("sqlite", "postgres"), ("postgres", "sqlite"), ("sqlite", "sqlite"), ("postgres", "postgres")]
LISTENER = DeclareListener(id="book", task="book", pattern="*")


async def ended(store: Store, task: str = "quick") -> str:
    return (await store.cancel((await store.trigger(a_trigger(task))).id, by="mia", reason="")).id


async def tell_all(store: Store, *to: Subscription) -> None:
    """What has happened is on its way to these subscribers, as the loop of a process does it."""
    outbox = Outbox(store)
    while await outbox.go_on([await store.subscription(one.id) for one in to]):
        pass


async def told_of(store: Store, to: Subscription) -> list[tuple[str, str]]:
    found = (await store.dispatches(DispatchFilter(subscription_id=to.id, limit=100))).items
    return sorted((one.run_id, one.event) for one in found)


def moved(source: Database, destination: Database) -> None:
    with place_of(source.url) as here, place_of(destination.url) as there:
        move(here, there, lambda _: None)
        assert list(check(there, lambda _: None)) == []


# -- all of it


async def kept_in(store: Store) -> list[Any]:
    """What is stored of what starts runs, as the verbs tell it."""
    names = ("hourly", "asked")
    deliveries = (await store.deliveries(DeliveryFilter())).items
    return [
        await store.schedules(),
        [await occurrences_of(store, name) for name in names],
        await store.backfills(),
        [await store.schedule_changes(name) for name in names],
        deliveries,
        [(await store.delivery(one.id)).body for one in deliveries],
        await store.listeners(),
        await store.matches(["evt_1", "evt_2"]),
        await store.api_tokens(),
        await store.session("s_1"),
        [one.id for one in (await store.runs(RunFilter(tags=["eu"]))).items],
    ]


async def fill(store: Store) -> None:
    hourly = await planned(store, overlap=Overlap.QUEUE)
    await store.fire(due(hourly))
    await store.fire(due(await store.schedule(hourly.id)))
    await store.request_backfill(a_backfill(store.now() - 5 * HOUR, 3))
    await store.advance_backfill(step((await store.open_backfills())[0]))
    await store.upsert_schedule(declared("asked", input='{"n":1}'), by="mia")
    await store.pause_schedule(paused("asked", reason="holidays"))
    await store.receive_delivery(a_delivery("d1", LARGE))
    await store.receive_delivery(a_refused("d2"))
    await store.declare_listeners([LISTENER], ["book"], begins=True)
    for number in (1, 2):
        await store.send_event(SendEvent(id=f"evt_{number}", name="paid", key="", payload="1", sent_by="tests"))
    await store.settle_match(SettleMatch(event_id="evt_1", listener_id="book", status=MatchStatus.STARTED, run=_book()))
    await store.add_token(NewToken(id="tok_1", name="ci", digest="d", scopes='["*"]', created_by="mia"))
    await store.open_session("s_1", "tok_1", keep_for=timedelta(days=1))
    await store.trigger(TriggerRun(task="t", version="1", input="{}", tags=("eu", "büro")))


def _book() -> TriggerRun:
    return a_trigger("book", origin="event paid")


async def goes_on(store: Store) -> list[Any]:
    """What was under way, and goes on: each once."""
    first = next(one for one in await occurrences_of(store) if one.outcome is OccurrenceOutcome.STARTED and one.run_id)
    for one in (await store.runs(RunFilter(task="report"))).items:
        await store.cancel(one.id, by="mia", reason="")
    (queued,) = await store.queued_occurrences()
    request = StartQueued(schedule_id=queued.schedule_id, fire_at=queued.fire_at, run=a_trigger("report"))
    (backfill,) = await store.open_backfills()
    again = await store.receive_delivery(a_delivery("d1", LARGE))
    settle = SettleMatch(event_id="evt_2", listener_id="book", status=MatchStatus.STARTED, run=_book())
    return [
        first.run_id is not None,
        [(await store.start_queued(request)) is not None for _ in range(2)],
        (await store.advance_backfill(step(backfill))).started,
        again.repeated,
        [one.event.id for one in await store.pending_matches(["book"], limit=9)],
        [(await store.settle_match(settle)) is not None for _ in range(2)],
    ]


@pytest.mark.parametrize(("kind", "other"), WAYS, ids=str)
async def test_it_is_there_afterwards_and_each_goes_on_once(tmp_path: Path, kind: str, other: str) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    async with database_of(kind, tmp_path / "a") as source, database_of(other, tmp_path / "b") as destination:
        store = await source.open()
        await fill(store)
        before = await kept_in(store)

        moved(source, destination)

        destination.clock = source.clock
        found = await destination.open()
        assert await kept_in(found) == before
        assert await goes_on(found) == [True, [True, False], 2, True, ["evt_2"], [True, False]]


# -- subscribers


@pytest.mark.parametrize(("kind", "other"), WAYS, ids=str)
async def test_a_subscriber_is_told_of_everything_once(tmp_path: Path, kind: str, other: str) -> None:
    """Before the move, on the way at the time, not looked at before it, and after it."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    async with database_of(kind, tmp_path / "a") as source, database_of(other, tmp_path / "b") as destination:
        store = await source.open()
        quick = await a_subscription(store, events='["run.cancelled"]')
        runs = [await ended(store) for _ in range(3)]
        await tell_all(store, quick)
        (sent, *waits) = await claimed_dispatches(store, quick)
        await store.settle_dispatch(settled(sent))
        runs.append(await ended(store))  # which no process has looked at yet
        before = await store.subscription(quick.id)

        moved(source, destination)

        destination.clock = source.clock
        there = await destination.open()
        assert await there.subscription(quick.id) == before
        runs.append(await ended(there))
        await tell_all(there, quick)
        assert await told_of(there, quick) == sorted((one, "run.cancelled") for one in runs)
        await destination.clock.advance(timedelta(minutes=2))
        due_there = await claimed_dispatches(there, quick)
        assert {one.run_id for one in due_there} == {one.run_id for one in waits} | set(runs[3:])
        assert len(due_there) == 4
        assert {one.id for one in waits} < {one.id for one in due_there}


@pytest.mark.parametrize(("kind", "other"), WAYS, ids=str)
async def test_a_subscriber_hears_on_though_all_it_heard_of_was_removed_before(
    tmp_path: Path, kind: str, other: str
) -> None:
    """Numbers of entries there follow the place it has come to, wherever that came from."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    async with database_of(kind, tmp_path / "a") as source, database_of(other, tmp_path / "b") as destination:
        store = await source.open()
        quick = await a_subscription(store, events='["run.cancelled"]')
        for _ in range(5):
            await ended(store)
        await tell_all(store, quick)
        await source.clock.advance(timedelta(days=1))
        await remove_all(store)

        moved(source, destination)

        destination.clock = source.clock
        there = await destination.open()
        heard = await told_of(there, quick)
        new = await ended(there)
        await tell_all(there, quick)
        assert sorted([*heard, (new, "run.cancelled")]) == await told_of(there, quick)


async def remove_all(store: Store) -> None:
    assert (await store.prune(Prune(kind=Kept.RUNS, before=store.now()))).removed == 4
