"""The history as the command prints it and the API gives it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import step, task
from agentflow.testing import FakeClock, Harness
from tests.cli.shell import Shell
from tests.support.server import served

if TYPE_CHECKING:
    from pathlib import Path


@step
async def charge(amount: int) -> str:
    if amount < 0:
        raise ValueError("nothing to charge")
    return f"receipt for {amount}"


@task
async def pay(amount: int) -> str:
    return await charge(amount)


@pytest.fixture
def paid(tmp_path: Path) -> tuple[Shell, str, str]:
    """A folder with a database, and the ids of a run in it that completed and one that failed."""

    async def made() -> list[str]:
        async with Harness(pay, path=tmp_path / "agentflow.db") as h:
            runs = [await h.trigger(pay, amount) for amount in (5, -1)]
            await h.until_idle()
            return [run.id for run in runs]

    return Shell(tmp_path), *asyncio.run(made())  # type: ignore[return-value]


def test_the_command_tells_the_events_one_a_line(paid: tuple[Shell, str, str]) -> None:
    shell, run_id, failed_id = paid
    lines = shell("history", run_id).out.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert "run_triggered: origin=program" in lines[0]
    assert "turn 1" in lines[1]
    assert "charge#1  operation_succeeded: operation=step" in lines[1]
    assert "receipt for 5" in lines[1]
    assert "run_finished: status=completed, output=receipt for 5" in lines[2]
    told = shell("history", failed_id).out
    assert "charge#1  operation_failed" in told
    assert "error=nothing to charge" in told


def test_as_json_it_is_the_versioned_document(paid: tuple[Shell, str, str]) -> None:
    shell, run_id, _ = paid
    document = shell("history", run_id, "--json").document
    assert (document["version"], document["run_id"]) == (1, run_id)
    assert [event["type"] for event in document["events"]] == ["run_triggered", "operation_succeeded", "run_finished"]
    assert document["events"][1]["result"] == "receipt for 5"


def test_a_run_that_is_not_there_ends_with_3(paid: tuple[Shell, str, str]) -> None:
    shell, *_ = paid
    ended = shell("history", "run_nowhere", "--json")
    assert ended.code == 3
    assert ended.document["error"]["type"] == "RunNotFound"


async def test_the_api_gives_the_same_document(tmp_path: Path) -> None:
    async with served(tmp_path, pay, clock=FakeClock()) as site, site.http() as http:
        run: dict[str, Any] = (await http.post("/api/v1/runs", json={"task": "pay", "input": {"amount": 5}})).json()
        answer = await http.get(f"/api/v1/runs/{run['id']}/history")
        assert answer.status_code == 200
        assert answer.json()["version"] == 1
        assert [event["type"] for event in answer.json()["events"]] == ["run_triggered"]
        await site.client.cancel(run["id"], by="mia")
        page = (await http.get(f"/api/v1/runs/{run['id']}/history", params={"limit": 1})).json()
        assert ([event["seq"] for event in page["events"]], page["more"]) == ([1], True)
        rest = (await http.get(f"/api/v1/runs/{run['id']}/history", params={"after": 1, "limit": 1})).json()
        assert ([event["type"] for event in rest["events"]], rest["more"]) == (["run_finished"], False)
        for wrong in ({"after": -1}, {"limit": 0}, {"limit": 1001}):
            assert (await http.get(f"/api/v1/runs/{run['id']}/history", params=wrong)).status_code == 400
        missing = await http.get("/api/v1/runs/run_nowhere/history")
        assert missing.status_code == 404
