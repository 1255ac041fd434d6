"""What becomes of an occurrence while a run of its schedule is open, judged where it is fired."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agentflow.errors import QueueFull
from agentflow.limits import Limits
from agentflow.requests import DeclareQueue, Singleton, StartQueued
from agentflow.states import OccurrenceOutcome, Overlap, RunStatus
from agentflow.store.scheduling import firing
from tests.support.schedules import HOUR, declared, due, occurrences_of, paused, planned, resumed
from tests.support.stores import a_trigger, completed

if TYPE_CHECKING:
    from agentflow.records import Occurrence
    from agentflow.store import Store
    from tests.support.stores import Database

ENDED = {RunStatus.CANCELLED, RunStatus.COMPLETED}
STARTED, QUEUED, SKIPPED = OccurrenceOutcome.STARTED, OccurrenceOutcome.QUEUED, OccurrenceOutcome.SKIPPED


async def fired(store: Store, schedule_id: str = "hourly") -> Occurrence:
    """What became of its next occurrence."""
    found = await store.fire(due(await store.schedule(schedule_id)))
    assert found is not None
    return found


async def end(store: Store, one: Occurrence) -> None:
    assert one.run_id is not None
    await completed(store, one.run_id, "report")


def queued_start(one: Occurrence) -> StartQueued:
    return StartQueued(schedule_id=one.schedule_id, fire_at=one.fire_at, run=a_trigger("report"))


async def test_runs_of_a_schedule_that_allows_it_overlap(store: Store) -> None:
    await planned(store)
    assert [(await fired(store)).outcome for _ in range(3)] == [STARTED] * 3


async def test_an_occurrence_is_skipped_while_a_run_is_open(store: Store) -> None:
    await planned(store, overlap=Overlap.SKIP)
    first = await fired(store)

    left_out = await fired(store)
    await end(store, first)
    after = await fired(store)

    assert (left_out.outcome, left_out.run_id, left_out.reason) == (SKIPPED, None, f"run {first.run_id} was open")
    assert after.outcome is STARTED


async def test_occurrences_queue_up_and_start_one_after_the_other_in_their_order(store: Store) -> None:
    await planned(store, overlap=Overlap.QUEUE)
    first = await fired(store)
    waiting = [await fired(store) for _ in range(2)]
    assert [one.outcome for one in waiting] == [QUEUED, QUEUED]
    assert list(await store.queued_occurrences()) == [waiting[0]]
    assert await store.schedulers_are_needed(store.now() - 99 * HOUR)
    assert await store.start_queued(queued_start(waiting[0])) is None

    await end(store, first)
    third = await fired(store)
    started = await store.start_queued(queued_start(waiting[0]))

    assert third.outcome is QUEUED  # behind those that were there before it, though nothing is open
    assert started is not None
    assert started.outcome is STARTED
    assert await store.start_queued(queued_start(waiting[0])) is None
    assert list(await store.queued_occurrences()) == [waiting[1]]
    assert [one.outcome for one in await occurrences_of(store)] == [STARTED, STARTED, QUEUED, QUEUED]


async def test_of_several_schedulers_one_starts_what_is_queued(database: Database) -> None:
    stores = [await database.open() for _ in range(3)]
    await planned(stores[0], overlap=Overlap.QUEUE)
    first, waiting = await fired(stores[0]), await fired(stores[0])
    await end(stores[0], first)

    found = await asyncio.gather(*(one.start_queued(queued_start(waiting)) for one in stores))

    assert sum(one is not None for one in found) == 1
    assert sum((await stores[0].counts()).runs.values()) == 2


async def test_what_is_queued_does_not_start_while_the_schedule_is_paused(store: Store) -> None:
    await planned(store, overlap=Overlap.QUEUE)
    first, waiting = await fired(store), await fired(store)
    await end(store, first)
    await store.pause_schedule(paused())

    assert await store.queued_occurrences() == []
    assert not await store.schedulers_are_needed(store.now() + 99 * HOUR)
    assert await store.start_queued(queued_start(waiting)) is None

    await store.pause_schedule(resumed())
    assert await store.start_queued(queued_start(waiting)) is not None


async def test_no_more_than_so_many_queue_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firing, "MOST_QUEUED", 2)
    await planned(store, overlap=Overlap.QUEUE)

    found = [await fired(store) for _ in range(4)]

    assert [one.outcome for one in found] == [STARTED, QUEUED, QUEUED, SKIPPED]
    assert found[-1].reason == "2 occurrences were queued"


async def test_an_open_run_is_cancelled_by_the_next_occurrence(store: Store) -> None:
    await planned(store, overlap=Overlap.CANCEL)
    first, second = await fired(store), await fired(store)

    assert first.run_id is not None
    assert second.run_id is not None
    assert (await store.run(first.run_id)).status is RunStatus.CANCELLED
    assert (await store.entries(first.run_id))[-1].detail == (
        "cancelled by schedule hourly: its next occurrence starts"
    )
    assert (await store.run(second.run_id)).status is RunStatus.QUEUED


async def test_cancelling_and_ending_at_once_leave_one_run_open(database: Database) -> None:
    """The schedule cancels its run while a worker claims it, and two schedulers fire."""
    stores = [await database.open() for _ in range(3)]
    await planned(stores[0], overlap=Overlap.CANCEL)
    for _ in range(5):
        one = await stores[0].schedule("hourly")
        at = one.next_fire_at
        assert at is not None
        open_now = [fire.run_id for fire in await occurrences_of(stores[0]) if fire.run_status not in ENDED]
        cancels = [stores[2].cancel(run_id, by="mia", reason="") for run_id in open_now if run_id]
        await asyncio.gather(
            stores[0].fire(due(one, at)), stores[1].fire(due(one, at)), *cancels, return_exceptions=True
        )
    found = await occurrences_of(stores[0])
    assert len(found) == 5
    assert [fire.run_status for fire in found] == [RunStatus.CANCELLED] * 4 + [RunStatus.QUEUED]


async def test_a_run_of_long_ago_that_is_still_open_counts(store: Store) -> None:
    """Runs are looked back at in the order in which they were started, by hand ones too."""
    await planned(store, overlap=Overlap.ALLOW)
    first = await fired(store)
    for _ in range(50):
        await end(store, await fired(store))
    await store.declare_schedules([declared(overlap=Overlap.SKIP)], ["report"])
    assert (await fired(store)).reason == f"run {first.run_id} was open"


async def test_a_taken_singleton_key_skips_the_occurrence(store: Store) -> None:
    one = await planned(store)
    held = a_trigger("report", singleton=Singleton("", "skip"))
    first = await store.fire(due(one, run=held))

    found = await store.fire(due(await store.schedule("hourly"), run=held))

    assert first is not None
    assert found is not None
    assert (found.outcome, found.reason) == (SKIPPED, f"run {first.run_id} had the singleton key")


async def test_a_full_queue_leaves_the_occurrence_due(store: Store) -> None:
    await store.declare_queues([DeclareQueue(name="slow", limits=Limits(backlog=1))])
    one = await planned(store)
    assert await store.fire(due(one, run=a_trigger("report", queue="slow"))) is not None
    second = await store.schedule("hourly")

    with pytest.raises(QueueFull):
        await store.fire(due(second, run=a_trigger("report", queue="slow")))

    assert await store.schedule("hourly") == second
    assert len(await occurrences_of(store)) == 1
