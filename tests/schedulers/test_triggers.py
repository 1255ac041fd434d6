"""When rules come round, above all where clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.errors import DefinitionError
from schedulers.triggers import next_fire, trigger_for


def fires(rule: str, zone: str, after: str, count: int) -> list[str]:
    """The next `count` fire times after an instant, as the clocks of the zone show them."""
    trigger, at, found = trigger_for(rule, zone), datetime.fromisoformat(after), []
    while len(found) < count and (following := next_fire(trigger, at)) is not None:
        assert following.tzinfo is UTC
        found.append(following.astimezone(ZoneInfo(zone)).isoformat())
        at = following
    return found


def test_one_is_monday_although_apscheduler_counts_from_zero() -> None:
    assert fires("0 9 * * 1", "Europe/Berlin", "2026-11-22T00:00Z", 2) == [
        "2026-11-23T09:00:00+01:00",
        "2026-11-30T09:00:00+01:00",
    ]


def test_seven_is_sunday_although_apscheduler_refuses_it() -> None:
    assert fires("0 9 * * 7", "UTC", "2026-11-16T00:00Z", 1) == ["2026-11-22T09:00:00+00:00"]


def test_a_fire_time_itself_is_not_later_than_itself() -> None:
    assert fires("0 9 * * *", "UTC", "2026-11-22T09:00:00Z", 1) == ["2026-11-23T09:00:00+00:00"]
    assert fires("0 9 * * *", "UTC", "2026-11-22T08:59:59.999999Z", 1) == ["2026-11-22T09:00:00+00:00"]


@pytest.mark.parametrize(
    ("zone", "rule", "after", "expected"),
    [
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2026-10-24T12:00Z",
            ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"],
        ),
        (
            "America/New_York",
            "30 1 * * *",
            "2026-10-31T12:00Z",
            ["2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"],
        ),
        (
            "Australia/Lord_Howe",  # its clocks go back by half an hour
            "45 1 * * *",
            "2026-04-04T10:00Z",
            ["2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"],
        ),
    ],
)
def test_a_repeated_hour_in_autumn_does_not_repeat_a_fixed_time(
    zone: str, rule: str, after: str, expected: list[str]
) -> None:
    assert fires(rule, zone, after, 2) == expected


def test_asked_within_the_repeat_a_fixed_time_comes_the_next_day() -> None:
    assert fires("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10Z", 1) == ["2026-10-26T02:30:00+01:00"]


def test_every_quarter_of_an_hour_goes_on_through_the_repeat() -> None:
    shown = fires("*/15 * * * *", "Europe/Berlin", "2026-10-24T23:50Z", 10)
    assert [one[11:16] + one[19:] for one in shown] == [
        *["02:00+02:00", "02:15+02:00", "02:30+02:00", "02:45+02:00"],
        *["02:00+01:00", "02:15+01:00", "02:30+01:00", "02:45+01:00"],
        *["03:00+01:00", "03:15+01:00"],
    ]


def test_half_an_hour_repeated_on_lord_howe_is_gone_through_twice() -> None:
    shown = fires("*/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:20Z", 6)
    assert [one[11:16] + one[19:] for one in shown] == [
        *["01:30+11:00", "01:45+11:00", "01:30+10:30", "01:45+10:30", "02:00+10:30", "02:15+10:30"]
    ]


@pytest.mark.parametrize(
    ("zone", "rule", "after", "expected"),
    [
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2026-03-28T12:00Z",
            ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"],
        ),
        (
            "America/New_York",
            "15 2 * * *",
            "2026-03-07T12:00Z",
            ["2026-03-08T03:00:00-04:00", "2026-03-09T02:15:00-04:00"],
        ),
        (
            "Australia/Lord_Howe",
            "15 2 * * *",
            "2026-10-03T00:00Z",
            ["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"],
        ),
        (
            "Pacific/Apia",  # a whole day was left out: the 30th of December 2011
            "0 9 * * *",
            "2011-12-29T20:00Z",
            ["2011-12-31T00:00:00+14:00", "2011-12-31T09:00:00+14:00"],
        ),
    ],
)
def test_a_skipped_time_in_spring_fires_at_the_first_instant_that_exists(
    zone: str, rule: str, after: str, expected: list[str]
) -> None:
    assert fires(rule, zone, after, 2) == expected


def test_asked_right_before_the_jump_a_skipped_time_is_still_to_come() -> None:
    """Found by the property below."""
    assert fires("30 2 * * *", "Europe/Berlin", "2026-03-29T00:59:59.9Z", 1) == ["2026-03-29T03:00:00+02:00"]


def test_several_times_of_a_skipped_hour_fire_once() -> None:
    assert fires("*/15 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", 2) == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:00:00+02:00",
    ]


def test_an_hourly_rule_leaves_a_skipped_hour_out() -> None:
    shown = fires("30 * * * *", "Europe/Berlin", "2026-03-28T23:00Z", 3)
    assert [one[11:16] for one in shown] == ["00:30", "01:30", "03:30"]


def test_leap_days_and_the_end_of_the_year() -> None:
    assert [one[:10] for one in fires("0 0 29 2 *", "UTC", "2026-01-01T00:00Z", 2)] == ["2028-02-29", "2032-02-29"]
    assert fires("59 59 23 31 12 *", "America/New_York", "2026-12-31T12:00Z", 2) == [
        "2026-12-31T23:59:59-05:00",
        "2027-12-31T23:59:59-05:00",
    ]
    assert fires("* * * * * *", "UTC", "2026-12-31T23:59:58.5Z", 2) == [
        "2026-12-31T23:59:59+00:00",
        "2027-01-01T00:00:00+00:00",
    ]


def test_a_rule_for_every_hour_of_a_far_day_is_read_with_that_days_offset() -> None:
    assert fires("0 * 1 1 *", "Europe/Berlin", "2026-07-01T00:00Z", 1) == ["2027-01-01T00:00:00+01:00"]


def test_the_thirteenth_or_a_friday_as_crontab_has_it() -> None:
    shown = fires("0 9 13 * fri", "Europe/Berlin", "2026-12-01T00:00Z", 4)
    assert [one[:10] for one in shown] == ["2026-12-04", "2026-12-11", "2026-12-13", "2026-12-18"]


def test_an_interval_keeps_its_beat_whenever_it_is_asked() -> None:
    expected = ["2027-01-01T00:00:00+00:00", "2027-01-01T00:01:30+00:00"]
    assert fires("every 90s", "UTC", "2026-12-31T23:58:31.25Z", 2) == expected
    assert fires("every 90s", "UTC", "2026-12-31T23:59:59Z", 2) == expected


def test_a_rule_that_can_never_fire_has_no_trigger() -> None:
    with pytest.raises(DefinitionError, match="can never fire"):
        trigger_for("0 0 30 2 *", "UTC")


RULES = [
    "30 2 * * *",
    "*/15 * * * *",
    "0 9 * * mon-fri",
    "45 1,2,3 * * *",
    "0 0 1 * mon",
    "17 * * 3,10 *",
    "*/7 2 * * 0",
    "every 3 days at 02:30 from 2025-01-01",
    "30 2 * * * or every 45m",
    "*/10 * * * * except * 2 * * *",
    "0 9 1-7 * * and 0 9 * * mon",
]
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu"]
INSTANTS = st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  UTC is given apart


@given(rule=st.sampled_from(RULES), zone=st.sampled_from(ZONES), after=INSTANTS)
def test_times_only_go_forward_and_do_not_depend_on_where_one_asks(rule: str, zone: str, after: datetime) -> None:
    trigger = trigger_for(rule, zone)
    times = [after]
    for _ in range(6):
        following = next_fire(trigger, times[-1])
        assert following is not None
        times.append(following)
    for earlier, later in pairwise(times):
        assert earlier < later
        assert next_fire(trigger, earlier + (later - earlier) / 2) == later
        assert next_fire(trigger, later - timedelta(microseconds=1)) == later


@given(zone=st.sampled_from(ZONES), after=INSTANTS)
def test_a_daily_time_fires_once_on_each_day(zone: str, after: datetime) -> None:
    trigger, days = trigger_for("30 2 * * *", zone), []
    for _ in range(4):
        following = next_fire(trigger, after)
        assert following is not None
        days.append(following.astimezone(ZoneInfo(zone)).date())
        after = following
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(days))


# -- calendar intervals, dates, rules joined


@pytest.mark.parametrize(
    ("rule", "after", "expected"),
    [
        ("every 2 weeks at 09:00 from 2026-01-05", "2026-03-01T00:00Z", ["2026-03-02", "2026-03-16", "2026-03-30"]),
        ("every 2 weeks at 09:00 from 2026-01-05", "2020-03-01T00:00Z", ["2026-01-05", "2026-01-19"]),
        ("every 2 weeks at 09:00 from 2026-01-05", "2126-03-01T00:00Z", ["2126-03-04", "2126-03-18"]),
        ("every month at 09:00 from 2026-01-31", "2026-02-01T00:00Z", ["2026-03-31", "2026-05-31", "2026-07-31"]),
        ("every 5 months at 09:00 from 2026-11-30", "2026-12-01T00:00Z", ["2027-04-30", "2027-09-30", "2028-07-30"]),
        ("every year at 09:00 from 2024-02-29", "2026-02-01T00:00Z", ["2028-02-29", "2032-02-29"]),
        ("every 3 days at 09:00 from 2026-12-30", "2026-12-30T12:00Z", ["2027-01-02", "2027-01-05"]),
    ],
)
def test_a_calendar_interval_steps_from_its_first_day(rule: str, after: str, expected: list[str]) -> None:
    assert fires(rule, "UTC", after, len(expected)) == [f"{day}T09:00:00+00:00" for day in expected]


def test_a_calendar_interval_keeps_to_the_wall_where_clocks_change() -> None:
    assert fires("every day at 02:30", "Europe/Berlin", "2026-03-28T00:00Z", 3) == [
        "2026-03-28T02:30:00+01:00",
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]
    assert fires("every 7 days at 01:30 from 2026-10-25", "America/New_York", "2026-10-31T00:00Z", 1) == [
        "2026-11-01T01:30:00-04:00"
    ]


def test_dates_come_once_in_their_order_in_the_zone_of_the_schedule() -> None:
    rule = "at 2026-12-31 09:00, 2026-03-29 02:30, 2026-10-25 02:30"
    assert fires(rule, "Europe/Berlin", "2026-01-01T00:00Z", 9) == [
        "2026-03-29T03:00:00+02:00",
        "2026-10-25T02:30:00+02:00",
        "2026-12-31T09:00:00+01:00",
    ]


def test_the_first_monday_of_the_month_and_whichever_comes_first() -> None:
    shown = fires("0 9 1-7 * * and 0 9 * * mon", "Europe/Berlin", "2026-03-03T00:00Z", 3)
    assert [one[:10] for one in shown] == ["2026-04-06", "2026-05-04", "2026-06-01"]
    shown = fires("0 9 * * mon or every 2h or at 2026-03-02 08:30", "UTC", "2026-03-02T06:00Z", 5)
    assert [one[11:16] for one in shown] == ["08:00", "08:30", "09:00", "10:00", "12:00"]


def test_a_leap_day_that_is_a_monday_is_found_decades_on() -> None:
    assert fires("0 9 29 2 * and 0 9 * * mon", "UTC", "2026-01-01T00:00Z", 1) == ["2044-02-29T09:00:00+00:00"]


def test_what_is_left_out_is_and_nothing_beside_it() -> None:
    shown = fires("0 9 * * * except 2026-12-25, 2026-12-26 09:00", "Europe/Berlin", "2026-12-24T00:00Z", 3)
    assert [one[:10] for one in shown] == ["2026-12-24", "2026-12-27", "2026-12-28"]
    shown = fires("*/30 9 * * * except * * 24-26 12 * or 0 9 27 12 *", "Europe/Berlin", "2026-12-23T08:10Z", 2)
    assert [one[5:16] for one in shown] == ["12-23T09:30", "12-27T09:30"]


def test_an_interval_is_left_out_on_the_wall_while_it_counts_elapsed_time() -> None:
    """In the night in which Berlin's clocks go back, three o'clock comes four hours after midnight."""
    shown = fires("every 30m except * 0-2 * * *", "Europe/Berlin", "2026-10-24T21:10Z", 4)
    assert [one[8:16] + one[19:] for one in shown] == [
        "24T23:30+02:00",
        "25T03:00+01:00",
        "25T03:30+01:00",
        "25T04:00+01:00",
    ]
    shown = fires("every 30m except 30 2 * * *", "Europe/Berlin", "2026-10-24T23:40Z", 4)
    assert [one[11:16] + one[19:] for one in shown] == ["02:00+02:00", "02:00+01:00", "03:00+01:00", "03:30+01:00"]
    seconds = fires("every 1s except * * * 1-6 *", "UTC", "2026-01-01T00:00Z", 1)
    assert seconds == ["2026-07-01T00:00:00+00:00"]


def test_a_rule_is_over_when_its_dates_are() -> None:
    assert next_fire(trigger_for("at 2026-12-24 09:00", "UTC"), datetime(2026, 12, 24, 9, tzinfo=UTC)) is None
    assert next_fire(trigger_for("0 9 * * *", "UTC"), datetime(2400, 1, 2, tzinfo=UTC)) is None
