"""/api/v1/runs/{id}/result, /events, /journal, /history, /logs: wait for a run and read what is recorded of it."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Final

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream
from msgspec import Meta

from agentflow.client import Client
from agentflow.durations import describe, duration
from agentflow.errors import InvalidDuration, RunNotFound, StoreUnavailable
from approvals_ui.access import caller_of, require_room, streamed
from approvals_ui.api.endpoint import EVENT_STREAM, endpoint, reply
from approvals_ui.api.fields import LARGEST
from approvals_ui.api.reading import query_of
from approvals_ui.api.shapes.journals import History, JournalPage, LogLines, entry_view, log_view
from approvals_ui.api.shapes.runs import FollowQuery, HistoryQuery, JournalQuery, ResultQuery, RunView, run_view
from approvals_ui.desk import Desk
from approvals_ui.resuming import last_read
from approvals_ui.streams import AGAIN_SECONDS, GATHER_SECONDS, HEARTBEAT_SECONDS, Streams, close, stop
from approvals_ui.views import Asked

LONGEST_WAIT: Final = timedelta(minutes=1)
MOST_EVENTS: Final = 500
about = partial(endpoint, tag="runs", scope="runs:read")


class FollowingEndpoints(Controller):
    """What became of a run."""

    path = "/runs/{run_id:str}"

    @get(
        "/result",
        opt=about(
            "getResult",
            "Wait for a result",
            query=ResultQuery,
            gives={200: RunView, 202: RunView},
            said={200: "The run has ended; `status` says how.", 202: "It has not ended yet: ask again."},
            raises=(RunNotFound, InvalidDuration),
        ),
    )
    async def result(self, request: Asked, desk: NamedDependency[Desk], run_id: FromPath[str]) -> Response[bytes]:
        """The run once it has ended, waiting for it for `wait`, a minute at most.

        202 with the run as it is if it has not ended by then: ask again, as often as it takes.
        """
        wait = duration(query_of(request, ResultQuery).wait or 0)
        if wait > LONGEST_WAIT:
            raise InvalidDuration(f"wait={describe(wait)} is longer than {describe(LONGEST_WAIT)}; ask again instead")
        run = await desk.client.run(run_id)
        if not run.is_finished and wait:
            caller = caller_of(request)
            require_room(caller, desk)
            with desk.streams.held(caller.token_id):
                await _ended(desk, run_id, wait)
            run = await desk.client.run(run_id)
        return reply(run_view(run), status=200 if run.is_finished else 202)

    @get(
        "/events",
        media_type=EVENT_STREAM,
        opt=about(
            "followRun",
            "Follow a run",
            query=FollowQuery,
            headers={"Last-Event-ID": Annotated[int, Meta(ge=0, le=LARGEST, description="The last `seq` read.")]},
            gives={200: str, 204: None},
            said={
                200: "Server-sent events: `id` is the event's `seq`, `event` its type, `data` the event as JSON, as in "
                "`getHistory`. A comment is sent every 15 seconds; the stream ends with the run.",
                204: "The run has ended and there is nothing after this `seq`: do not ask again.",
            },
            media_type=EVENT_STREAM,
            raises=(RunNotFound,),
        ),
    )
    async def follow(
        self, request: Asked, desk: NamedDependency[Desk], run_id: FromPath[str]
    ) -> Response[Any] | Stream:
        """What happens to the run, as it happens, from the event after `Last-Event-ID` on, until the run has ended."""
        after = last_read(request, after=query_of(request, FollowQuery).after, otherwise="begin with the first") or 0
        run = await desk.client.run(run_id)
        if run.is_finished and not await desk.client.journal(run_id, after=after, limit=1):
            return Response(None, status_code=204)
        told = streamed(request, desk, events_of(desk.client, desk.streams, run_id, after=after))
        return Stream(told, media_type=EVENT_STREAM, headers={"x-accel-buffering": "no"})

    @get(
        "/journal",
        opt=about("getJournal", "Read a journal", query=JournalQuery, gives=JournalPage, raises=(RunNotFound,)),
    )
    async def journal(self, request: Asked, desk: NamedDependency[Desk], run_id: FromPath[str]) -> Response[bytes]:
        """What is recorded of the run, in order: what a replay reads. It may change between releases."""
        asked = query_of(request, JournalQuery)
        await desk.client.run(run_id)
        entries = await desk.client.journal(run_id, after=asked.after, limit=asked.limit + 1)
        items = [entry_view(entry) for entry in entries[: asked.limit]]
        return reply(JournalPage(items=items, more=len(entries) > asked.limit))

    @get(
        "/history",
        opt=about("getHistory", "Read a history", query=HistoryQuery, gives=History, raises=(RunNotFound,)),
    )
    async def history(self, request: Asked, desk: NamedDependency[Desk], run_id: FromPath[str]) -> Response[bytes]:
        """What happened to the run as typed events, in order and without gaps; `version` is that of the events.

        While there are `more`, ask again with `after=` the last `seq`.
        """
        asked = query_of(request, HistoryQuery)
        return reply(await desk.client.history_document(run_id, after=asked.after, limit=asked.limit))

    @get("/logs", opt=about("getLogs", "Read a log", gives=LogLines, raises=(RunNotFound,)))
    async def logs(self, desk: NamedDependency[Desk], run_id: FromPath[str]) -> Response[bytes]:
        """What the run logged, oldest first."""
        await desk.client.run(run_id)
        return reply(LogLines(items=[log_view(line) for line in await desk.client.logs(run_id)]))


async def _ended(desk: Desk, run_id: str, wait: timedelta) -> None:
    """Return when the run has ended, the time is over, or this server stops."""
    result = asyncio.ensure_future(desk.client.result(run_id, timeout=wait))
    stopping = asyncio.ensure_future(desk.streams.wait())
    try:
        await asyncio.wait({result, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if result.done():
            with suppress(TimeoutError):
                result.result()
    finally:
        await stop(result, stopping)


async def events_of(client: Client, streams: Streams, run_id: str, *, after: int) -> AsyncGenerator[bytes, None]:
    """The run's events from the one after `after` on, as they come, until the run has ended or `streams` do."""
    changes = client.changes()
    ended = asyncio.ensure_future(streams.wait())
    change: asyncio.Future[None] = asyncio.ensure_future(anext(changes))
    try:
        yield b"retry: 2000\n\n"
        while True:
            patience = HEARTBEAT_SECONDS
            try:
                is_over = (await client.run(run_id)).is_finished
                while events := await _events(client, run_id, after):
                    after = events[-1]["seq"]
                    yield b"".join(_as_sent(event) for event in events)
            except StoreUnavailable:
                is_over, patience = False, AGAIN_SECONDS
            except RunNotFound:  # removed meanwhile
                return
            if is_over or ended.done():
                return
            await asyncio.wait({change, ended}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if change.done():
                change.result()
                change = asyncio.ensure_future(anext(changes))
                await asyncio.wait({ended}, timeout=GATHER_SECONDS)
            else:
                yield b": still here\n\n"
    finally:
        await stop(change, ended)
        await close(changes)


async def _events(client: Client, run_id: str, after: int) -> list[dict[str, Any]]:
    """The next events; the whole journal, of which they are made, is read only if there are any."""
    if not await client.journal(run_id, after=after, limit=1):
        return []
    document = await client.history_document(run_id, after=after, limit=MOST_EVENTS)
    found: list[dict[str, Any]] = document["events"]
    return found


def _as_sent(event: dict[str, Any]) -> bytes:
    return f"id: {event['seq']}\nevent: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
