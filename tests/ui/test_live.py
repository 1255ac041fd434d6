"""The live stream: told once, resumed where it was left, ended when the server stops."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from approvals_ui import create_app, end_streams
from tests.support.server import running
from tests.ui.stories import the_invoice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.support.server import Served
    from tests.ui.seeding import Seeds

PATIENCE = 60


@asynccontextmanager
async def listening(http: httpx.AsyncClient, path: str, **headers: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The events of a stream, each with its fields."""

    async def events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
        event: dict[str, Any] = {}
        async for line in response.aiter_lines():
            if not line:
                if "event" in event:
                    yield event
                event = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(": ")
                event[name] = json.loads(value) if name == "data" else value

    async with http.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-frame-options"] == "DENY"
        yield events(response)


async def upcoming(events: AsyncIterator[dict[str, Any]]) -> dict[str, Any]:
    return await asyncio.wait_for(anext(events), PATIENCE)


async def test_a_stream_tells_what_happens_after_it_began(site: Served, seeds: Seeds) -> None:
    await seeds.finished()
    async with site.http() as http, listening(http, "/live") as events:
        asked = await the_invoice(seeds)
        kinds: set[str] = set()
        while "parked" not in kinds:
            event = await upcoming(events)
            assert event["event"] == "moved"
            assert event["data"]["runs"] == [asked.run_id]
            kinds |= set(event["data"]["kinds"])
        assert "wait_opened" in kinds


async def test_a_browser_that_was_away_resumes_where_it_left(site: Served, seeds: Seeds) -> None:
    before = await seeds.finished()
    head = await site.client.head()
    missed = await seeds.finished()
    async with site.http() as http:
        for path, headers in ((f"/live?after={head}", {}), ("/live?after=0", {"last-event-id": str(head)})):
            async with listening(http, path, **headers) as events:
                event = await upcoming(events)
                assert event["data"]["runs"] == [missed.id]
                assert event["id"] == str(await site.client.head())
        async with listening(http, "/live?after=0") as events:
            assert before.id in (await upcoming(events))["data"]["runs"]


async def test_streams_end_when_the_server_stops(site: Served) -> None:
    app = create_app(site.client, dev=True)
    async with running(app) as url, site.http() as http, listening(http, f"{url}/live") as events:
        end_streams(app)
        assert (await upcoming(events))["event"] == "end"
        assert [event async for event in events] == []


async def test_a_resume_point_that_is_none_is_refused(site: Served) -> None:
    async with site.http() as http:
        assert (await http.get("/live", headers={"last-event-id": "1 or 1=1"})).status_code == 400
        assert (await http.get("/live?after=x")).status_code == 400


async def test_a_reader_that_left_leaves_nothing_behind(site: Served, seeds: Seeds) -> None:
    async with site.http() as http, listening(http, "/live") as events:
        await seeds.finished()
        await upcoming(events)
        await site.streams(1)
    await site.streams(0)
