"""Cron texts against an oracle that looks at every minute: what the clocks show, and whether each field allows it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from time import process_time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedulers.triggers import count, latest, next_fire, times, trigger_for

MINUTE = timedelta(minutes=1)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana"]
MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NAMES = {
    "month": {name: number for number, name in enumerate(MONTH_NAMES, 1)},
    "weekday": {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))},
}
Field = tuple[str, set[int]]


@st.composite
def fields(draw: st.DrawFn, low: int, high: int, names: str = "") -> Field:
    """A text of a field, and the values that it allows by its definition."""
    parts: list[Field] = draw(st.lists(st.one_of(*_parts(low, high, names)), min_size=1, max_size=3))
    return ",".join(text for text, _ in parts), {value for _, values in parts for value in values}


def _parts(low: int, high: int, names: str) -> list[st.SearchStrategy[Field]]:
    value = st.integers(low, high)
    found: list[st.SearchStrategy[Field]] = [
        value.map(lambda n: (str(n), {n})),
        st.tuples(value, value).map(lambda ends: (f"{min(ends)}-{max(ends)}", set(range(min(ends), max(ends) + 1)))),
        st.integers(1, high - low).map(lambda n: (f"*/{n}", set(range(low, high + 1, n)))),
        st.tuples(value, st.integers(1, 6)).map(
            lambda one: (f"{one[0]}-{high}/{one[1]}", set(range(one[0], high + 1, one[1])))
        ),
    ]
    if names:
        known = NAMES[names]
        found.append(st.sampled_from(sorted(known)).map(lambda name: (name, {known[name]})))
    return found


ANY: st.SearchStrategy[Field] = st.just(("*", set(range(60))))
MINUTES, HOURS = fields(0, 59) | ANY, fields(0, 23) | ANY
DAYS, MONTHS, WEEKDAYS = fields(1, 31) | ANY, fields(1, 12, "month") | ANY, fields(0, 6, "weekday") | ANY
CRONS = st.tuples(MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS)


def fits(cron: tuple[Field, ...], wall: datetime) -> bool:
    """As crontab(5) has it: where neither day begins with a star, one of them is enough."""
    minutes, hours, days, months, weekdays = cron
    is_day, is_weekday = wall.day in days[1], wall.isoweekday() % 7 in weekdays[1]
    either = "*" not in (days[0][0], weekdays[0][0])
    is_on = is_day or is_weekday if either else is_day and is_weekday
    return is_on and wall.minute in minutes[1] and wall.hour in hours[1] and wall.month in months[1]


def seen(cron: tuple[Field, ...], zone: str, start: datetime, days: int) -> list[datetime]:
    """Every instant of these days, minute by minute, at which it comes round.

    A rule that leaves out an hour: the first minute that shows a time, or, for one that is skipped, that shows a later.
    """
    minutes = [start + n * MINUTE for n in range(-2 * 1440, (days + 2) * 1440)]
    walls = [at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for at in minutes]
    if len(cron[1][1] & set(range(24))) == 24:
        found = {at for at, wall in zip(minutes, walls, strict=True) if fits(cron, wall)}
    else:
        first: dict[datetime, datetime] = {}
        highest = walls[0]
        for at, wall in zip(minutes, walls, strict=True):
            while highest < wall:  # each minute of the wall up to the one that is shown now
                highest += MINUTE
                first[highest] = at
        found = {at for wall, at in first.items() if fits(cron, wall)}
    return sorted(at for at in found if start < at <= start + days * 1440 * MINUTE)


def text_of(cron: tuple[Field, ...]) -> str:
    return " ".join(text for text, _ in cron)


def can_come(cron: tuple[Field, ...]) -> bool:
    return "*" not in (cron[2][0][0], cron[4][0][0]) or any(
        day <= (29 if month == 2 else 30 if month in (4, 6, 9, 11) else 31)
        for month in cron[3][1] & set(range(1, 13))
        for day in cron[2][1] & set(range(1, 32))
    )


@given(
    cron=CRONS.filter(can_come),
    zone=st.sampled_from(ZONES),
    day=st.dates(date(2024, 1, 1), date(2027, 12, 25)),
)
@settings(max_examples=25)
def test_a_cron_text_comes_round_in_the_minutes_that_its_fields_allow(cron, zone, day) -> None:
    start = datetime(day.year, day.month, day.day, 5, 17, tzinfo=UTC)
    trigger, end = trigger_for(text_of(cron), zone), start + timedelta(days=3)
    expected = seen(cron, zone, start, 3)
    assert list(times(trigger, start, end)) == expected
    assert count(trigger, start, end) == len(expected)
    assert latest(trigger, start, end, 7) == expected[-7:]


CHANGES = [
    ("Europe/Berlin", "2026-03-28"),
    ("Europe/Berlin", "2026-10-24"),
    ("America/New_York", "2026-03-07"),
    ("America/New_York", "2026-10-31"),
    ("Australia/Lord_Howe", "2026-04-04"),
    ("Australia/Lord_Howe", "2026-10-03"),
    ("America/Havana", "2026-03-07"),  # skips the hour after midnight
    ("America/Asuncion", "2024-03-23"),  # repeats the hour before midnight
    ("Africa/Casablanca", "2026-02-14"),
    ("Pacific/Apia", "2011-12-29"),  # leaves out a day
]
RULES = [
    (("30", {30}), ("2", {2})),
    (("30", {30}), ("1", {1})),
    (("0", {0}), ("0", {0})),
    (("0", {0}), ("*", set(range(24)))),
    (("*/15", {0, 15, 30, 45}), ("*", set(range(24)))),
    (("*/15", {0, 15, 30, 45}), ("1-3", {1, 2, 3})),
    (("*", set(range(60))), ("*", set(range(24)))),
    (("*", set(range(60))), ("2", {2})),
]
EVERY_DAY: tuple[Field, ...] = (("*", set(range(1, 32))), ("*", set(range(1, 13))), ("*", set(range(7))))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule[0][0]} {rule[1][0]}")
@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_where_clocks_change_it_comes_round_as_is_defined(zone: str, day: str, rule: tuple[Field, Field]) -> None:
    start, cron = datetime.fromisoformat(f"{day}T00:00Z"), (*rule, *EVERY_DAY)
    trigger, end = trigger_for(text_of(cron), zone), start + timedelta(days=3)
    expected = seen(cron, zone, start, 3)
    assert list(times(trigger, start, end)) == expected
    assert count(trigger, start, end) == len(expected)


@pytest.mark.parametrize(
    ("rule", "zone", "start", "days"),
    [
        ("*/5 * * * * *", "Europe/Berlin", "2026-10-24T10:11:12Z", 2),
        ("*/20 * 9-17 * * mon-fri", "America/New_York", "2026-03-01T00:00:00Z", 12),
        ("every 90s", "UTC", "2026-03-01T00:00:01Z", 3),
        ("every 1h except * 0-6 * * *", "Europe/Berlin", "2026-03-20T00:00:00Z", 20),
        ("0 9 * * * or 0 9,12 * * * or every 7h", "Europe/Berlin", "2026-03-20T00:00:00Z", 20),
    ],
)
def test_a_long_past_is_counted_as_if_it_were_walked_through(rule: str, zone: str, start: str, days: int) -> None:
    trigger, after = trigger_for(rule, zone), datetime.fromisoformat(start)
    until = after + timedelta(days=days, seconds=7)
    walked = list(times(trigger, after, until))
    assert count(trigger, after, until) == len(walked)
    assert latest(trigger, after, until, 3) == walked[-3:]
    assert latest(trigger, after, until, 0) == []
    assert next_fire(trigger, until) is not None


def test_a_month_of_seconds_is_counted_in_no_time() -> None:
    start, began = datetime(2026, 5, 1, tzinfo=UTC), process_time()
    for rule, zone in (("* * * * * *", "Europe/Berlin"), ("every 1s", "UTC")):
        assert count(trigger_for(rule, zone), start, start + timedelta(days=31)) == 31 * 86_400
    assert process_time() - began < 10, "it walked through them"
