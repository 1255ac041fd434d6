"""Steering runs from a terminal, one by one and many at once, against a real server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.shell import Office, Shell

APP = """
    from agentflow import step, task, wait_for_approval


    @step
    async def fetch(n: int) -> int:
        return n


    @task
    async def ask(n: int) -> str:
        found = await fetch(n)
        decision = await wait_for_approval({"n": found})
        return f"{found} {decision.outcome}"
"""


def a_run(office: Office, **given: Any) -> str:
    """A run that will not start for an hour."""
    text = json.dumps({"name": "mia", **given})
    return str(office("trigger", "app.py:greet", "--input", text, "--delay", "1h", "--json").document["id"])


def test_a_run_is_paused_and_resumed(office: Office) -> None:
    run = a_run(office)
    assert office("pause", run, "--reason", "month's end", "--json").document == {"id": run, "status": "paused"}
    assert "month's end; it goes on when somebody resumes it" in office("why", run).out
    again = office("pause", run)
    assert (again.code, "it cannot be paused" in again.complaint) == (4, True)
    assert office("resume", run, "--json").document["status"] == "queued"
    assert office("cancel", run).code == 0


def test_a_cancelled_run_is_tried_again(office: Office) -> None:
    run = a_run(office)
    office("cancel", run)
    assert office("retry", run, "--json").document == {"id": run, "status": "queued"}
    ended = office("show", run, "--follow", "--json")
    assert ended.document["status"] == "completed"
    assert office("retry", run).code == 4


def test_a_failed_run_fails_again_when_nothing_has_changed(office: Office) -> None:
    run = office("trigger", "app.py:fails", "--input", '{"account": "A-9"}', "--wait", "--json").document["id"]
    assert office("retry", run, "-m", "once more").code == 0
    ended = office("show", run, "--follow", "--json").document
    assert (ended["status"], ended["attempt"]) == ("failed", 2)


def test_a_fork_takes_over_what_is_recorded_with_another_result(office: Office) -> None:
    given = ["trigger", "app.py:greet", "--input", '{"name": "mia"}', "--wait", "--json"]
    run = office(*given).document["id"]
    made = office("fork", run, "--patch", 'look_up#1="Tom"', "--json").document["id"]
    assert made != run
    assert office("show", made, "--follow", "--json").document["output"] == ["hello Tom"]
    assert office("show", run, "--json").document["output"] == ["hello Mia"]


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["--from", "lookup#1"], 3, "the nearest are look_up#1"),
        (["--patch", "look_up#1"], 2, "wanted KEY=JSON"),
        (["--patch", "look_up#1=Tom"], 2, "--patch look_up#1: found 'Tom'"),
        (["--patch", 'look_up#1="A"', "--patch", 'look_up#1="B"'], 2, "found look_up#1 twice"),
        (["--from", "look_up#1", "--patch", 'look_up#1="Tom"'], 2, "look_up#1 has no result before look_up#1"),
    ],
)
def test_a_fork_that_cannot_be_is_one_line_and_makes_no_run(
    office: Office, given: list[str], code: int, said: str
) -> None:
    run = office("trigger", "app.py:greet", "--input", '{"name": "mia"}', "--wait", "--json").document["id"]
    before = len(office("runs", "--json").document)
    refused = office("fork", run, *given)
    assert (refused.code, said in refused.complaint) == (code, True), refused.complaint
    assert len(office("runs", "--json").document) == before


def test_a_patch_is_held_against_the_code_that_is_named(agentflow: Shell) -> None:
    agentflow.write("app.py", APP)
    run = agentflow("trigger", "app.py:ask", "--input", '{"n": 1}', "--json").document["id"]
    serving = agentflow.start("worker", "app.py", "--quiet")
    _until_it_waits(agentflow, run)
    serving.stop(2)
    refused = agentflow("fork", run, "--patch", 'fetch#1="many"', "--app", "app.py", "--json")
    assert (refused.code, refused.document["error"]["type"]) == (2, "ForkRefused")
    assert len(agentflow("runs", "--json").document) == 1
    assert agentflow("fork", run, "--patch", "fetch#1=5", "--app", "app.py").code == 0


def _until_it_waits(agentflow: Shell, run: str) -> None:
    while agentflow("show", run, "--json").document["status"] != "waiting":
        pass


def test_many_runs_are_cancelled_after_a_dry_run(office: Office) -> None:
    mine = [a_run(office, times=7) for _ in range(3)]
    options = ["--task", "greet", "--status", "queued", "--after", "1h"]
    planned = office("cancel", *options, "--dry-run", "--json").document
    assert planned["dry_run"] is True
    assert set(mine) <= set(planned["done"])
    assert office("show", mine[0], "--json").document["status"] == "queued"
    done = office("cancel", *options, "--reason", "not wanted", "--json").document
    assert done == planned | {"dry_run": False}
    for_people = office("retry", "--task", "greet", "--status", "cancelled", "--before", "0s", "--dry-run").out
    assert f"{mine[0]}  would be retried" in for_people
    assert "0 refused" in for_people


def test_what_cannot_be_steered_is_told_and_ends_with_4(office: Office) -> None:
    office("trigger", "app.py:greet", "--input", '{"name": "mia"}', "--wait")
    report = office("pause", "--status", "completed", "--json")
    assert report.code == 4
    assert report.document["done"] == []
    assert all("is completed; it cannot be paused" in said for said in report.document["refused"].values())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["cancel"], "wanted a run's id, or at least one of --task"),
        (["cancel", "run_1", "--task", "greet"], "wanted one or the other"),
        (["cancel", "run_1", "--dry-run"], "--dry-run is for several runs"),
        (["pause", "--status", "quued"], "did you mean queued?"),
        (["retry", "--task", "greet", "--after", "yesterday"], "--after: found 'yesterday'; wanted a span"),
        (["resume", "--task", "greet", "--output", "1"], "wanted a run's id with it"),
        (["resume", "run_1", "--output", "{"], "--output: found"),
    ],
)
def test_a_command_that_does_not_say_what_it_means_changes_nothing(office: Office, given: list[str], said: str) -> None:
    refused = office(*given)
    assert (refused.code, said in refused.complaint) == (2, True), refused.complaint


def test_health_says_who_works_and_that_nothing_is_stuck(office: Office) -> None:
    document = office("health", "--json").document
    assert document["workers"] == 1
    assert document["stuck"] == []
    assert "workers alive" in office("health").out
