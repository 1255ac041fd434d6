"""Calendar intervals, dates, and rules that are joined: what they say, and what is said of those that cannot work."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest

from agentflow.errors import DefinitionError
from agentflow.tasks.rules import CalendarInterval, Cron, Dates, Every, Rule, WholeDays, parse_rule

CHRISTMAS = datetime(2026, 12, 24, 9)  # noqa: DTZ001  a time on the wall


def interval(text: str) -> CalendarInterval:
    [found] = parse_rule(text).either
    assert isinstance(found, CalendarInterval)
    return found


@pytest.mark.parametrize(
    ("text", "months", "days", "at", "first"),
    [
        ("every 2 weeks at 09:00 from 2026-01-05", 0, 14, time(9), date(2026, 1, 5)),
        ("Every week from 2026-01-05 at 9:05:30", 0, 7, time(9, 5, 30), date(2026, 1, 5)),
        ("every 3months at 00:00 from 2026-01-31", 3, 0, time(), date(2026, 1, 31)),
        ("every 1 year at 12:00 from 2024-02-29", 12, 0, time(12), date(2024, 2, 29)),
        ("every day at 09:00", 0, 1, time(9), date(1970, 1, 1)),
        ("every 1 day", 0, 1, time(), date(1970, 1, 1)),
    ],
)
def test_a_calendar_interval_is_a_step_a_time_and_a_first_day(
    text: str, months: int, days: int, at: time, first: date
) -> None:
    assert interval(text) == CalendarInterval(months=months, days=days, at=at, first=first)


@pytest.mark.parametrize(
    ("text", "day", "expected"),
    [
        ("every 2 weeks from 2026-01-05", "2026-02-01", "2026-01-19"),
        ("every 2 weeks from 2026-01-05", "2026-02-02", "2026-02-02"),
        ("every 2 weeks from 2026-01-05", "2020-02-02", "2026-01-05"),
        ("every month from 2026-01-31", "2026-03-30", "2026-01-31"),
        ("every month from 2026-01-31", "2026-06-01", "2026-05-31"),
        ("every year from 2024-02-29", "2028-02-28", "2024-02-29"),
        ("every 5 months from 2026-11-30", "2027-09-29", "2027-04-30"),
    ],
)
def test_the_last_day_of_an_interval_is_found_without_walking(text: str, day: str, expected: str) -> None:
    assert interval(text).last_until(date.fromisoformat(day)) == date.fromisoformat(expected)


def test_dates_are_put_in_order_and_each_is_kept_once() -> None:
    [found] = parse_rule("at 2026-12-31 09:00:30, 2026-12-24T09:00, 2026-12-24 9:00").either
    assert found == Dates((CHRISTMAS, CHRISTMAS.replace(day=31, second=30)))


def test_rules_joined_by_or_stand_beside_each_other() -> None:
    rule = parse_rule("0 9 * * mon or every 30s OR at 2026-12-24 09:00")
    assert [type(one) for one in rule.either] == [Cron, Every, Dates]


def test_and_binds_more_tightly_than_or_and_makes_one_cron_of_several() -> None:
    first_monday, noon = parse_rule("0 9 1-7 * * and * 9 * * mon or 0 12 * * *").either
    assert isinstance(first_monday, Cron)
    assert isinstance(noon, Cron)
    assert (first_monday.minutes, len(first_monday.days)) == ({0}, 2)
    assert [first_monday.has_day(6, day, weekday) for day, weekday in ((1, 1), (8, 1), (2, 2))] == [True, False, False]


def test_what_is_left_out_is_days_times_and_cron_texts_of_whole_minutes() -> None:
    rule = parse_rule("every 30s except 2026-12-25, 2026-12-24 09:00 or 0 12 * * *")
    days, times, noon = rule.unless
    assert days == WholeDays(frozenset({date(2026, 12, 25)}))
    assert times == Dates((CHRISTMAS,))
    assert isinstance(noon, Cron)
    assert noon.has(CHRISTMAS.replace(hour=12, second=30))
    assert rule.left_out_until(CHRISTMAS.replace(second=30)) is None
    assert rule.left_out_until(CHRISTMAS.replace(day=25, hour=3)) == datetime(2026, 12, 26)  # noqa: DTZ001  a time on the wall
    assert rule.left_out_until(CHRISTMAS) == CHRISTMAS + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("left_out", "until"),
    [
        ("* * 24-26 12 *", "2026-12-25 00:00"),
        ("* 8-10 * * *", "2026-12-24 10:00"),
        ("30-40 * * * *", "2026-12-24 09:31"),
        ("0 30 9 * * *", "2026-12-24 09:30:01"),
    ],
)
def test_what_is_left_out_is_passed_in_strides(left_out: str, until: str) -> None:
    rule = parse_rule(f"every 1s except {left_out}")
    assert rule.left_out_until(CHRISTMAS.replace(minute=30)) == datetime.fromisoformat(until)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("every 2 weeks", 'counted from which day? write "every 2 weeks at 00:00 from 2026-01-05"'),
        ("every 0 weeks from 2026-01-05", "interval: found '0 weeks'; wanted from 1 to 520 weeks, such as 1"),
        ("every 900 months from 2026-01-05", "such as 120"),
        ("every 2 weeks at 9am from 2026-01-05", "time: found '9am'; wanted \"09:00\""),
        ("every day at 12pm", 'wanted "12:00"'),
        ("every day at 25:00", "time: found '25:00'; wanted a time from 00:00 to 23:59:59, such as 00:00"),
        ("every day at 09:75", "such as 09:59"),
        ("every day at noon", 'wanted hour and minute, such as "09:00"'),
        ("every month from 2026-02-30", "date: found '2026-02-30'; wanted a date that exists, such as 2026-02-28"),
        ("every 2 weeks on monday", 'wanted "every 2 weeks at 09:00 from 2026-01-05"'),
        ("every 2 weeks at 09:00 at 10:00", 'wanted "every 2 weeks at 09:00 from 2026-01-05"'),
        ("at 2026-12-24", "date: found '2026-12-24'; wanted its time of day too: \"2026-12-24 00:00\""),
        ("at 24.12.2026 09:00", 'wanted year, month and day: "2026-12-24"'),
        ("at 2026-13-01 09:00", "such as 2026-01-13"),
        ("at 1900-01-01 09:00", "such as 1970-01-01"),
        ("at soon 09:00", 'wanted year, month and day, such as "2026-12-24"'),
        ("at 2026-12-24 09:00+01:00", 'wanted "09:00" and timezone= for its zone'),
        ("at 2026-12-24T09:00Z", 'wanted "09:00" and timezone='),
        ("at 2026-12-24 09:00 2026-12-25 09:00", "a comma between dates"),
        ("at 2026-12-24 09:00,", "a date is missing"),
        ("2026-12-24 09:00", 'write "at 2026-12-24 09:00"'),
        ("0 9 * * * unless 2026-12-25", "found 'unless'; wanted \"except\""),
        ("0 9 * * * | 0 10 * * *", "found '|'; wanted \"or\""),
        ("0 9 * * * or", 'nothing stands after "or"'),
        ("except 2026-12-25", 'nothing stands before "except"'),
        ("0 9 * * * except 2026-12-25 except 2026-12-26", 'has "except" twice'),
        ("0 9 * * * and every 2h", '"and" joins cron texts'),
        ("0 9 * * * except every 2h", "an interval cannot be left out"),
        ("0 9 * * * except * 25 * * *", "hour: found '25'; wanted a number from 0 to 23"),
        ("x" * 40_000, "at most 30000 are read"),
        ("at " + ", ".join(["2026-12-24 09:00"] * 1001), "at most 1000 can be listed"),
    ],
)
def test_a_refusal_names_what_was_found_and_what_would_do(text: str, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_rule(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "0 9 * * mon and 0 9 * * tue",
        "0 9 * * * and 30 9 * * *",
        "0 9 8-14 * * and 0 9 15-21 * mon,tue and 0 9 15-21 * *",
        "0 9 30 * * and 0 9 * 2 *",
        "0 9 * * * except * * * * *",
        "0 9 * * * except * 8-10 * * *",
        "*/20 * * * * except 0,20 * * * * or 40 * * * *",
        "every 1h except 0 * * * *",
        "every 7h except 0-22 * * * *",
        "every 1s except * * * * * or * * * 1-6 *",
        "every week at 09:00 from 2026-01-05 except * * * * mon",
        "every 2 months at 09:00 from 2026-02-10 except * * * 2,4,6,8,10,12 *",
        "at 2026-12-24 09:00 except 2026-12-24",
        "0 0 30 2 * or 0 9 * * mon and 0 9 * * tue",
    ],
)
def test_a_rule_that_can_never_fire_is_refused(text: str) -> None:
    with pytest.raises(DefinitionError, match="can never fire"):
        parse_rule(text)


@pytest.mark.parametrize(
    "text",
    [
        "0 0 29 2 mon and 0 0 29 2 *",
        "0 9 * * * except * * 1-30 * *",
        "every 1h except 30 * * * *",
        "every 3 days at 09:00 from 2026-01-05 except * * * * mon-sat",
        "at 2026-12-24 09:00, 2026-12-27 09:00 except 2026-12-24",
        "* * * * * except * * * 1-11 * or * * 1-30 12 *",
    ],
)
def test_a_rule_that_seldom_fires_is_not(text: str) -> None:
    assert parse_rule(text)


def test_an_interval_meets_what_is_left_out_on_the_wall_of_its_zone() -> None:
    assert isinstance(parse_rule("every 1h except 0 * * * *", "Asia/Kathmandu"), Rule)  # 5:45 ahead
    with pytest.raises(DefinitionError, match="can never fire"):
        parse_rule("every 1h except 45 * * * *", "Asia/Kathmandu")
