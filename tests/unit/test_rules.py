"""What cron texts and spans say, and what is said about those that cannot work."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agentflow.errors import DefinitionError
from agentflow.tasks.rules import Cron, Days, Every, Rule, parse_rule


def cron(text: str) -> Cron:
    [rule] = parse_rule(text).either
    assert isinstance(rule, Cron)
    return rule


def days_of(text: str) -> Days:
    [days] = cron(text).days
    return days


@pytest.mark.parametrize(
    ("text", "weekdays"),
    [
        ("0 9 * * 1", {1}),
        ("0 9 * * mon", {1}),
        ("0 9 * * MON-Fri", {1, 2, 3, 4, 5}),
        ("0 9 * * 1-5", {1, 2, 3, 4, 5}),
        ("0 9 * * 0", {0}),
        ("0 9 * * 7", {0}),
        ("0 9 * * sun", {0}),
        ("0 9 * * sat-sun", {6, 0}),
        ("0 9 * * sun-sun", {0}),
        ("0 9 * * 0-0", {0}),
        ("0 9 * * 0-7", {0, 1, 2, 3, 4, 5, 6}),
        ("0 9 * * 5-7", {5, 6, 0}),
        ("0 9 * * sat,sun", {6, 0}),
        ("0 9 * * *", {0, 1, 2, 3, 4, 5, 6}),
    ],
)
def test_monday_is_one_and_sunday_is_zero_or_seven(text: str, weekdays: set[int]) -> None:
    assert days_of(text).weekdays == weekdays
    assert days_of(f"30 {text}").weekdays == weekdays


def test_each_field_takes_lists_ranges_steps_and_names() -> None:
    rule = cron("*/20,1 8-18/5 1,15 jan,MAR-may *")
    assert rule.seconds == {0}
    assert rule.minutes == {0, 1, 20, 40}
    assert rule.hours == {8, 13, 18}
    assert rule.days[0].days == {1, 15}
    assert rule.months == {1, 3, 4, 5}


def test_six_fields_begin_with_the_second() -> None:
    rule = cron("30 15 9 * * *")
    assert (rule.seconds, rule.minutes, rule.hours) == ({30}, {15}, {9})


@pytest.mark.parametrize(
    ("text", "either"),
    [("0 0 13 * fri", True), ("0 0 13 * *", False), ("0 0 * * fri", False), ("0 0 */2 * fri", False)],
)
def test_a_day_and_a_weekday_are_alternatives_only_where_both_are_named(text: str, either: bool) -> None:
    assert days_of(text).either is either


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("every 30s", timedelta(seconds=30)),
        ("every 2h", timedelta(hours=2)),
        ("Every  1h30m", timedelta(minutes=90)),
        ("every 30 s", timedelta(seconds=30)),
    ],
)
def test_an_interval_is_every_and_a_span(text: str, span: timedelta) -> None:
    assert parse_rule(text) == Rule((Every(span),))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 24 * * *", "hour: found '24'; wanted a number from 0 to 23, such as 0"),
        ("75 * * * *", "minute: found '75'; wanted a number from 0 to 59, such as 59"),
        ("0 9 0 * *", "day of month: found '0'; wanted a number from 1 to 31, such as 1"),
        ("0 9 * * 8", "day of week: found '8'; wanted a number from 0 to 7"),
        ("0 9 * janu *", "month: found 'janu'; wanted \"jan\""),
        ("0 9 * jan/2 *", "month: found 'jan/2'; wanted a step of a range: \"jan-12/2\""),
        ("0 9 ? * mon", "day of month: found '?'; wanted \"*\""),
        ("5/15 * * * *", 'wanted a step of a range: "5-59/15"'),
        ("*/60 * * * *", "minute: found '*/60'; wanted a step from 1 to 59"),
        ("*/0 * * * *", "wanted a step from 1 to 59"),
        ("0 22-2 * * *", 'wanted two ranges: "22-23,0-2"'),
        ("0 9 * * fri-mon", 'wanted two ranges: "fri-sat,sun-mon"'),
        ("1,,2 * * * *", "minute: found ''"),
        ("٣ * * * *", "minute: found '٣'"),
        ("0 9 * * mon#2", "day of week: found 'mon#2'; wanted \"0 9 8-14 * * and 0 9 * * mon\""),
        ("30 0 9 * 3 fri#5", '"30 0 9 29-31 3 * and 30 0 9 * 3 fri"'),
        ("99999999999999999999 * * * *", "wanted a number from 0 to 59, such as 59"),
        ("*-5 * * * *", "minute: found '*-5'"),
        ("9 * *", "has 3 fields; wanted 5"),
        ("* * * * * * *", "has 7 fields"),
        ("", "write a cron text"),
        ("@daily", 'write "0 0 * * *"'),
        ("0 0 30 2 *", "can never fire: none of its months has a day 30; the latest day there is 29"),
        ("0 0 31 4,6,9,11 *", "can never fire"),
        ("every", 'write "every 30s"'),
        ("every minute", "interval: found 'minute'; wanted \"every 1m\""),
        ("every 30 seconds", 'wanted "every 30s"'),
        ("every 5 minutes", 'wanted "every 5m"'),
        ("every 2 hrs", 'wanted "every 2h"'),
        ("every monday at 09:30", 'wanted a cron text: "30 9 * * mon"'),
        ("every 2w at 09:00", 'wanted "2 weeks" with a time of day'),
        ("evry 2h", "found 'evry'; wanted \"every\""),
        ("every 30x", 'write "every 30s"'),
        ("every 500ms", "a whole number of seconds"),
        ("every 0s", "a whole number of seconds"),
        ("every 400d", "from 1 second to 366 days"),
    ],
)
def test_a_refusal_names_the_field_what_was_found_and_what_would_do(text: str, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_rule(text)
    assert said in str(caught.value)


def test_the_readings_that_refusals_propose_are_themselves_valid() -> None:
    for text in (
        "0 9 8-14 * * and 0 9 * * mon",
        "5-59/15 * * * *",
        "0 22-23,0-2 * * *",
        "0 9 * * fri-sat,sun-mon",
        "0 9 * jan-12/2 *",
        "0 0 * * 0",
    ):
        assert cron(text)


def test_the_thirtieth_of_february_or_a_friday_does_fire() -> None:
    assert days_of("0 0 30 2 fri").either
