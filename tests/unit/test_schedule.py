"""Schedules as they are declared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agentflow.errors import DefinitionError
from agentflow.states import Overlap
from agentflow.tasks.decorating import task
from agentflow.tasks.schedule import Schedule, most_caught_up


@task
async def report(region: str = "eu", when: str = "") -> None: ...


def test_the_default_id_is_made_of_what_the_schedule_says() -> None:
    one = Schedule("report", "0  9 * * mon-fri", timezone="Europe/Berlin")
    assert one.id == "report:0 9 * * mon-fri@Europe/Berlin"
    assert Schedule(report, "0 9 * * mon-fri", timezone="Europe/Berlin") == one


def test_a_given_id_is_kept() -> None:
    assert Schedule("report", "0 9 * * *", id="daily").id == "daily"


def test_the_decorator_adds_a_schedule_with_its_options() -> None:
    @task.schedule("every 30s", id="often", overlap="skip")
    @task.schedule("0 9 * * *", timezone="Europe/Berlin", spread="10m", catch_up="all(20)", input={"region": "us"})
    @task
    async def sales(region: str) -> None: ...

    daily, often = sales.schedules
    assert (daily.task, daily.spread, daily.catch_up, daily.input) == (
        "sales",
        timedelta(minutes=10),
        "all(20)",
        {"region": "us"},
    )
    assert (often.id, often.overlap) == ("often", Overlap.SKIP)


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("Europe/Berln", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("New York", "America/New_York"),
        ("../UTC", "UTC"),
        ("", '"Europe/Berlin" or "UTC"'),
    ],
)
def test_an_unknown_time_zone_is_refused_with_the_nearest_ones(zone: str, hint: str) -> None:
    with pytest.raises(DefinitionError, match="there is no time zone") as caught:
        Schedule("report", "0 9 * * *", timezone=zone)
    assert hint in str(caught.value)


def test_an_interval_in_a_time_zone_is_refused_because_it_would_mean_nothing() -> None:
    with pytest.raises(DefinitionError, match="no time zone changes"):
        Schedule("report", "every 1d or every 90s", timezone="Europe/Berlin")
    assert Schedule("report", "every 1h except * 0-6 * * *", timezone="Europe/Berlin")
    assert Schedule("report", "every day at 09:00", timezone="Europe/Berlin")


@pytest.mark.parametrize("given", [["a"], "a", {"a": {1}}, {"a": float("nan")}, {"a": object()}])
def test_input_that_is_no_json_object_is_refused(given: Any) -> None:
    with pytest.raises(DefinitionError, match="the input of a schedule of task 'report'"):
        Schedule("report", "0 9 * * *", input=given)


def test_the_input_is_a_copy_that_later_changes_do_not_reach() -> None:
    given = {"regions": ["eu"]}
    one = Schedule("report", "0 9 * * *", input=given)
    given["regions"].append("us")
    assert one.input == {"regions": ["eu"]}


def test_the_decorator_under_the_task_decorator_says_to_put_it_above() -> None:
    async def report() -> None: ...

    with pytest.raises(DefinitionError, match="put it above @task"):
        task.schedule("0 9 * * *")(report)  # type: ignore[type-var]


@pytest.mark.parametrize(("catch_up", "count"), [("none", 0), ("latest", 1), ("all", 100), (" All( 20 ) ", 20)])
def test_catching_up_is_of_none_the_latest_or_a_number(catch_up: str, count: int) -> None:
    one = Schedule("report", "0 9 * * *", catch_up=catch_up)
    assert most_caught_up(one.catch_up) == count
    assert Schedule("report", "0 9 * * *", catch_up=one.catch_up).catch_up == one.catch_up


def test_start_and_end_without_an_offset_are_times_in_the_zone_of_the_schedule() -> None:
    one = Schedule("report", "0 9 * * *", timezone="Europe/Berlin", start="2026-07-01", end="2026-12-01T09:00:00Z")
    assert one.start == datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert one.end == datetime(2026, 12, 1, 9, tzinfo=UTC)
    assert Schedule("report", "0 9 * * *", start=datetime(2026, 7, 1)).start == datetime(2026, 7, 1, tzinfo=UTC)  # noqa: DTZ001  a time on the wall


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"id": "x" * 201}, "give a shorter id="),
        ({"id": "a\nb"}, "cannot be shown"),
        ({"id": 7}, "is no text"),
        ({"spread": "soon"}, "spread: 'soon' is no span of time"),
        ({"spread": "25h"}, "is longer than 1d"),
        ({"spread": -1}, "negative"),
        ({"overlap": "skp"}, "did you mean 'skip'?"),
        ({"overlap": "x"}, "wanted 'allow', 'skip', 'queue', 'cancel'"),
        ({"catch_up": "last"}, 'wanted "none", "latest", "all" or "all(100)"'),
        ({"catch_up": "all(0)"}, '"all(1)"'),
        ({"catch_up": "all(99999999)"}, '"all(10000)"'),
        ({"catch_up": 3}, "catch_up='3'"),
        ({"start": "tomorrow"}, "start='tomorrow'; wanted a datetime"),
        ({"end": 7}, "end=7; wanted a datetime"),
        ({"start": "2026-02-01", "end": "2026-01-01"}, "can never fire: end=2026-01-01 00:00:00+00:00 is before"),
        ({"rule": "at 2026-01-01 09:00", "start": "2026-01-02"}, "its last date is 2026-01-01"),
        ({"rule": "at 2026-01-01 09:00", "end": "2025-12-31"}, "its first date is 2026-01-01"),
        ({"rule": "at 2026-01-01 09:00, 2027-01-01 09:00 except 2027-01-01", "start": "2026-01-02"}, "last date"),
        (
            {"start": "2026-03-02T10:01", "end": "2026-03-03T07:59"},
            "does not come round between start=2026-03-02 10:01",
        ),
        ({"rule": "0 9 29 2 *", "start": "2026-01-01", "end": "2027-12-31"}, "does not come round between"),
        ({"rule": "every month from 2026-01-31", "start": "2026-02-01", "end": "2026-03-30"}, "does not come round"),
        ({"rule": "0 9 * * * except * * * 3 *", "start": "2026-03-01", "end": "2026-03-31"}, "does not come round"),
        ({"rule": "at 2026-01-01 09:00", "start": "2026-01-01 11:00", "end": "2026-02-01"}, "does not come round"),
        ({"occurrence_as": "wen"}, "is no parameter of the task; did you mean 'when'?"),
        ({"occurrence_as": "x"}, "it has: region, when"),
        ({"occurrence_as": "when", "input": {"when": "now"}}, "leave one of them out"),
    ],
)
def test_an_option_that_cannot_work_is_refused_with_what_would(options: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Schedule(report, **{"rule": "0 9 * * *", **options})
    assert said in str(caught.value)


def test_a_default_id_that_would_be_too_long_asks_for_one() -> None:
    with pytest.raises(DefinitionError, match="give a shorter id="):
        Schedule("report" * 50, "0 9 * * *")


@pytest.mark.parametrize("given", [None, 7, "", object()])
def test_what_is_no_task_is_refused(given: Any) -> None:
    with pytest.raises(DefinitionError, match="that is no task"):
        Schedule(given, "0 9 * * *")


def test_the_parameter_of_a_task_known_by_its_id_alone_is_not_judged_here() -> None:
    assert Schedule("report", "0 9 * * *", occurrence_as="anything").occurrence_as == "anything"


@pytest.mark.parametrize(
    ("rule", "zone", "start", "end"),
    [
        ("0 9 * * *", "UTC", "2026-03-02T09:00", "2026-03-02T09:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T03:00", "2026-03-29T03:00"),
        ("at 2026-03-29 02:30", "Europe/Berlin", "2026-03-29T03:00", "2026-03-29T03:00"),
        ("every 30d", "UTC", "2026-03-02", "2026-03-03"),
        ("0 9 29 2 *", "UTC", "2027-12-31", "2028-03-01"),
    ],
)
def test_a_schedule_that_fires_but_once_between_start_and_end_is_taken(
    rule: str, zone: str, start: str, end: str
) -> None:
    assert Schedule(report, rule, timezone=zone, start=start, end=end)
