"""Schedules as they are declared."""

from __future__ import annotations

import pytest

from agentflow.errors import DefinitionError
from agentflow.tasks.schedule import Schedule, schedule


def test_the_default_id_is_made_of_what_the_schedule_says() -> None:
    one = Schedule("report", "0  9 * * mon-fri", "Europe/Berlin")
    assert one.id == "report:0 9 * * mon-fri@Europe/Berlin"
    assert Schedule("report", "0 9 * * mon-fri", "Europe/Berlin") == one


def test_a_given_id_is_kept() -> None:
    assert Schedule("report", "0 9 * * *", id="daily").id == "daily"


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
        Schedule("report", "0 9 * * *", zone)
    assert hint in str(caught.value)


def test_an_interval_in_a_time_zone_is_refused_because_it_would_mean_nothing() -> None:
    with pytest.raises(DefinitionError, match="no time zone changes"):
        Schedule("report", "every 1d", "Europe/Berlin")


@pytest.mark.parametrize("given", [["a"], "a", {"a": {1}}, {"a": float("nan")}, {"a": object()}])
def test_input_that_is_no_json_object_is_refused(given: object) -> None:
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
        schedule("0 9 * * *")(report)


def test_an_id_too_long_to_be_a_key_is_refused() -> None:
    with pytest.raises(DefinitionError, match="give a shorter id="):
        Schedule("report" * 50, "0 9 * * *")
