"""Steering a run from its page: what a verb would do, asked before it is done."""

import json
from typing import Any, Final

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from agentflow.client import Client
from agentflow.records import Run
from agentflow.states import OPEN, EntryKind, ParentClose, RunStatus, Transition
from approvals_ui.access import needs
from approvals_ui.caller import Caller
from approvals_ui.desk import Desk
from approvals_ui.forms import first, submission_of
from approvals_ui.journals import every_entry
from approvals_ui.problems import Refused
from approvals_ui.timeline import failure_of
from approvals_ui.views import Asked, page

MOST_KEYS: Final = 500
VERBS: Final = ("cancel", "pause", "resume", "retry", "fork")
PATHS: Final = [f"/{{run_id:str}}/{verb}" for verb in VERBS]


class SteeringPages(Controller):
    """`/runs/ID/cancel` and its like."""

    path = "/runs"
    include_in_schema = False
    opt = needs("runs:write")

    @get(PATHS)
    async def confirm(
        self, request: Asked, desk: NamedDependency[Desk], run_id: FromPath[str], at: FromQuery[str] = ""
    ) -> Response[str]:
        """What steering the run would do, with the button that does it."""
        verb = request.url.path.rpartition("/")[2]
        run = await desk.client.run(run_id)
        shown = await _consequences(desk.client, run) if verb == "cancel" else await _places(desk.client, run, verb)
        return await page(
            request,
            desk,
            "run_confirm.html",
            run=run,
            verb=verb,
            at=at,
            why=await desk.client.why(run_id),
            failure=failure_of(run.error),
            **shown,
        )

    @post("/{run_id:str}/cancel")
    async def cancel(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], run_id: FromPath[str]
    ) -> Redirect:
        """Cancel the run with its approvals and children, or have its steps undone first."""
        reason = first(await submission_of(request), "reason").strip()
        await desk.client.cancel(run_id, by=caller.name, reason=reason)
        return _to(run_id)

    @post("/{run_id:str}/pause")
    async def pause(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], run_id: FromPath[str]
    ) -> Redirect:
        """Stop the run where it is, or at its next checkpoint."""
        reason = first(await submission_of(request), "reason").strip()
        await desk.client.pause(run_id, by=caller.name, reason=reason)
        return _to(run_id)

    @post("/{run_id:str}/resume")
    async def resume(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], run_id: FromPath[str]
    ) -> Redirect:
        """Queue the run again, perhaps with the result of the operation that is in doubt."""
        text = first(await submission_of(request), "output").strip()
        given = {"output": _json(text, "The result")} if text else {}
        await desk.client.resume(run_id, by=caller.name, **given)
        return _to(run_id)

    @post("/{run_id:str}/retry")
    async def retry(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], run_id: FromPath[str]
    ) -> Redirect:
        """Have the run tried again from the operation that failed."""
        reason = first(await submission_of(request), "reason").strip()
        await desk.client.retry(run_id, by=caller.name, reason=reason)
        return _to(run_id)

    @post("/{run_id:str}/fork")
    async def fork(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], run_id: FromPath[str]
    ) -> Redirect:
        """Make a run that goes on from a point of this one's journal."""
        given = await submission_of(request)
        key, result = first(given, "patch_key").strip(), first(given, "patch").strip()
        if bool(key) != bool(result):
            raise Refused(422, "Another result needs both the operation and the result. No run was made.")
        made = await desk.client.fork(
            run_id,
            by=caller.name,
            from_=first(given, "from").strip() or None,
            patch={key: _json(result, "The other result")} if key else None,
            version=first(given, "version").strip() or None,
            reason=first(given, "reason").strip(),
        )
        return _to(made.id)


def may(run: Run) -> list[str]:
    """The verbs that the run is in a state for, the most wanted first."""
    is_marked = run.status is RunStatus.RUNNING and run.pause is not None
    found = {
        "resume": run.status in Transition.RESUME.sources or is_marked,
        "retry": run.status in Transition.RETRY.sources and run.ending is None and run.pruned_at is None,
        "pause": run.status in Transition.PAUSE.sources and not is_marked,
        "fork": run.pruned_at is None,
        "cancel": run.status in OPEN and (run.ending is None or run.status is RunStatus.NEEDS_ATTENTION),
    }
    return [verb for verb, is_so in found.items() if is_so]


async def _consequences(client: Client, run: Run) -> dict[str, Any]:
    """What a cancel takes with it."""
    children = await client.runs(parent_id=run.id, statuses=tuple(OPEN))
    pending = await client.approvals(run_id=run.id)
    undoable = [
        entry.key
        async for entry in every_entry(client, run.id)
        if entry.kind is EntryKind.SUCCEEDED and (entry.detail or "").startswith("undo:")
    ]
    return {
        "children": [child for child in children.items if child.on_parent_close is ParentClose.CANCEL],
        "pending": pending.items,
        "undoable": undoable if run.ending is None else (),
        "has_given_up": run.ending is not None,
    }


async def _places(client: Client, run: Run, verb: str) -> dict[str, Any]:
    """The operations a fork may begin at, those whose results it may replace, and the one that a resume may answer."""
    keys: dict[str, None] = {}
    results: list[str] = []
    doubtful: str | None = None
    async for entry in every_entry(client, run.id):
        if entry.kind is EntryKind.DIVERGED:
            doubtful = _key_in(entry.detail)
        if entry.key is None or entry.operation == "undo":
            continue
        keys[entry.key] = None
        if entry.kind is EntryKind.SUCCEEDED:
            results.append(entry.key)
    is_asked = verb == "resume" and run.status is RunStatus.NEEDS_ATTENTION
    return {
        "keys": list(keys)[-MOST_KEYS:],
        "results": results[-MOST_KEYS:],
        "doubtful": doubtful if is_asked and doubtful not in results else None,
    }


def _key_in(detail: str | None) -> str | None:
    """The operation that a run stopped at, where its journal names one."""
    found = json.loads(detail or "{}").get("key")
    return None if found is None else str(found)


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # the second for what is nested too deeply to be read
        raise Refused(422, f'{what} is no JSON ({error}). A text stands in double quotes: "paid".') from None


def _to(run_id: str) -> Redirect:
    return Redirect(f"/runs/{run_id}", status_code=303)
