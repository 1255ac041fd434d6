"""What has come due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agentflow.records import Schedule
from schedulers.occurrences import due
from schedulers.triggers import next_fire, trigger_for

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def stored(rule: str, next_fire_at: datetime | None, timezone: str = "UTC") -> Schedule:
    return Schedule(
        id="s",
        task="report",
        rule=rule,
        timezone=timezone,
        input="{}",
        next_fire_at=next_fire_at,
        last_fire_at=None,
        created_at=NOON,
    )


def clocks(schedule: Schedule, now: datetime, since: datetime | None = None) -> list[str]:
    return [f"{one.at:%d %H:%M:%S}>{one.next_at:%d %H:%M:%S}" for one in due(schedule, now, since=since)]


def test_nothing_is_due_before_its_time() -> None:
    hourly = stored("0 * * * *", NOON)
    assert clocks(hourly, NOON - timedelta(microseconds=1)) == []
    assert clocks(hourly, NOON) == ["02 12:00:00>02 13:00:00"]
    assert clocks(stored("0 * * * *", None), NOON) == []


@pytest.mark.parametrize(
    ("rule", "down", "expected"),
    [
        ("0 * * * *", timedelta(hours=5, minutes=20), "02 17:00:00>02 18:00:00"),
        ("0 * * * *", timedelta(minutes=59), "02 12:00:00>02 13:00:00"),
        ("0 12 * * *", timedelta(days=9), "11 12:00:00>12 12:00:00"),
        ("* * * * * *", timedelta(days=20, seconds=7, microseconds=500), "22 12:00:07>22 12:00:08"),
        ("every 7s", timedelta(seconds=20), None),
        ("0 12 2 3 *", timedelta(days=400), "02 12:00:00>02 12:00:00"),
    ],
)
def test_after_downtime_only_the_newest_is_due(rule: str, down: timedelta, expected: str | None) -> None:
    [only] = due(stored(rule, NOON), NOON + down)
    assert only.at <= NOON + down < only.next_at
    assert only.next_at == next_fire(trigger_for(rule, "UTC"), only.at)
    assert expected in (None, f"{only.at:%d %H:%M:%S}>{only.next_at:%d %H:%M:%S}")


def test_downtime_over_a_change_of_clocks_finds_the_newest_too() -> None:
    before = datetime(2026, 10, 24, 0, 30, tzinfo=UTC)
    [only] = due(stored("30 2 * * *", before, "Europe/Berlin"), datetime(2026, 10, 25, 1, 45, tzinfo=UTC))
    assert only.at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # the first of the two 02:30


def test_a_late_look_by_a_scheduler_that_was_there_leaves_nothing_out() -> None:
    every_second, late = stored("* * * * * *", NOON), NOON + timedelta(seconds=2.5)
    assert clocks(every_second, late, since=NOON - timedelta(seconds=0.1)) == [
        "02 12:00:00>02 12:00:01",
        "02 12:00:01>02 12:00:02",
        "02 12:00:02>02 12:00:03",
    ]


def test_what_was_missed_before_the_last_look_is_not_made_up_for() -> None:
    every_second = stored("* * * * * *", NOON)
    assert clocks(every_second, NOON + timedelta(seconds=9.5), since=NOON + timedelta(seconds=8.2)) == [
        "02 12:00:09>02 12:00:10"
    ]
    hourly = stored("0 * * * *", NOON)
    assert clocks(hourly, NOON + timedelta(hours=3), since=NOON + timedelta(hours=2)) == ["02 15:00:00>02 16:00:00"]
    now = NOON + timedelta(hours=2, minutes=1)
    assert clocks(hourly, now, since=now - timedelta(seconds=1)) == ["02 14:00:00>02 15:00:00"]


def test_a_stored_time_that_the_rule_no_longer_has_still_fires() -> None:
    """As after an update of the time zones: what was promised happens once, and the rule takes over."""
    assert clocks(stored("0 13 * * *", NOON), NOON + timedelta(minutes=5)) == ["02 12:00:00>02 13:00:00"]
