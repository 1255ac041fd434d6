"""Waiting for runs over HTTP: by long poll, and by server-sent events that resume where a reader left."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from agentflow import step, task, wait_for_event
from agentflow.testing import Harness
from approvals_ui import create_app, end_streams
from approvals_ui.api import following
from tests.support.server import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@step
async def prepare(order: str) -> str:
    return f"order {order}"


@task
async def paying(order: str) -> Any:
    await prepare(order)
    return await wait_for_event("paid", key=order, timeout="3d")


@dataclass
class Sent:
    """One event of a stream; a comment has no name."""

    name: str
    id: str
    data: Any


@dataclass
class Served:
    harness: Harness
    http: httpx.AsyncClient
    app: Any

    async def waiting(self, order: str = "a-1") -> str:
        run = await self.harness.trigger(paying, order)
        await self.harness.until_idle()
        return run.id

    async def paid(self, order: str = "a-1") -> None:
        await self.harness.client.send_event("paid", {"total": 9}, key=order)
        await self.harness.until_idle()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with Harness(paying, path=tmp_path / "runs.db") as harness:
        app = create_app(harness.client, dev=True, reviewer="mia")
        async with running(app) as url, httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=60) as http:
            yield Served(harness, http, app)


async def told(answer: httpx.Response) -> AsyncIterator[Sent]:
    """The events of a stream, and its comments, until it ends."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(":")
        if line:
            fields[name] = value.strip()
        elif "retry" not in fields:
            yield Sent(fields.get("event", ""), fields.get("id", ""), json.loads(fields.get("data", "null")))
            fields = {}
        else:
            fields = {}


async def test_a_long_poll_is_answered_when_the_run_ends(served: Served) -> None:
    run_id = await served.waiting()
    polling = asyncio.create_task(served.http.get(f"/runs/{run_id}/result", params={"wait": "30s"}))
    early = await served.http.get(f"/runs/{run_id}/result")
    await served.paid()
    answer = await polling
    assert (early.status_code, early.json()["status"]) == (202, "waiting")
    assert (answer.status_code, answer.json()["output"]) == (200, {"total": 9})


async def test_a_long_poll_that_was_too_short_gives_the_run_as_it_is(served: Served) -> None:
    run_id = await served.waiting()
    answer = await served.http.get(f"/runs/{run_id}/result", params={"wait": "50ms"})
    assert (answer.status_code, answer.json()["status"]) == (202, "waiting")
    too_long = await served.http.get(f"/runs/{run_id}/result", params={"wait": "2h"})
    assert too_long.status_code == 422
    assert "ask again" in too_long.json()["detail"]


async def test_a_long_poll_is_answered_when_the_server_stops(served: Served) -> None:
    run_id = await served.waiting()
    polling = asyncio.create_task(served.http.get(f"/runs/{run_id}/result", params={"wait": "60s"}))
    await served.http.get(f"/runs/{run_id}")
    end_streams(served.app)
    assert (await polling).status_code == 202


async def test_a_stream_tells_what_happens_and_ends_with_the_run(served: Served) -> None:
    run_id = await served.waiting()
    names: list[str] = []
    async with served.http.stream("GET", f"/runs/{run_id}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for sent in told(answer):
            names.append(sent.name)
            assert sent.data["type"] == sent.name
            assert sent.data["seq"] == int(sent.id) == len(names)
            if sent.name == "turn_ended":
                await served.paid()
    assert names[0] == "run_triggered"
    assert names[-1] == "run_finished"
    history = (await served.http.get(f"/runs/{run_id}/history")).json()
    assert names == [event["type"] for event in history["events"]]


async def test_a_reader_that_was_away_resumes_after_the_last_it_read(served: Served) -> None:
    run_id = await served.waiting()
    await served.paid()
    async with served.http.stream("GET", f"/runs/{run_id}/events", headers={"last-event-id": "3"}) as answer:
        resumed = [sent async for sent in told(answer)]
    async with served.http.stream("GET", f"/runs/{run_id}/events", params={"after": 3}) as answer:
        asked = [sent async for sent in told(answer)]
    over = await served.http.get(f"/runs/{run_id}/events", headers={"last-event-id": resumed[-1].id})
    assert [int(sent.id) for sent in resumed] == list(range(4, int(resumed[-1].id) + 1))
    assert asked == resumed
    assert (over.status_code, over.content) == (204, b"")


async def test_a_silent_stream_is_kept_alive_and_ends_when_the_server_stops(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "HEARTBEAT_SECONDS", 0.05)
    run_id = await served.waiting()
    comments = 0
    async with served.http.stream("GET", f"/runs/{run_id}/events") as answer:
        async for sent in told(answer):
            comments += not sent.name
            if comments == 3:
                end_streams(served.app)
    assert comments >= 3


async def test_a_stream_of_no_run_or_from_no_event_is_refused_as_a_problem(served: Served) -> None:
    run_id = await served.waiting()
    unknown = await served.http.get("/runs/run_none/events")
    nonsense = await served.http.get(f"/runs/{run_id}/events", headers={"last-event-id": "9" * 40})
    assert (unknown.status_code, nonsense.status_code) == (404, 400)
    assert unknown.headers["content-type"] == nonsense.headers["content-type"] == "application/problem+json"
