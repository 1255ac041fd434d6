"""Schedules on the command line: looked at, planned, made, steered, and the past filled in."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.store import open_store
from tests.cli.shell import Shell
from tests.support.schedules import declared

APP = """
    from agentflow import task


    @task.schedule("0 9 * * mon-fri", timezone="Europe/Berlin", id="nightly", overlap="queue")
    @task.schedule("every 1h", id="hourly")
    @task
    async def report(region: str = "eu") -> str:
        return region


    @task
    async def bill(tenant: str, day: str) -> str:
        return tenant
"""
ACME = ("app.py:bill", "0 6 * * *", "--id", "acme", "--input", '{"tenant": "acme"}', "--occurrence-as", "day")


@pytest.fixture
def shop(agentflow: Shell) -> Shell:
    """An application, and a schedule that somebody made beside those of its code."""
    agentflow.write("app.py", APP)
    assert agentflow("schedules", "upsert", *ACME).code == 0
    return agentflow


def test_what_a_start_would_do_is_told_and_not_done(shop: Shell) -> None:
    plan = shop("schedules", "plan", "app.py", "--json").document

    assert [one["id"] for one in plan["added"]] == ["hourly", "nightly"]
    assert (plan["changed"], plan["removed"], plan["kept"]) == ([], [], [])
    assert [one["id"] for one in shop("schedules", "list", "--json").document] == ["acme"]
    said = shop("schedules", "plan", "app.py").out
    assert "+ nightly  report: 0 9 * * mon-fri, Europe/Berlin" in said
    assert "2 to add, 0 to change, 0 to remove, 0 as they are; nothing was changed" in said


def test_a_schedule_is_made_changed_listed_and_removed(shop: Shell) -> None:
    made = shop("schedules", "list", "--json").document[0]
    assert (made["id"], made["task"], made["rule"], made["in_words"]) == ("acme", "bill", "0 6 * * *", "at 06:00")
    assert (made["source"], made["input"], made["occurrence_as"]) == ("program", {"tenant": "acme"}, "day")

    changed = shop(
        "schedules", "upsert", *ACME, "--timezone", "Asia/Tokyo", "--overlap", "skip", "--spread", "5m",
        "--catch-up", "all(3)", "--start", "2026-01-01", "--end", "2199-01-01", "--json",
    ).document  # fmt: skip
    assert (changed["timezone"], changed["overlap"], changed["spread"], changed["catch_up"]) == (
        "Asia/Tokyo", "skip", 300.0, "all(3)",
    )  # fmt: skip
    assert (changed["start_at"], changed["revision"]) == ("2025-12-31T15:00:00+00:00", 2)
    listed = shop("schedules", "list").out
    assert "at 06:00" in listed
    assert "to be planned" in listed
    assert shop("schedules", "remove", "acme", "--json").document == {"id": "acme", "removed": True}
    empty = shop("schedules", "list")
    assert "no schedule in" in empty.err


def test_one_shows_its_next_ten_times_and_who_did_what(shop: Shell) -> None:
    run = shop("schedules", "trigger", "acme", "--json").document
    shop("schedules", "pause", "acme", "--reason", "audit")
    shop("schedules", "resume", "acme")

    shown = shop("schedules", "show", "acme", "--json").document
    assert len(shown["upcoming"]) == 10
    assert all(at.endswith("T06:00:00+00:00") for at in shown["upcoming"])
    (by_hand,) = shown["occurrences"]
    assert (by_hand["kind"], by_hand["outcome"], by_hand["run_id"]) == ("by_hand", "started", run["id"])
    assert [one["reason"] for one in shown["changes"]] == ["", "audit", ""]
    said = shop("schedules", "show", "acme").out
    for part in (
        "at 06:00 (0 6 * * *), UTC",
        "next times",
        "asked for by",
        "paused, by",
        "resumed, by",
        "made: 0 6 * * *",
    ):
        assert part in said, part


def test_the_past_is_filled_in_and_a_backfill_is_ended(shop: Shell) -> None:
    asked = shop(
        "schedules", "backfill", "acme", "--since", "2026-01-01", "--until", "2026-01-03T12:00", "--json"
    ).document
    assert (asked["since"], asked["until"]) == ("2026-01-01T00:00:00+00:00", "2026-01-03T12:00:00+00:00")
    assert [one["id"] for one in shop("schedules", "backfills", "--json").document] == [asked["id"]]
    assert "open" in shop("schedules", "backfills", "acme").out

    ended = shop("schedules", "cancel-backfill", asked["id"], "--json").document
    assert ended["finished_at"] is not None
    assert ended["cancelled_by"] == asked["requested_by"]


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["show", "none"], 3, "there is no schedule 'none'"),
        (["pause", "none"], 3, "there is no schedule 'none'"),
        (["trigger", "none"], 3, "there is no schedule 'none'"),
        (["cancel-backfill", "none"], 3, "there is no backfill 'none'"),
        (["backfill", "acme", "--since", "soon"], 2, "since is 'soon'"),
        (["backfill", "acme", "--since", "2199-01-01"], 2, "is no range of the past"),
        (["backfill", "acme", "--since", "2026-01-02", "--until", "2026-01-01"], 2, "is no range of the past"),
        (["upsert", "app.py:bill", "0 25 * * *", "--id", "x"], 2, "hour"),
        (["upsert", "app.py:bill", "0 9 * * *", "--timezone", "Europe/Berln"], 2, "did you mean Europe/Berlin"),
        (["upsert", "app.py:bill", "0 9 * * *", "--id", "x"], 2, "tenant"),
        (["upsert", "app.py:nobody", "0 9 * * *"], 3, "there is no task 'nobody'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(shop: Shell, given: list[Any], code: int, said: str) -> None:
    refused = shop("schedules", *given)
    assert refused.code == code, refused.err
    assert said in refused.err
    assert len(refused.err.strip().splitlines()) == 1


async def test_a_schedule_of_the_code_is_changed_there(shop: Shell) -> None:
    store = await open_store(f"sqlite:///{shop.folder / 'agentflow.db'}")
    await store.declare_schedules([declared("nightly")], ["report"])
    await store.close()
    for given in (["remove", "nightly"], ["upsert", "app.py:report", "every 1h", "--id", "nightly"]):
        refused = shop("schedules", *given)
        assert refused.code == 4, refused.err
        assert "declared in code" in refused.err
