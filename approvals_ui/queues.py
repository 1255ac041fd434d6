"""The pages of queues: what is going on in each, stopping and starting it, and its limits."""

from collections.abc import Mapping
from typing import Any, Final

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from agentflow.approvals import Submission
from agentflow.errors import InvalidSetting, QueueNotFound
from agentflow.limits import UNLIMITED, Budget, Limits, Rate
from agentflow.records import QueueState
from approvals_ui.access import needs
from approvals_ui.caller import Caller
from approvals_ui.desk import Desk
from approvals_ui.forms import first, submission_of
from approvals_ui.views import Asked, fragment, page

CHANGES: Final = 50
COUNTS: Final = ("concurrency", "per_key", "per_worker", "backlog")
LONGEST_NUMBER: Final = 20


class QueuePages(Controller):
    """`/queues` and below."""

    path = "/queues"
    include_in_schema = False
    opt = needs("queues:read")

    @get()
    async def listing(self, request: Asked, desk: NamedDependency[Desk]) -> Response[str]:
        """Every queue with its limits and what is going on in it."""
        queues = await desk.client.queues()
        if request.query_params.get("fragment"):
            return fragment(request, desk, "queue_rows.html", queues=queues)
        return await page(request, desk, "queues.html", queues=queues)

    @get("/{name:str}")
    async def one(self, request: Asked, desk: NamedDependency[Desk], name: FromPath[str]) -> Response[str]:
        """One queue, with the forms that change it and who has changed it before."""
        return await _shown(request, desk, await _queue(desk, name))

    @post(["/{name:str}/pause", "/{name:str}/resume", "/{name:str}/reset"], opt=needs("queues:write"))
    async def steer(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], name: FromPath[str]
    ) -> Redirect:
        """Pause the queue, serve it again, or give it the limits its code declares."""
        reason = first(await submission_of(request), "reason").strip()
        client = desk.client
        verbs = {"pause": client.pause_queue, "resume": client.resume_queue, "reset": client.reset_queue}
        after = await verbs[request.url.path.rpartition("/")[2]](name, by=caller.name, reason=reason)
        return Redirect(f"/queues/{after.name}", status_code=303)

    @post("/{name:str}/limits", opt=needs("queues:write"))
    async def limit(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], name: FromPath[str]
    ) -> Response[Any]:
        """Change the limits; what was typed comes back with what is wrong with it."""
        queue, submission = await _queue(desk, name), await submission_of(request)
        try:
            limits = _limits(submission)
            await desk.client.set_queue_limits(name, limits, by=caller.name, reason=first(submission, "reason").strip())
        except InvalidSetting as error:
            typed = {field: first(submission, field) for field in typed_limits(UNLIMITED)}
            return await _shown(request, desk, queue, typed=typed, problem=str(error), status=422)
        return Response("", status_code=303, headers={"location": f"/queues/{queue.name}"})


async def _queue(desk: Desk, name: str) -> QueueState:
    found = next((one for one in await desk.client.queues() if one.name == name), None)
    if found is None:
        raise QueueNotFound(f"there is no queue {name!r}")
    return found


async def _shown(
    request: Asked,
    desk: Desk,
    queue: QueueState,
    *,
    typed: Mapping[str, str] | None = None,
    problem: str = "",
    status: int = 200,
) -> Response[str]:
    changes = await desk.client.queue_changes(queue.name, limit=CHANGES)
    shown = {"queue": queue, "changes": changes, "typed": typed or typed_limits(queue.limits), "problem": problem}
    return await page(request, desk, "queue.html", status=status, **shown)


def typed_limits(limits: Limits) -> dict[str, str]:
    """The limits as the form's fields hold them."""
    counts = {name: str(getattr(limits, name) or "") for name in COUNTS}
    rate = "" if limits.rate is None else limits.rate.text
    budget = ("", "") if limits.budget is None else (limits.budget.name, limits.budget.rate.text)
    more = {"rate": rate, "budget": budget[0], "budget_rate": budget[1], "fair": "on" if limits.fair else ""}
    return counts | more


def _limits(submission: Submission) -> Limits:
    """The limits that were typed. Raises `InvalidSetting`."""
    typed = {name: first(submission, name).strip() for name in typed_limits(UNLIMITED)}
    given: dict[str, Any] = {name: _count(name, typed[name]) for name in COUNTS if typed[name]}
    if typed["rate"]:
        given["rate"] = Rate.of(typed["rate"])
    if typed["budget"] or typed["budget_rate"]:
        given["budget"] = Budget(typed["budget"], typed["budget_rate"])
    return Limits(**given, fair=bool(typed["fair"]))


def _count(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER):
        raise InvalidSetting(f"{name.replace('_', ' ')} is {text[:50]!r}: wanted a whole number, 1 or more")
    return int(text)
