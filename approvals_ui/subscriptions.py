"""The pages of subscriptions: who is told of what happens, what is on its way, and sending it again."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from agentflow.approvals import Submission
from agentflow.errors import InvalidDuration, InvalidName, InvalidSetting
from agentflow.records import Dispatch, Subscription
from agentflow.requests import EventType
from agentflow.states import DispatchStatus
from approvals_ui.access import needs
from approvals_ui.caller import Caller
from approvals_ui.desk import Desk
from approvals_ui.forms import first, submission_of
from approvals_ui.granting import require_own_secret, require_readable
from approvals_ui.views import Asked, page

SHOWN: Final = 120
OVERLAPS: Final = {"24h": "for a day", "1h": "for an hour", "7d": "for a week", "0s": "no longer"}
TYPES: Final = tuple(one.value for one in EventType if one is not EventType.PING)
REFUSALS: Final = (InvalidSetting, InvalidName, InvalidDuration)


class SubscriptionPages(Controller):
    """`/subscriptions` and below."""

    path = "/subscriptions"
    include_in_schema = False
    opt = needs("subscriptions:read")

    @get()
    async def listing(self, request: Asked, desk: NamedDependency[Desk]) -> Response[str]:
        """Every subscription, and the form that makes one."""
        return await _all(request, desk)

    @post(status_code=201, opt=needs("subscriptions:write"))
    async def add(self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller]) -> Response[str]:
        """Make a subscription and show its secret, this once."""
        typed = _typed(await submission_of(request))
        require_own_secret(caller, typed["secret"])
        require_readable(caller, typed["events"].split())
        try:
            made = await desk.client.subscriptions.add(
                typed["url"],
                events=typed["events"].split(),
                tasks=typed["tasks"].split(),
                description=typed["description"],
                secret=typed["secret"] or None,
                by=caller.name,
            )
        except REFUSALS as error:
            return await _all(request, desk, typed=typed, problem=str(error), status=422)
        return await page(request, desk, "subscription_secret.html", status=201, one=made, is_new=True)

    @get("/{subscription_id:str}")
    async def one(self, request: Asked, desk: NamedDependency[Desk], subscription_id: FromPath[str]) -> Response[str]:
        """One subscription: what is on its way to it, and the forms that change it."""
        return await _one(request, desk, await desk.client.subscriptions.one(subscription_id))

    @post("/{subscription_id:str}/change", opt=needs("subscriptions:write"))
    async def change(
        self,
        request: Asked,
        desk: NamedDependency[Desk],
        caller: NamedDependency[Caller],
        subscription_id: FromPath[str],
    ) -> Response[Any]:
        """Change what it is told of; what was typed comes back with what is wrong with it."""
        typed = _typed(await submission_of(request))
        given: dict[str, Any] = {"events": typed["events"].split(), "tasks": typed["tasks"].split()}
        given |= {name: typed[name] for name in ("url", "description")}
        require_readable(caller, given["events"])
        try:
            await desk.client.subscriptions.change(subscription_id, **given, by=caller.name)
        except REFUSALS as error:
            found = await desk.client.subscriptions.one(subscription_id)
            return await _one(request, desk, found, typed=typed, problem=str(error), status=422)
        return _to(subscription_id)

    @post("/{subscription_id:str}/secret", opt=needs("subscriptions:write"))
    async def rotate(
        self,
        request: Asked,
        desk: NamedDependency[Desk],
        caller: NamedDependency[Caller],
        subscription_id: FromPath[str],
    ) -> Response[str]:
        """Make another secret and show it, this once."""
        keep_for = first(await submission_of(request), "keep_for", "24h")
        try:
            after = await desk.client.subscriptions.rotate_secret(subscription_id, by=caller.name, keep_for=keep_for)
        except REFUSALS as error:
            found = await desk.client.subscriptions.one(subscription_id)
            return await _one(request, desk, found, problem=str(error), status=422)
        return await page(request, desk, "subscription_secret.html", one=after, is_new=False)

    @post(
        ["/{subscription_id:str}/disable", "/{subscription_id:str}/enable", "/{subscription_id:str}/ping"],
        opt=needs("subscriptions:write"),
    )
    async def steer(
        self,
        request: Asked,
        desk: NamedDependency[Desk],
        caller: NamedDependency[Caller],
        subscription_id: FromPath[str],
    ) -> Response[Any]:
        """Tell it nothing more, tell it again, or send it an event that says nothing."""
        verb = request.url.path.rpartition("/")[2]
        group = desk.client.subscriptions
        if verb == "ping":
            sent = await group.ping(subscription_id, by=caller.name)
            return Response("", status_code=303, headers={"location": f"/dispatches/{sent.id}"})
        if verb == "enable":
            await group.enable(subscription_id, by=caller.name)
        else:
            reason = first(await submission_of(request), "reason")
            try:
                await group.disable(subscription_id, by=caller.name, reason=reason)
            except InvalidSetting as error:
                found = await group.one(subscription_id)
                return await _one(request, desk, found, problem=str(error), status=422)
        return _to(subscription_id)

    @post("/{subscription_id:str}/remove", opt=needs("subscriptions:write"))
    async def remove(
        self, desk: NamedDependency[Desk], caller: NamedDependency[Caller], subscription_id: FromPath[str]
    ) -> Redirect:
        """Remove it, with the record of what was sent to it."""
        await desk.client.subscriptions.remove(subscription_id, by=caller.name)
        return Redirect("/subscriptions", status_code=303)


class DispatchPages(Controller):
    """`/dispatches/{id}`."""

    path = "/dispatches"
    include_in_schema = False
    opt = needs("subscriptions:read")

    @get("/{dispatch_id:str}")
    async def one(self, request: Asked, desk: NamedDependency[Desk], dispatch_id: FromPath[str]) -> Response[str]:
        """One event: its body, and how each attempt to send it went."""
        found = await desk.client.subscriptions.dispatch(dispatch_id)
        to = await desk.client.subscriptions.one(found.subscription_id)
        log = [one | {"at": datetime.fromisoformat(one["at"])} for one in reversed(json.loads(found.log))]
        shown: dict[str, Any] = {"dispatch": found, "to": to, "log": log}
        return await page(request, desk, "dispatch.html", **shown)

    @post("/{dispatch_id:str}/resend", opt=needs("subscriptions:write"))
    async def resend(
        self, desk: NamedDependency[Desk], caller: NamedDependency[Caller], dispatch_id: FromPath[str]
    ) -> Redirect:
        """Send it again, by the same id."""
        after = await desk.client.subscriptions.resend(dispatch_id, by=caller.name)
        return Redirect(f"/dispatches/{after.id}", status_code=303)


async def _all(
    request: Asked, desk: Desk, *, typed: Mapping[str, str] | None = None, problem: str = "", status: int = 200
) -> Response[str]:
    found = await desk.client.subscriptions.all()
    listed = [(one, json.loads(one.events), json.loads(one.tasks)) for one in found]
    shown: dict[str, Any] = {"listed": listed, "typed": typed or _typed({}), "problem": problem, "types": TYPES}
    return await page(request, desk, "subscriptions.html", status=status, **shown)


async def _one(
    request: Asked,
    desk: Desk,
    one: Subscription,
    *,
    typed: Mapping[str, str] | None = None,
    problem: str = "",
    status: int = 200,
) -> Response[str]:
    asked = request.query_params.get("status", "")
    chosen = DispatchStatus(asked) if asked in set(DispatchStatus) else None
    found = await desk.client.subscriptions.dispatches(
        subscription_id=one.id, status=chosen, cursor=request.query_params.get("cursor") or None
    )
    events, tasks = json.loads(one.events), json.loads(one.tasks)
    shown: dict[str, Any] = {
        "one": one,
        "events": events,
        "tasks": tasks,
        "dispatches": [(each, _last_error(each)) for each in found.items],
        "next_cursor": found.next_cursor,
        "cursor": request.query_params.get("cursor", ""),
        "chosen": chosen or "",
        "statuses": tuple(DispatchStatus),
        "typed": typed
        or {"url": one.url, "events": " ".join(events), "tasks": " ".join(tasks), "description": one.description},
        "problem": problem,
        "types": TYPES,
        "overlaps": OVERLAPS,
    }
    return await page(request, desk, "subscription.html", status=status, **shown)


def _typed(submission: Submission) -> dict[str, str]:
    return {name: first(submission, name).strip() for name in ("url", "events", "tasks", "description", "secret")}


def _last_error(dispatch: Dispatch) -> str:
    log = json.loads(dispatch.log)
    said = str(log[-1]["error"]) if log else ""
    return said if len(said) <= SHOWN else f"{said[:SHOWN]}…"


def _to(subscription_id: str) -> Response[Any]:
    return Response("", status_code=303, headers={"location": f"/subscriptions/{subscription_id}"})
