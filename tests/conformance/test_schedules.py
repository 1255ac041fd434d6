"""Schedules: made by code and by programs, planned, paused and removed; each of their times starts one run."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from agentflow.errors import IdempotencyMismatch, InvalidSetting, ScheduleNotFound, ScheduleTaken
from agentflow.requests import FireByHand, RunFilter
from agentflow.states import OccurrenceKind, OccurrenceOutcome, Overlap
from tests.support.schedules import (
    HOUR,
    a_backfill,
    declared,
    due,
    missed,
    occurrences_of,
    paused,
    plan,
    planned,
    resumed,
)
from tests.support.stores import a_trigger

if TYPE_CHECKING:
    from agentflow.store import Store
    from agentflow.testing import FakeClock
    from tests.support.stores import Database


async def runs_in(store: Store) -> int:
    return sum((await store.counts()).runs.values())


# -- declared in code


async def test_a_declared_schedule_is_to_be_planned_from_now(store: Store) -> None:
    done = await store.declare_schedules([declared(overlap=Overlap.SKIP, spread=HOUR)], ["report"])

    (stored,) = await store.schedules()
    assert (list(done.added), done.changed, done.removed, done.kept) == ([stored], [], [], [])
    assert (stored.source, stored.revision, stored.overlap, stored.spread) == ("code", 1, Overlap.SKIP, HOUR)
    assert (stored.next_fire_at, stored.plan_from, stored.changed_by) == (None, store.now(), "code")
    assert list(await store.due_schedules(store.now())) == [stored]


async def test_declaring_again_keeps_the_next_time_unless_the_times_changed(store: Store, clock: FakeClock) -> None:
    first = await planned(store)
    clock.advance("30m")

    again = await store.declare_schedules([declared()], ["report"])
    assert list(again.kept) == [first]
    other = await store.declare_schedules([declared(input='{"n":2}')], ["report"])
    assert [(one.next_fire_at, one.revision) for one in other.changed] == [(first.next_fire_at, 2)]
    assert list(other.before) == [first]
    moved = await store.declare_schedules([declared(input='{"n":2}', timezone="Europe/Berlin")], ["report"])
    assert [(one.next_fire_at, one.plan_from) for one in moved.changed] == [(None, store.now())]


async def test_schedules_no_longer_declared_are_removed_but_not_those_of_other_programs(store: Store) -> None:
    await store.declare_schedules([declared("nightly", task="backup")], ["backup"])
    await store.upsert_schedule(declared("tenant-7"), by="mia")
    await store.declare_schedules([declared(), declared("daily")], ["report"])

    done = await store.declare_schedules([declared("daily")], ["report"])

    assert [one.id for one in done.removed] == ["hourly"]
    assert [one.id for one in await store.schedules()] == ["daily", "nightly", "tenant-7"]


async def test_a_dry_run_tells_what_would_be_done_and_does_nothing(store: Store) -> None:
    await store.declare_schedules([declared(), declared("daily")], ["report"])
    before = await store.schedules()

    told = await store.declare_schedules([declared(rule="5 * * * *"), declared("new")], ["report"], dry_run=True)

    assert [one.id for one in (*told.added, *told.changed, *told.removed)] == ["new", "hourly", "daily"]
    assert [one.rule for one in (*told.before, *told.changed)] == ["0 * * * *", "5 * * * *"]
    assert list(await store.schedules()) == list(before)
    done = await store.declare_schedules([declared(rule="5 * * * *"), declared("new")], ["report"])
    assert replace(done.changed[0], changed_at=None) == replace(told.changed[0], changed_at=None)


async def test_code_and_programs_do_not_take_each_others_ids(store: Store) -> None:
    await store.upsert_schedule(declared("tenant-7"), by="mia")
    await store.declare_schedules([declared()], ["report"])

    with pytest.raises(ScheduleTaken, match=r"made by a program.*another id="):
        await store.declare_schedules([declared("tenant-7"), declared("new")], ["report"])
    with pytest.raises(ScheduleTaken, match="declared in code"):
        await store.upsert_schedule(declared(rule="5 * * * *"), by="mia")
    with pytest.raises(ScheduleTaken, match=r"declared in code.*pause it"):
        await store.remove_schedule("hourly", by="mia")

    assert [(one.id, one.rule) for one in await store.schedules()] == [
        ("hourly", "0 * * * *"),
        ("tenant-7", "0 * * * *"),
    ]


async def test_two_schedulers_that_start_at_once_declare_each_schedule_once(database: Database) -> None:
    stores = [await database.open() for _ in range(3)]
    wanted = [declared(name) for name in ("a", "b", "c")]

    done = await asyncio.gather(
        *(one.declare_schedules(wanted[:: (-1) ** n], ["report"]) for n, one in enumerate(stores))
    )

    assert sorted(len(one.added) for one in done) == [0, 0, 3]
    assert [one.revision for one in await stores[0].schedules()] == [1, 1, 1]


# -- made by programs


async def test_a_program_makes_and_changes_its_schedules(store: Store, clock: FakeClock) -> None:
    made = await store.upsert_schedule(declared("tenant-7"), by="mia")
    await plan(store, "tenant-7", store.now() + HOUR)
    clock.advance("1m")

    same = await store.upsert_schedule(declared("tenant-7"), by="tom")
    changed = await store.upsert_schedule(declared("tenant-7", rule="5 * * * *"), by="tom")

    assert (made.source, made.revision, made.changed_by) == ("program", 1, "mia")
    assert (same.revision, same.changed_by) == (1, "mia")
    assert (changed.revision, changed.changed_by, changed.plan_from) == (2, "tom", store.now())
    assert [
        (one.changed_by, json.loads(one.change).get("rule")) for one in await store.schedule_changes("tenant-7")
    ] == [
        ("tom", ["0 * * * *", "5 * * * *"]),
        ("mia", [None, "0 * * * *"]),
    ]


async def test_a_removed_schedule_fires_no_more_and_its_past_stays(store: Store) -> None:
    await store.upsert_schedule(declared(overlap=Overlap.QUEUE), by="mia")
    one = await plan(store, "hourly", store.now())
    await store.fire(due(one))
    await store.fire(due(await store.schedule("hourly")))
    await store.request_backfill(a_backfill(store.now() - 5 * HOUR, 2))

    await store.remove_schedule("hourly", by="tom")

    with pytest.raises(ScheduleNotFound):
        await store.schedule("hourly")
    assert await store.fire(due(one, store.now() + 2 * HOUR)) is None
    assert await store.open_backfills() == []
    (ended,) = await store.backfills("hourly")
    assert (ended.cancelled_by, ended.finished_at) == ("tom", store.now())
    started, queued = await occurrences_of(store)
    assert (started.outcome, queued.outcome) == (OccurrenceOutcome.STARTED, OccurrenceOutcome.SKIPPED)
    assert queued.reason == "the schedule was removed by tom"
    assert json.loads((await store.schedule_changes("hourly"))[0].change) == {"removed": [False, True]}
    with pytest.raises(ScheduleNotFound):
        await store.remove_schedule("hourly", by="tom")


# -- planned and paused


async def test_of_two_that_plan_one_does(database: Database) -> None:
    stores = [await database.open() for _ in range(3)]
    await stores[0].declare_schedules([declared()], ["report"])
    (one,) = await stores[0].schedules()
    assert one.plan_from is not None
    at = one.plan_from + HOUR

    done = await asyncio.gather(
        *(each.plan_schedule("hourly", revision=1, plan_from=one.plan_from, next_fire_at=at) for each in stores)
    )

    assert sorted(done) == [False, False, True]
    assert (await stores[0].schedule("hourly")).next_fire_at == at


async def test_a_plan_of_what_the_schedule_was_before_is_not_taken(store: Store) -> None:
    await store.declare_schedules([declared()], ["report"])
    (old,) = await store.schedules()
    assert old.plan_from is not None
    await store.declare_schedules([declared(rule="5 * * * *")], ["report"])

    assert not await store.plan_schedule("hourly", revision=1, plan_from=old.plan_from, next_fire_at=store.now())

    assert (await store.schedule("hourly")).next_fire_at is None


async def test_a_paused_schedule_fires_nothing_and_goes_on_from_when_it_is_resumed(
    store: Store, clock: FakeClock
) -> None:
    one = await planned(store)
    stopped = await store.pause_schedule(paused(reason="month's end"))
    assert (stopped.paused_by, stopped.pause_reason, stopped.paused_at) == ("mia", "month's end", store.now())
    clock.advance("5h")

    assert await store.fire(due(one)) is None
    assert await store.miss(missed(one, 4, store.now())) is None
    assert await store.due_schedules(store.now()) == []
    assert await store.pause_schedule(paused(by="tom", reason="again")) == stopped

    gone_on = await store.pause_schedule(resumed(by="tom"))
    assert (gone_on.paused_at, gone_on.plan_from) == (None, store.now())
    assert await store.fire(due(one)) is None
    assert await store.pause_schedule(resumed()) == gone_on
    assert [(one.changed_by, one.reason) for one in await store.schedule_changes("hourly")] == [
        ("tom", ""),
        ("mia", "month's end"),
        ("code", ""),
    ]


async def test_a_change_of_a_paused_schedule_does_not_wake_it(store: Store) -> None:
    await planned(store)
    await store.pause_schedule(paused())

    await store.declare_schedules([declared(rule="5 * * * *")], ["report"])

    (one,) = await store.schedules()
    assert (one.plan_from, one.next_fire_at, one.paused_by) == (None, None, "mia")
    with pytest.raises(ScheduleNotFound):
        await store.pause_schedule(paused("none"))


async def test_only_what_a_scheduler_has_to_look_at_is_due(store: Store) -> None:
    now = store.now()
    for name, at in (("now", now), ("soon", now + HOUR), ("late", now + 9 * HOUR)):
        await store.upsert_schedule(declared(name), by="mia")
        await plan(store, name, at)
    await store.upsert_schedule(declared("over"), by="mia")
    await plan(store, "over", None)
    assert not await store.schedulers_are_needed(now - HOUR)
    assert await store.schedulers_are_needed(now)
    await store.upsert_schedule(declared("unplanned"), by="mia")

    assert await store.schedulers_are_needed(now - HOUR)
    assert [one.id for one in await store.due_schedules(now + HOUR)] == ["now", "soon", "unplanned"]


# -- fired


async def test_an_occurrence_starts_its_run_and_advances_the_schedule(store: Store) -> None:
    one = await planned(store)
    at = store.now() + HOUR

    fired = await store.fire(due(one))

    assert fired is not None
    assert fired.run_id is not None
    assert (fired.outcome, fired.kind, fired.revision) == (OccurrenceOutcome.STARTED, OccurrenceKind.DUE, 1)
    assert (await store.run(fired.run_id)).task == "report"
    stored = await store.schedule("hourly")
    assert (stored.next_fire_at, stored.last_fire_at) == (at + HOUR, at)
    (listed,) = await occurrences_of(store)
    assert replace(listed, run_status=None) == fired
    assert listed.run_status == "queued"


async def test_an_occurrence_fires_once_however_many_see_it(database: Database) -> None:
    stores = [await database.open() for _ in range(3)]
    one = await planned(stores[0])

    made = await asyncio.gather(*(stores[n % 3].fire(due(one)) for n in range(10)))

    assert sum(fired is not None for fired in made) == 1
    assert await runs_in(stores[0]) == 1
    assert len(await occurrences_of(stores[0])) == 1


async def test_a_late_scheduler_neither_fires_again_nor_turns_the_schedule_back(store: Store) -> None:
    one = await planned(store)
    first = store.now() + HOUR
    for n in range(3):
        assert await store.fire(due(one, first + n * HOUR)) is not None

    assert await store.fire(due(one, first)) is None

    stored = await store.schedule("hourly")
    assert (stored.next_fire_at, stored.last_fire_at) == (first + 3 * HOUR, first + 2 * HOUR)
    assert await runs_in(store) == 3


async def test_what_was_missed_is_one_row_with_its_count(store: Store, clock: FakeClock) -> None:
    one = await planned(store)
    first = store.now() + HOUR
    clock.advance("5h")

    gone = await store.miss(missed(one, 4, first + 4 * HOUR))
    caught_up = await store.fire(due(one, first + 4 * HOUR, kind=OccurrenceKind.CAUGHT_UP))

    assert gone is not None
    assert (gone.outcome, gone.count, gone.run_id) == (OccurrenceOutcome.MISSED, 4, None)
    assert caught_up is not None
    assert caught_up.kind is OccurrenceKind.CAUGHT_UP
    for n in range(4):
        assert await store.fire(due(one, first + n * HOUR)) is None
    assert await store.miss(missed(one, 4, first + 4 * HOUR)) is None
    stored = await store.schedule("hourly")
    assert (stored.next_fire_at, stored.last_fire_at) == (first + 5 * HOUR, first + 4 * HOUR)


async def test_an_occurrence_of_what_the_schedule_was_before_does_not_fire(store: Store) -> None:
    one = await planned(store)
    await store.declare_schedules([declared(input='{"n":2}')], ["report"])

    assert await store.fire(due(one)) is None
    assert await store.fire(due(await store.schedule("hourly"))) is not None


async def test_a_schedule_that_has_fired_for_the_last_time_stays(store: Store) -> None:
    one = await planned(store)

    assert await store.fire(due(one, after=None)) is not None

    assert (await store.schedule("hourly")).next_fire_at is None
    assert await store.fire(due(one, after=None)) is None


async def test_a_refused_run_leaves_the_occurrence_to_be_fired(store: Store) -> None:
    one = await planned(store)
    await store.trigger(a_trigger("report", idempotency_key="taken"))

    with pytest.raises(IdempotencyMismatch):
        await store.fire(due(one, run=a_trigger("report", "[]", idempotency_key="taken")))

    assert (await store.schedule("hourly")).next_fire_at == one.next_fire_at
    assert await store.fire(due(one)) is not None


async def test_somebody_starts_a_run_whatever_the_schedule_is_doing(store: Store) -> None:
    one = await planned(store, overlap=Overlap.SKIP)
    await store.fire(due(one))
    await store.pause_schedule(paused())
    at = store.now() + timedelta(microseconds=1)
    asked = FireByHand(schedule_id="hourly", fire_at=at, by="mia", run=a_trigger("report"))

    made = await store.fire_by_hand(asked)

    assert made is not None
    assert await store.fire_by_hand(asked) is None
    by_hand = (await occurrences_of(store))[0]
    assert (by_hand.kind, by_hand.run_id, by_hand.reason) == (OccurrenceKind.BY_HAND, made.id, "asked for by mia")
    assert made.id in {run.id for run in (await store.runs(RunFilter())).items}
    with pytest.raises(ScheduleNotFound):
        await store.fire_by_hand(replace(asked, schedule_id="none"))


# -- listed


async def test_occurrences_are_listed_page_by_page_the_latest_first(store: Store) -> None:
    one = await planned(store)
    first = store.now() + HOUR
    for n in range(5):
        await store.fire(due(one, first + n * HOUR))

    seen, cursor = [], None
    while True:
        page = await store.occurrences("hourly", cursor=cursor, limit=2)
        seen += [fired.fire_at for fired in page.items]
        if (cursor := page.next_cursor) is None:
            break

    assert seen == [first + n * HOUR for n in (4, 3, 2, 1, 0)]
    assert (await store.occurrences("none")).items == []
    for nonsense in ("x", "1.5", "9" * 30, "²"):
        with pytest.raises(InvalidSetting, match="cursor"):
            await store.occurrences("hourly", cursor=nonsense)


async def test_of_each_schedule_the_latest_few_are_found(store: Store) -> None:
    first = store.now() + HOUR
    for name, times in (("a", 5), ("b", 1), ("c", 0)):
        await store.upsert_schedule(declared(name), by="mia")
        one = await plan(store, name, first)
        for n in range(times):
            await store.fire(due(one, first + n * HOUR))

    found = await store.latest_occurrences(["a", "b", "c", "none"], limit=2)

    assert [(one.schedule_id, one.fire_at) for one in found] == [
        ("a", first + 4 * HOUR),
        ("a", first + 3 * HOUR),
        ("b", first),
    ]
    assert await store.latest_occurrences([], limit=2) == []
