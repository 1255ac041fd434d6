"""The inbox as an ASGI application: routes, what they are given, and what guards them."""

import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

from litestar import Litestar, Router
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.handlers import BaseRouteHandler
from litestar.static_files import create_static_files_router
from litestar.types import LifespanHook

from agentflow.client import Client
from agentflow.tasks.webhook import Webhook
from approvals_ui import schema
from approvals_ui.api.approvals import ApprovalEndpoints
from approvals_ui.api.callbacks import CallbackEndpoints
from approvals_ui.api.events import EventEndpoints
from approvals_ui.api.history import HistoryEndpoint
from approvals_ui.api.queues import QueueEndpoints
from approvals_ui.api.runs import RunEndpoints
from approvals_ui.api.steering import SteeringEndpoints
from approvals_ui.approvals import ApprovalPages
from approvals_ui.conversations import ConversationPages
from approvals_ui.costs import CostPages
from approvals_ui.desk import Desk
from approvals_ui.forms import require_token
from approvals_ui.health import health, health_live, health_ready, ready
from approvals_ui.hooks import deliver
from approvals_ui.inbox import InboxPages
from approvals_ui.live import events
from approvals_ui.problems import Refused, answer
from approvals_ui.protection import Protection
from approvals_ui.queues import QueuePages
from approvals_ui.runs import RunPages
from approvals_ui.standing import StandingPages
from approvals_ui.steering import SteeringPages
from approvals_ui.triggers import TriggerPages

LARGEST_BODY: Final = 8 * 1024 * 1024


def create_app(
    client: Client,
    *,
    webhooks: Mapping[str, Webhook] | None = None,
    secret: bytes | None = None,
    reviewer: str = "local",
    dev: bool = True,
    hosts: Collection[str] = (),
    trouble: Callable[[], Awaitable[str]] | None = None,
    on_startup: Sequence[LifespanHook] = (),
    on_shutdown: Sequence[LifespanHook] = (),
) -> Litestar:
    """The pages and the API over `client`, for any ASGI server.

    There is no sign-in: whoever reaches the port decides as `reviewer`, so only names of this machine, and `hosts`,
    are answered to. Without a `secret` sessions end with the process. `trouble` says why the program around it is not
    ready, empty if it is. Call `end_streams` before stopping the server.
    """
    key = secret or secrets.token_bytes(32)
    desk = Desk(client, reviewer=reviewer, secret=key, webhooks=webhooks or {}, dev=dev, trouble=trouble)
    app = Litestar(
        route_handlers=_routes(),
        dependencies={"desk": Provide(lambda: desk, sync_to_thread=False)},
        exception_handlers={Exception: answer},
        openapi_config=schema.openapi(),
        request_max_body_size=LARGEST_BODY,
        state=State({"desk": desk}),
        on_startup=on_startup,
        on_shutdown=on_shutdown,
        logging_config=None,
    )
    app.asgi_handler = Protection(app.asgi_handler, hosts=hosts)
    return app


def end_streams(app: Litestar) -> None:
    """Close the live streams of every open page, so that a server which waits for its connections can stop."""
    desk: Desk = app.state.desk
    desk.streams.end()


def _routes() -> list[Any]:
    of_runs = [RunPages, ConversationPages, SteeringPages]
    pages = Router(
        path="/",
        route_handlers=[InboxPages, ApprovalPages, StandingPages, *of_runs, QueuePages, CostPages, TriggerPages],
        before_request=require_token,
    )
    endpoints = [
        ApprovalEndpoints,
        RunEndpoints,
        QueueEndpoints,
        SteeringEndpoints,
        HistoryEndpoint,
        EventEndpoints,
        CallbackEndpoints,
    ]
    api = Router(path="/api/v1", route_handlers=endpoints, guards=[_require_json])
    static = create_static_files_router(path="/static", directories=[str(files("approvals_ui") / "static")])
    watched = [health, ready, health_live, health_ready]
    return [pages, api, events, deliver, *watched, static, schema.assets()]


def _require_json(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A form of another site can send anything but this content type without asking first."""
    if connection.scope["type"] == ScopeType.HTTP and connection.scope["method"] == "POST":
        kind = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(415, "Send application/json. Nothing was changed.")
