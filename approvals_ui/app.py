"""The inbox as an ASGI application: routes, what they are given, and what guards them."""

import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any, Final

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.static_files import create_static_files_router
from litestar.types import LifespanHook

from agentflow.client import Client
from agentflow.records import Schedule
from agentflow.tasks.webhook import Webhook
from approvals_ui import schema
from approvals_ui.access import (
    OPEN,
    NotAllowed,
    NotSignedIn,
    ask_to_sign_in,
    caller_of,
    needs,
    require_scope,
    say_what_is_lacking,
)
from approvals_ui.api.routes import api
from approvals_ui.approvals import ApprovalPages
from approvals_ui.conversations import ConversationPages
from approvals_ui.costs import CostPages
from approvals_ui.deliveries import DeliveryPages
from approvals_ui.desk import Desk
from approvals_ui.events import EventPages
from approvals_ui.forms import require_token
from approvals_ui.health import health, health_live, health_ready, ready
from approvals_ui.hooks import deliver, require_ready, shake_hands
from approvals_ui.inbox import InboxPages
from approvals_ui.live import events
from approvals_ui.problems import answer
from approvals_ui.protection import Protection
from approvals_ui.queues import QueuePages
from approvals_ui.runs import RunPages
from approvals_ui.schedules import SchedulePages
from approvals_ui.signing_in import SignInPages
from approvals_ui.standing import StandingPages
from approvals_ui.steering import SteeringPages
from approvals_ui.subscriptions import DispatchPages, SubscriptionPages
from approvals_ui.token_pages import TokenPages

LARGEST_BODY: Final = 8 * 1024 * 1024


def create_app(
    client: Client,
    *,
    webhooks: Mapping[str, Webhook] | None = None,
    secret: bytes | None = None,
    reviewer: str = "local",
    dev: bool = False,
    hosts: Collection[str] = (),
    trouble: Callable[[], Awaitable[str]] | None = None,
    upcoming: Callable[[Schedule, int], Sequence[datetime]] | None = None,
    on_startup: Sequence[LifespanHook] = (),
    on_shutdown: Sequence[LifespanHook] = (),
) -> Litestar:
    """The pages and the API over `client`, for any ASGI server.

    Programs send an API token, people sign in with one. With `dev` nobody has to: whoever is on this machine may do
    everything, as `reviewer`. Only names of this machine, and `hosts`, are answered to. Without a `secret` sessions end
    with the process. `trouble` says why the program around it is not ready, empty if it is; `upcoming` gives the next
    so many times of a schedule. Call `end_streams` before stopping the server. Raises `InvalidSetting` for a webhook
    that cannot be served: without a verifier, unless with `dev`, or without its secrets.
    """
    require_ready((webhooks or {}).values(), dev=dev)
    desk = Desk(
        client,
        stand_in=reviewer,
        secret=secret or secrets.token_bytes(32),
        webhooks=webhooks or {},
        dev=dev,
        trouble=trouble,
        upcoming=upcoming,
    )
    app = _application(desk, on_startup=on_startup, on_shutdown=on_shutdown)
    app.asgi_handler = Protection(app.asgi_handler, hosts=hosts)
    return app


def _application(desk: Desk, *, on_startup: Sequence[LifespanHook], on_shutdown: Sequence[LifespanHook]) -> Litestar:
    return Litestar(
        route_handlers=_routes(),
        guards=[require_scope],
        dependencies={
            "desk": Provide(lambda: desk, sync_to_thread=False),
            "caller": Provide(caller_of, sync_to_thread=False),
        },
        exception_handlers={Exception: answer, NotSignedIn: ask_to_sign_in, NotAllowed: say_what_is_lacking},
        openapi_config=None,
        request_max_body_size=LARGEST_BODY,
        state=State({"desk": desk}),
        on_startup=on_startup,
        on_shutdown=on_shutdown,
        logging_config=None,
    )


def end_streams(app: Litestar) -> None:
    """Close the live streams of every open page, so that a server which waits for its connections can stop."""
    desk: Desk = app.state.desk
    desk.streams.end()


def _routes() -> list[Any]:
    of_runs = [RunPages, ConversationPages, SteeringPages]
    pages = Router(
        path="/",
        route_handlers=[
            InboxPages,
            ApprovalPages,
            StandingPages,
            *of_runs,
            QueuePages,
            CostPages,
            SchedulePages,
            DeliveryPages,
            EventPages,
            SubscriptionPages,
            DispatchPages,
            TokenPages,
            SignInPages,
        ],
        before_request=require_token,
    )
    static = create_static_files_router(
        path="/static", directories=[str(files("approvals_ui") / "static")], opt=needs(OPEN)
    )
    watched = [health, ready, health_live, health_ready]
    return [pages, api(), events, deliver, shake_hands, *watched, static, *schema.routes()]
