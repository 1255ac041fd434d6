"""Backfills: every time of a range gets its run once, bit by bit, whoever works it off."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agentflow.errors import BackfillNotFound, IdempotencyMismatch, ScheduleNotFound
from agentflow.states import OccurrenceKind, OccurrenceOutcome, Overlap, RunStatus
from tests.support.schedules import HOUR, a_backfill, due, missed, occurrences_of, planned, step
from tests.support.stores import a_trigger, completed

if TYPE_CHECKING:
    from agentflow.records import Backfill
    from agentflow.store import Store
    from agentflow.testing import FakeClock
    from tests.support.stores import Database

STARTED, SKIPPED, MISSED = OccurrenceOutcome.STARTED, OccurrenceOutcome.SKIPPED, OccurrenceOutcome.MISSED


async def begun(store: Store, hours: int, overlap: Overlap = Overlap.ALLOW) -> Backfill:
    """A backfill of the hours before now."""
    await planned(store)
    return await store.request_backfill(a_backfill(store.now() - hours * HOUR, hours, overlap))


async def worked_off(store: Store, one: Backfill, most: int = 50) -> Backfill:
    for _ in range(most):
        if one.finished_at is not None:
            return one
        one = await store.advance_backfill(step(one))
    raise AssertionError(f"not finished after {most} steps: {one}")


async def test_a_backfill_starts_each_time_of_its_range_and_no_other(store: Store) -> None:
    one = await begun(store, 3)
    assert list(await store.open_backfills()) == [one]
    assert await store.schedulers_are_needed(store.now() - 99 * HOUR)
    assert (one.cursor, one.started, one.requested_by) == (one.since, 0, "mia")

    done = await worked_off(store, one)

    assert (done.started, done.cursor, done.finished_at) == (3, done.until, store.now())
    found = await occurrences_of(store)
    assert [fired.fire_at for fired in found] == [one.since + n * HOUR for n in range(3)]
    assert {(fired.kind, fired.outcome) for fired in found} == {(OccurrenceKind.BACKFILL, STARTED)}
    assert await store.open_backfills() == []
    assert not await store.schedulers_are_needed(store.now() - 99 * HOUR)
    assert (await store.schedule("hourly")).last_fire_at is None


async def test_what_has_its_run_is_not_started_again(store: Store, clock: FakeClock) -> None:
    one = await planned(store)
    await store.fire(due(one))
    clock.advance("3h")

    asked = await store.request_backfill(a_backfill(store.now() - 3 * HOUR, 3))
    again = await store.request_backfill(a_backfill(store.now() - 3 * HOUR, 3, id="bkf_2"))
    first, second = await worked_off(store, asked), await worked_off(store, again)

    assert (first.started, second.started) == (2, 0)
    assert len(await occurrences_of(store)) == 3
    assert sum((await store.counts()).runs.values()) == 3


async def test_what_was_filled_in_before_it_came_due_fires_no_more(store: Store, clock: FakeClock) -> None:
    one = await planned(store)
    clock.advance("2h")
    await worked_off(store, await store.request_backfill(a_backfill(one.next_fire_at or store.now(), 1)))

    assert await store.fire(due(one)) is None

    assert (await store.schedule("hourly")).next_fire_at == store.now()
    assert sum((await store.counts()).runs.values()) == 1


async def test_what_was_skipped_or_missed_is_filled_in(store: Store, clock: FakeClock) -> None:
    one = await planned(store, overlap=Overlap.SKIP)
    first = store.now() + HOUR
    await store.fire(due(one))
    await store.fire(due(one, first + HOUR))
    gone = await store.schedule("hourly")
    await store.miss(missed(gone, 4, first + 6 * HOUR))
    clock.advance("8h")

    done = await worked_off(store, await store.request_backfill(a_backfill(first, 4)))

    assert done.started == 3
    found = await occurrences_of(store)
    assert [(fired.outcome, fired.count) for fired in found] == [(STARTED, 1)] * 4 + [(MISSED, 2)]
    assert found[-1].fire_at == first + 4 * HOUR


async def test_of_several_schedulers_one_makes_each_step(database: Database) -> None:
    stores = [await database.open() for _ in range(3)]
    one = await begun(stores[0], 4)

    while one.finished_at is None:
        seen = await asyncio.gather(*(stores[n % 3].advance_backfill(step(one)) for n in range(6)))
        assert {after.cursor for after in seen} == {one.cursor + HOUR}
        one = seen[0]

    assert (await stores[0].backfill(one.id)).started == 4
    assert sum((await stores[0].counts()).runs.values()) == 4


async def test_a_backfill_that_queues_waits_for_the_run_before(store: Store) -> None:
    one = await begun(store, 3, Overlap.QUEUE)
    first = await store.advance_backfill(step(one))
    assert await store.advance_backfill(step(first)) == first

    (run,) = [fired.run_id for fired in await occurrences_of(store)]
    assert run is not None
    await completed(store, run, "report")

    assert (await store.advance_backfill(step(first))).started == 2


async def test_a_backfill_skips_or_cancels_as_it_was_asked_to(store: Store) -> None:
    one = await begun(store, 3, Overlap.SKIP)
    assert (await worked_off(store, one)).started == 1
    assert [fired.outcome for fired in await occurrences_of(store)] == [STARTED, SKIPPED, SKIPPED]

    again = await store.request_backfill(a_backfill(one.since, 3, Overlap.CANCEL, id="bkf_2"))
    assert (await worked_off(store, again)).started == 2
    assert [fired.run_status for fired in await occurrences_of(store)] == [
        RunStatus.CANCELLED,
        RunStatus.CANCELLED,
        RunStatus.QUEUED,
    ]


async def test_a_cancelled_backfill_goes_no_further(store: Store) -> None:
    one = await store.advance_backfill(step(await begun(store, 3)))

    ended = await store.cancel_backfill(one.id, by="tom")

    assert (ended.cancelled_by, ended.finished_at, ended.started) == ("tom", store.now(), 1)
    assert await store.advance_backfill(step(one)) == ended
    assert await store.cancel_backfill(one.id, by="mia") == ended
    assert len(await occurrences_of(store)) == 1


async def test_a_range_without_any_time_is_done_at_once(store: Store) -> None:
    one = await begun(store, 3)
    done = await store.advance_backfill(step(one, fire_at=None, next_at=None, run=None))
    assert (done.started, done.cursor, done.finished_at) == (0, one.until, store.now())


async def test_times_beyond_the_range_are_not_started(store: Store) -> None:
    one = await begun(store, 1)
    done = await store.advance_backfill(step(one, fire_at=one.until, next_at=one.until + HOUR))
    assert (done.started, done.finished_at) == (0, store.now())


async def test_a_refused_run_leaves_the_step_to_be_made(store: Store) -> None:
    one = await begun(store, 1)
    await store.trigger(a_trigger("report", idempotency_key="taken"))

    with pytest.raises(IdempotencyMismatch):
        await store.advance_backfill(step(one, run=a_trigger("report", "[]", idempotency_key="taken")))

    assert await store.backfill(one.id) == one
    assert (await store.advance_backfill(step(one))).started == 1


async def test_backfills_are_found_by_schedule_and_by_id(store: Store) -> None:
    one = await begun(store, 1)
    other = await store.request_backfill(a_backfill(one.since, 2, id="bkf_2"))

    assert list(await store.backfills("hourly")) in ([one, other], [other, one])
    assert list(await store.backfills()) == [other, one]
    assert await store.backfills("none") == []
    assert await store.request_backfill(replace(a_backfill(one.since, 9), id=one.id)) == one
    for verb in (store.backfill("none"), store.cancel_backfill("none", by="mia")):
        with pytest.raises(BackfillNotFound):
            await verb
    with pytest.raises(ScheduleNotFound):
        await store.request_backfill(a_backfill(one.since, 1, schedule_id="none", id="bkf_3"))
