"""What is to come, what has come due, and what was missed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agentflow.records import Schedule
from agentflow.states import OccurrenceKind, Overlap
from schedulers import upcoming
from schedulers.occurrences import Look, delay, following, look

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOURLY = "0 * * * *"


def stored(rule: str, next_fire_at: datetime | None, timezone: str = "UTC", **others: Any) -> Schedule:
    plain: dict[str, Any] = dict.fromkeys(Schedule.__dataclass_fields__)
    known = {"id": "s", "task": "report", "rule": rule, "timezone": timezone, "input": "{}", "created_at": NOON}
    terms = {"spread": timedelta(), "overlap": Overlap.ALLOW, "catch_up": "latest", "revision": 1, "source": "code"}
    return Schedule(**plain | known | terms | {"next_fire_at": next_fire_at} | others)


def clocks(found: Look) -> list[str]:
    return [
        f"{one.at:%d %H:%M:%S}>{'over' if one.next_at is None else f'{one.next_at:%d %H:%M:%S}'}" for one in found.due
    ]


def kinds(found: Look) -> Counter[OccurrenceKind]:
    return Counter(one.kind for one in found.due)


def test_nothing_is_due_before_its_time() -> None:
    hourly = stored(HOURLY, NOON)
    assert look(hourly, NOON - timedelta(microseconds=1), since=None) == Look(None, (), NOON)
    assert clocks(look(hourly, NOON, since=None)) == ["02 12:00:00>02 13:00:00"]
    assert look(stored(HOURLY, None), NOON, since=None) == Look(None, (), None)


@pytest.mark.parametrize("since", [None, NOON - timedelta(hours=9), NOON - timedelta(seconds=1)])
def test_what_is_punctual_was_not_missed_whoever_looks(since: datetime | None) -> None:
    found = look(stored(HOURLY, NOON, catch_up="none"), NOON, since=since)
    assert (found.missed, kinds(found)) == (None, {OccurrenceKind.DUE: 1})


@pytest.mark.parametrize(
    ("catch_up", "started", "missed"), [("none", 0, 13), ("latest", 1, 12), ("all(5)", 5, 8), ("all(100)", 13, 0)]
)
def test_three_hours_of_downtime_are_caught_up_as_is_asked(catch_up: str, started: int, missed: int) -> None:
    quarter = stored("*/15 * * * *", NOON, catch_up=catch_up)
    found = look(quarter, NOON + timedelta(hours=3, minutes=5), since=None)
    assert (found.missed.count if found.missed else 0, len(found.due)) == (missed, started)
    assert kinds(found) == ({OccurrenceKind.CAUGHT_UP: started} if started else {})
    last = NOON + timedelta(hours=3)
    assert [one.at for one in found.due] == [last - n * timedelta(minutes=15) for n in reversed(range(started))]
    assert found.next_at == last + timedelta(minutes=15)
    if found.missed:
        assert (found.missed.at, found.missed.next_at) == (NOON, found.due[0].at if started else found.next_at)


@pytest.mark.parametrize(
    ("rule", "down", "expected", "missed"),
    [
        (HOURLY, timedelta(hours=5, minutes=20), "02 17:00:00>02 18:00:00", 5),
        (HOURLY, timedelta(minutes=59), "02 12:00:00>02 13:00:00", 0),
        ("0 12 * * *", timedelta(days=9, seconds=1), "11 12:00:00>12 12:00:00", 9),
        ("* * * * * *", timedelta(days=20, seconds=7, microseconds=500), "22 12:00:07>22 12:00:08", 1_728_007),
        ("every 1s", timedelta(days=20, seconds=7, microseconds=500), "22 12:00:07>22 12:00:08", 1_728_007),
        ("0 12 2 3 *", timedelta(days=400), "02 12:00:00>02 12:00:00", 1),
    ],
)
def test_after_downtime_the_newest_is_started_and_the_others_are_counted(
    rule: str, down: timedelta, expected: str, missed: int
) -> None:
    found = look(stored(rule, NOON), NOON + down, since=None)
    assert clocks(found) == [expected]
    assert (found.missed.count if found.missed else 0) == missed


def test_downtime_over_a_change_of_clocks_finds_the_newest_too() -> None:
    before = datetime(2026, 10, 24, 0, 30, tzinfo=UTC)
    found = look(stored("30 2 * * *", before, "Europe/Berlin"), datetime(2026, 10, 25, 1, 45, tzinfo=UTC), since=None)
    assert found.due[0].at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # the first of the two 02:30


@pytest.mark.parametrize("catch_up", ["none", "latest", "all(1)"])
def test_a_late_look_by_a_scheduler_that_was_there_leaves_nothing_out(catch_up: str) -> None:
    every_second, late = stored("* * * * * *", NOON, catch_up=catch_up), NOON + timedelta(seconds=2.5)
    found = look(every_second, late, since=NOON - timedelta(seconds=0.1))
    assert clocks(found) == ["02 12:00:00>02 12:00:01", "02 12:00:01>02 12:00:02", "02 12:00:02>02 12:00:03"]
    assert (found.missed, kinds(found)) == (None, {OccurrenceKind.DUE: 3})


def test_what_came_before_somebody_was_there_is_missed_and_what_came_after_is_not() -> None:
    every_second = stored("* * * * * *", NOON, catch_up="all(3)")
    found = look(every_second, NOON + timedelta(seconds=9.5), since=NOON + timedelta(seconds=7.2))
    assert clocks(found) == ["02 12:00:07>02 12:00:08", "02 12:00:08>02 12:00:09", "02 12:00:09>02 12:00:10"]
    assert [one.kind.value for one in found.due] == ["caught_up", "due", "due"]
    assert found.missed is not None
    assert (found.missed.count, found.missed.next_at) == (7, found.due[0].at)


def test_where_a_newer_one_starts_anyway_the_latest_is_not_made_up_for() -> None:
    found = look(stored(HOURLY, NOON), NOON + timedelta(hours=3), since=NOON + timedelta(hours=2))
    assert clocks(found) == ["02 15:00:00>02 16:00:00"]
    assert (found.missed.count if found.missed else 0, kinds(found)) == (3, {OccurrenceKind.DUE: 1})


def test_a_stored_time_that_the_rule_no_longer_has_still_fires() -> None:
    """As after an update of the time zones: what was promised happens once, and the rule takes over."""
    found = look(stored("0 13 * * *", NOON), NOON + timedelta(minutes=5), since=None)
    assert clocks(found) == ["02 12:00:00>02 13:00:00"]


# -- start, end


def test_nothing_comes_before_the_start_or_after_the_end() -> None:
    one = stored(HOURLY, None, start_at=NOON, end_at=NOON + timedelta(hours=2))
    assert following(one, NOON - timedelta(days=30)) == NOON
    assert following(one, NOON + timedelta(hours=1)) == NOON + timedelta(hours=2)
    assert following(one, NOON + timedelta(hours=2)) is None


def test_after_its_end_a_schedule_is_over_and_downtime_counts_up_to_it() -> None:
    one = stored(HOURLY, NOON, end_at=NOON + timedelta(hours=2), catch_up="latest")
    found = look(one, NOON + timedelta(hours=9), since=None)
    assert clocks(found) == ["02 14:00:00>over"]
    assert found.missed is not None
    assert found.missed.count == 2
    present = look(one, NOON + timedelta(hours=9), since=NOON - timedelta(seconds=1))
    assert clocks(present) == ["02 12:00:00>02 13:00:00", "02 13:00:00>02 14:00:00", "02 14:00:00>over"]


def test_dates_that_are_all_missed_leave_nothing_to_come() -> None:
    one = stored("at 2026-03-02 12:00, 2026-03-02 13:00", NOON, catch_up="none")
    found = look(one, NOON + timedelta(hours=9), since=None)
    assert (found.missed.count if found.missed else 0, found.due, found.next_at) == (2, [], None)


# -- spread


def test_a_spread_is_the_same_each_time_and_differs_between_schedules() -> None:
    spread = timedelta(minutes=10)
    delays = [delay(stored(HOURLY, NOON, id=f"tenant-{n}", spread=spread)) for n in range(1000)]
    assert delays == [delay(stored("0 9 * * *", None, id=f"tenant-{n}", spread=spread)) for n in range(1000)]
    assert all(timedelta() <= one < spread for one in delays)
    tenths = Counter(one // timedelta(minutes=1) for one in delays)
    assert len(tenths) == 10
    assert min(tenths.values()) > 60
    assert delay(stored(HOURLY, NOON)) == timedelta()


def test_an_occurrence_starts_its_delay_after_its_nominal_time() -> None:
    one = stored(HOURLY, NOON, spread=timedelta(minutes=30))
    late = delay(one)
    assert timedelta(seconds=1) < late
    assert look(one, NOON + late - timedelta(microseconds=1), since=NOON).due == ()
    found = look(one, NOON + late, since=NOON)
    assert (clocks(found), kinds(found)) == (["02 12:00:00>02 13:00:00"], {OccurrenceKind.DUE: 1})
    absent = look(replace(one, catch_up="none"), NOON + late + timedelta(minutes=1), since=None)
    assert absent.missed is not None


# -- what is to come


def test_the_next_ten_are_what_will_be_fired() -> None:
    at = upcoming(stored("0 9 * * mon-fri", NOON.replace(day=3, hour=9)), 10, NOON)
    assert [f"{one:%a %d}" for one in at] == [
        *["Tue 03", "Wed 04", "Thu 05", "Fri 06", "Mon 09", "Tue 10", "Wed 11", "Thu 12", "Fri 13", "Mon 16"]
    ]


def test_of_a_schedule_that_is_paused_or_over_nothing_is_to_come() -> None:
    assert upcoming(stored(HOURLY, None), 10, NOON) == []
    assert upcoming(stored(HOURLY, None, paused_at=NOON, plan_from=NOON), 10, NOON) == []
    assert upcoming(stored(HOURLY, NOON, end_at=NOON + timedelta(hours=1)), 10, NOON - timedelta(hours=1)) == [
        NOON,
        NOON + timedelta(hours=1),
    ]


def test_a_schedule_that_nobody_has_planned_yet_has_its_next_ten_too() -> None:
    one = stored(HOURLY, None, plan_from=NOON - timedelta(hours=5))
    assert upcoming(one, 2, NOON) == [NOON + timedelta(hours=1), NOON + timedelta(hours=2)]
    assert upcoming(replace(one, plan_from=NOON, start_at=NOON + timedelta(days=1)), 1, NOON) == [
        NOON + timedelta(days=1)
    ]


def test_what_has_come_due_is_not_to_come_but_for_its_spread() -> None:
    assert upcoming(stored(HOURLY, NOON), 1, NOON) == [NOON + timedelta(hours=1)]
    assert upcoming(stored(HOURLY, NOON, spread=timedelta(minutes=30)), 1, NOON) == [NOON]
