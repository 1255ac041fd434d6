"""/api/v1/subscriptions and /dispatches: URLs that are told of what happens, and what is on its way to them."""

import json
from functools import partial

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from agentflow.errors import (
    DispatchNotFound,
    InvalidDuration,
    InvalidName,
    InvalidSetting,
    SubscriptionDisabled,
    SubscriptionNotFound,
)
from approvals_ui.api.endpoint import endpoint, reply
from approvals_ui.api.reading import body_of, query_of
from approvals_ui.api.shapes.runs import Steering
from approvals_ui.api.shapes.subscriptions import (
    DispatchesQuery,
    DispatchPage,
    DispatchView,
    NewSubscription,
    Rotation,
    SubscriptionChange,
    SubscriptionList,
    SubscriptionSecret,
    SubscriptionView,
    dispatch_view,
    subscription_view,
    with_secret,
)
from approvals_ui.caller import Caller
from approvals_ui.desk import Desk
from approvals_ui.granting import require_own_secret, require_readable
from approvals_ui.views import Asked

reads = partial(endpoint, tag="subscriptions", scope="subscriptions:read")
writes = partial(
    endpoint,
    tag="subscriptions",
    scope="subscriptions:write",
    gives=SubscriptionView,
    raises=(SubscriptionNotFound,),
)


class SubscriptionEndpoints(Controller):
    """Subscriptions and dispatches."""

    @get("/subscriptions", opt=reads("listSubscriptions", "List subscriptions", gives=SubscriptionList))
    async def listing(self, desk: NamedDependency[Desk]) -> Response[bytes]:
        """Every subscription, the oldest first; never their secrets."""
        return reply(SubscriptionList(items=[subscription_view(one) for one in await desk.client.subscriptions.all()]))

    @post(
        "/subscriptions",
        opt=writes(
            "createSubscription",
            "Create a subscription",
            takes=NewSubscription,
            gives={201: SubscriptionSecret},
            said={201: "The subscription is made. `secret` is shown this once."},
            raises=(InvalidSetting, InvalidName),
            examples={"failures": {"url": "https://hooks.example.com/agentflow", "events": ["run.failed"]}},
        ),
    )
    async def create(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller]
    ) -> Response[bytes]:
        """Have a URL told of what happens from now on, signed as Standard Webhooks are.

        Nobody has others told what they may not read themselves, and who has not every scope names no variable (403).
        """
        asked = await body_of(request, NewSubscription)
        require_own_secret(caller, asked.secret)
        require_readable(caller, asked.events)
        made = await desk.client.subscriptions.add(
            asked.url,
            events=asked.events,
            tasks=asked.tasks,
            description=asked.description,
            secret=asked.secret,
            by=caller.name,
        )
        return reply(with_secret(made), status=201, location=f"/subscriptions/{made.id}")

    @get(
        "/subscriptions/{subscription_id:str}",
        opt=reads("getSubscription", "Get a subscription", gives=SubscriptionView, raises=(SubscriptionNotFound,)),
    )
    async def one(self, desk: NamedDependency[Desk], subscription_id: FromPath[str]) -> Response[bytes]:
        """One subscription; never its secret."""
        return reply(subscription_view(await desk.client.subscriptions.one(subscription_id)))

    @patch(
        "/subscriptions/{subscription_id:str}",
        opt=writes(
            "changeSubscription",
            "Change a subscription",
            takes=SubscriptionChange,
            raises=(SubscriptionNotFound, InvalidSetting, InvalidName),
            examples={"more": {"events": ["run.*", "approval.requested"]}},
        ),
    )
    async def change(
        self,
        request: Asked,
        desk: NamedDependency[Desk],
        caller: NamedDependency[Caller],
        subscription_id: FromPath[str],
    ) -> Response[bytes]:
        """Change what is given; what is on its way already goes to the new URL, too."""
        asked = await body_of(request, SubscriptionChange)
        known = await desk.client.subscriptions.one(subscription_id)
        require_readable(caller, json.loads(known.events) if asked.events is None else asked.events)
        changed = await desk.client.subscriptions.change(
            subscription_id,
            url=asked.url,
            events=asked.events,
            tasks=asked.tasks,
            description=asked.description,
            by=caller.name,
        )
        return reply(subscription_view(changed))

    @delete(
        "/subscriptions/{subscription_id:str}",
        opt=writes("removeSubscription", "Remove a subscription", gives={204: None}),
    )
    async def remove(
        self, desk: NamedDependency[Desk], caller: NamedDependency[Caller], subscription_id: FromPath[str]
    ) -> None:
        """Remove the subscription and all that was sent to it."""
        await desk.client.subscriptions.remove(subscription_id, by=caller.name)

    @post(
        "/subscriptions/{subscription_id:str}/disable",
        status_code=200,
        opt=writes(
            "disableSubscription",
            "Disable a subscription",
            takes=Steering,
            is_body_optional=True,
            raises=(SubscriptionNotFound, InvalidSetting),
            examples={"why": {"reason": "they are moving"}},
        ),
    )
    async def disable(
        self,
        request: Asked,
        desk: NamedDependency[Desk],
        caller: NamedDependency[Caller],
        subscription_id: FromPath[str],
    ) -> Response[bytes]:
        """Tell it nothing more; what waits to be sent is discarded."""
        asked = await body_of(request, Steering)
        disabled = await desk.client.subscriptions.disable(subscription_id, by=caller.name, reason=asked.reason)
        return reply(subscription_view(disabled))

    @post(
        "/subscriptions/{subscription_id:str}/enable",
        status_code=200,
        opt=writes("enableSubscription", "Enable a subscription"),
    )
    async def enable(
        self, desk: NamedDependency[Desk], caller: NamedDependency[Caller], subscription_id: FromPath[str]
    ) -> Response[bytes]:
        """Tell it of what happens from now on."""
        return reply(subscription_view(await desk.client.subscriptions.enable(subscription_id, by=caller.name)))

    @post(
        "/subscriptions/{subscription_id:str}/rotate",
        status_code=200,
        opt=writes(
            "rotateSecret",
            "Rotate a secret",
            takes=Rotation,
            is_body_optional=True,
            gives=SubscriptionSecret,
            said={200: "`secret` is the new one, shown this once."},
            raises=(SubscriptionNotFound, InvalidDuration, InvalidSetting),
            examples={"a day": {"keep_for": "24h"}},
        ),
    )
    async def rotate(
        self,
        request: Asked,
        desk: NamedDependency[Desk],
        caller: NamedDependency[Caller],
        subscription_id: FromPath[str],
    ) -> Response[bytes]:
        """Give it a new secret; for `keep_for` events are signed with the one before, too."""
        asked = await body_of(request, Rotation)
        require_own_secret(caller, asked.secret)
        rotated = await desk.client.subscriptions.rotate_secret(
            subscription_id, by=caller.name, secret=asked.secret, keep_for=asked.keep_for
        )
        return reply(with_secret(rotated))

    @post(
        "/subscriptions/{subscription_id:str}/ping",
        opt=writes(
            "pingSubscription",
            "Ping a subscription",
            gives={201: DispatchView},
            said={201: "The dispatch, on its way."},
            raises=(SubscriptionNotFound, SubscriptionDisabled),
        ),
    )
    async def ping(
        self, desk: NamedDependency[Desk], caller: NamedDependency[Caller], subscription_id: FromPath[str]
    ) -> Response[bytes]:
        """Send an event that says nothing, to see whether it arrives."""
        sent = await desk.client.subscriptions.ping(subscription_id, by=caller.name)
        return reply(dispatch_view(sent), status=201, location=f"/dispatches/{sent.id}")

    @get(
        "/dispatches",
        opt=reads(
            "listDispatches",
            "List dispatches",
            query=DispatchesQuery,
            gives=DispatchPage,
            raises=(InvalidSetting,),
        ),
    )
    async def dispatches(self, request: Asked, desk: NamedDependency[Desk]) -> Response[bytes]:
        """What was sent, or is to be, newest first."""
        asked = query_of(request, DispatchesQuery)
        found = await desk.client.subscriptions.dispatches(
            subscription_id=asked.subscription, status=asked.status, cursor=asked.cursor, limit=asked.limit
        )
        return reply(DispatchPage(items=[dispatch_view(one) for one in found.items], next_cursor=found.next_cursor))

    @get(
        "/dispatches/{dispatch_id:str}",
        opt=reads("getDispatch", "Get a dispatch", gives=DispatchView, raises=(DispatchNotFound,)),
    )
    async def dispatch(self, desk: NamedDependency[Desk], dispatch_id: FromPath[str]) -> Response[bytes]:
        """One dispatch, its payload whole, and its latest attempts."""
        return reply(dispatch_view(await desk.client.subscriptions.dispatch(dispatch_id)))

    @post(
        "/dispatches/{dispatch_id:str}/resend",
        status_code=200,
        opt=writes(
            "resend",
            "Send again",
            gives=DispatchView,
            raises=(DispatchNotFound, SubscriptionDisabled),
        ),
    )
    async def resend(
        self, desk: NamedDependency[Desk], caller: NamedDependency[Caller], dispatch_id: FromPath[str]
    ) -> Response[bytes]:
        """Send it again as soon as may be, with the same id and body, whatever became of it."""
        return reply(dispatch_view(await desk.client.subscriptions.resend(dispatch_id, by=caller.name)))
