"""The conversation on a run's page: what it shows, the words on their way, a message to the agent, one call in full."""

import json
from typing import Any, Final

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Stream

from agentflow.client import Client
from agentflow.conversation import Conversation, ModelCall, ToolUse, request_of
from agentflow.records import Approval, Run
from approvals_ui.access import needs, streamed
from approvals_ui.caller import Caller
from approvals_ui.desk import Desk
from approvals_ui.forms import first, submission_of
from approvals_ui.problems import Refused
from approvals_ui.resuming import last_read
from approvals_ui.talks import talks_of
from approvals_ui.tokens import words
from approvals_ui.views import Asked, page

MAIL: Final = "agentflow.mail"
LATEST_MAIL: Final = 200


class ConversationPages(Controller):
    """`/runs/ID/tokens`, `/runs/ID/tell` and `/runs/ID/calls/KEY`."""

    path = "/runs/{run_id:str}"
    include_in_schema = False
    opt = needs("runs:read")

    @get("/tokens")
    async def tokens(
        self, request: Asked, desk: NamedDependency[Desk], run_id: FromPath[str], after: FromQuery[int] = 0
    ) -> Stream:
        """What is being said, from piece `after` on or from the browser's Last-Event-ID."""
        start = last_read(request, after=after, otherwise="follow from the beginning") or 0
        run = await desk.client.run(run_id)
        events = words(desk.client, desk.streams, run.id, after=start)
        headers = {"x-accel-buffering": "no"}
        return Stream(streamed(request, desk, events), media_type="text/event-stream", headers=headers)

    @post("/tell", opt=needs("runs:write"))
    async def tell(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], run_id: FromPath[str]
    ) -> Redirect:
        """Send the agent a message."""
        text = first(await submission_of(request), "text").replace("\r\n", "\n").strip()
        await desk.client.tell(run_id, text, by=caller.name)
        return Redirect(f"/runs/{run_id}", status_code=303)

    @get("/calls/{key:path}")
    async def call(
        self, request: Asked, desk: NamedDependency[Desk], run_id: FromPath[str], key: FromPath[str]
    ) -> Response[str]:
        """One call with all that was asked and answered."""
        run = await desk.client.run(run_id)
        wanted = key.removeprefix("/")
        for talk in await desk.client.conversations(run_id):
            for line in talk.lines:
                if isinstance(line, ModelCall | ToolUse) and wanted in _keys(line):
                    shown = await _call(desk.client, talk, line)
                    return await page(request, desk, "run_call.html", run=run, talk=talk, line=line, **shown)
        raise Refused(404, f"The journal of run {run.id} has no model or tool call {wanted[:200]!r}.")


def _keys(line: ModelCall | ToolUse) -> set[str | None]:
    """The operations that the line tells of."""
    return {line.key, *(hop.key for hop in line.hops)} if isinstance(line, ModelCall) else {line.key}


async def spoken(
    client: Client, run: Run, approvals: list[Approval], *, chosen: str | None, upto: int | None
) -> dict[str, Any]:
    """What a run's page says of its agents: nothing for a run that has none."""
    found = await client.conversations(run.id)
    if not found:
        return {"talks": [], "unread": [], "spent": None, "can_tell": False}
    budgets = await client.budgets(run.id)
    talks = talks_of(found, approvals=approvals, budgets=budgets, chosen=chosen, upto=upto)
    can_tell = not run.is_finished and any(one.state == "open" for one in found)
    return {
        "talks": talks,
        "unread": await _unread(client, run, found) if can_tell else [],
        "spent": await client.spent(run.id),
        "can_tell": can_tell,
    }


async def _unread(client: Client, run: Run, found: tuple[Conversation, ...]) -> list[dict[str, Any]]:
    """Messages to the run that no agent of it has read yet, oldest first."""
    read = {getattr(line, "event_id", "") for talk in found for line in talk.lines}
    sent = await client.events(name=MAIL, limit=LATEST_MAIL)
    waiting = [one for one in reversed(sent) if one.key == run.id and one.id not in read]
    return [{"text": _text(one.payload), "by": one.sent_by, "at": one.sent_at} for one in waiting]


def _text(payload: str) -> str:
    told = json.loads(payload)
    return str(told.get("text", "")) if isinstance(told, dict) else str(told)


async def _call(client: Client, talk: Conversation, line: ModelCall | ToolUse) -> dict[str, Any]:
    """What is said of a call beside its line."""
    if isinstance(line, ToolUse):
        return {"asked": None, "is_exact": False}
    earlier: list[Any] = []
    if talk.thread is not None and talk.thread_seq:
        parts = await client.thread(talk.thread, upto=talk.thread_seq)
        earlier = [one for part in parts for one in json.loads(part.messages)]
    messages, is_exact = request_of(talk, line, earlier)
    request: dict[str, Any] = {"messages": messages, "tools": [one.name for one in talk.tools]}
    if talk.output_name is not None:
        request["output"] = talk.output_name
    return {"asked": request, "is_exact": is_exact}
