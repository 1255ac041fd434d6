"""The run pages: what runs there are, and what one of them did."""

import json
from collections.abc import Mapping
from typing import Any, Final

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from agentflow.client import Client
from agentflow.records import Approval
from agentflow.states import RunStatus
from approvals_ui.access import needs
from approvals_ui.conversations import spoken
from approvals_ui.desk import Desk
from approvals_ui.steering import may
from approvals_ui.timeline import failure_of, rows_of
from approvals_ui.views import Asked, fragment, page

PAGE_SIZE: Final = 50
JOURNAL_PAGE: Final = 500
TALK_PAGE: Final = 120
LOG_LINES: Final = 2000
MOST_APPROVALS: Final = 500


class RunPages(Controller):
    """`/runs` and below."""

    path = "/runs"
    include_in_schema = False
    opt = needs("runs:read")

    @get()
    async def listing(
        self,
        request: Asked,
        desk: NamedDependency[Desk],
        *,
        status: FromQuery[list[RunStatus] | None] = None,
        tag: FromQuery[list[str] | None] = None,
        q: FromQuery[str] = "",
        cursor: FromQuery[str | None] = None,
    ) -> Response[str]:
        """Runs, newest first; of several tags, those that have them all."""
        found = await desk.client.runs(
            statuses=status or (), tags=tag or (), search=q.strip() or None, cursor=cursor, limit=PAGE_SIZE
        )
        shown: dict[str, Any] = {
            "runs": found,
            "chosen": status or [],
            "tags": tag or [],
            "q": q,
            "cursor": cursor,
            "statuses": list(RunStatus),
        }
        if request.query_params.get("fragment"):
            return fragment(request, desk, "run_rows.html", counts=await desk.client.counts(), **shown)
        return await page(request, desk, "runs.html", **shown)

    @get("/{run_id:str}")
    async def one(
        self,
        request: Asked,
        desk: NamedDependency[Desk],
        run_id: FromPath[str],
        *,
        tab: FromQuery[str] = "timeline",
        after: FromQuery[int] = 0,
        of: FromQuery[str | None] = None,
        upto: FromQuery[int | None] = None,
    ) -> Response[str]:
        """One run: why it is where it is, what its agents say, its input and output, its timeline or its log."""
        shown = await _shown(desk.client, run_id, tab=tab, after=after)
        shown |= await spoken(desk.client, shown["run"], shown["approvals"], chosen=of, upto=upto)
        shown |= await _recorded(desk.client, run_id, shown)
        shown |= {"of": of, "upto": upto}
        if request.query_params.get("fragment"):
            return fragment(request, desk, "run_body.html", **shown)
        return await page(request, desk, "run.html", **shown)


async def _shown(client: Client, run_id: str, *, tab: str, after: int) -> dict[str, Any]:
    run = await client.run(run_id)
    approvals = await client.approvals(run_id=run_id, pending=None, limit=MOST_APPROVALS)
    return {
        "run": run,
        "why": await client.why(run_id),
        "failure": failure_of(run.error),
        "tags": json.loads(run.tags or "[]"),
        "approvals": approvals.items,
        "children": await client.runs(parent_id=run_id, limit=PAGE_SIZE),
        "tab": "logs" if tab == "logs" else "timeline",
        "after": after,
        "rows": (),
        "next_after": None,
        "logs": (),
        "logs_cut": False,
        "verbs": may(run),
    }


async def _recorded(client: Client, run_id: str, shown: Mapping[str, Any]) -> dict[str, Any]:
    """The timeline or the log; below a conversation, which tells the same, less of it at once."""
    if shown["tab"] == "logs":
        lines = await client.logs(run_id)
        return {"logs": lines[-LOG_LINES:], "logs_cut": len(lines) > LOG_LINES}
    most = TALK_PAGE if shown["talks"] else JOURNAL_PAGE
    entries = await client.journal(run_id, after=shown["after"], limit=most)
    rows = rows_of(entries, _by_key(shown["approvals"]))
    return {"rows": rows, "next_after": entries[-1].seq if len(entries) == most else None}


def _by_key(approvals: Any) -> Mapping[str, Approval]:
    """The latest approval under each key: an earlier one was replaced."""
    return {approval.key: approval for approval in sorted(approvals, key=lambda one: one.created_at)}
