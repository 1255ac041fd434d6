"""/api/v1/callbacks: where another system answers a run. The token in the address is its right to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from agentflow.records import Callback
from agentflow.states import CallbackStatus
from approvals_ui.desk import Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What the run gets for its callback."""

    result: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """Why the run gets no result: a text for people."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOfLife:
    """How far the work is, as any JSON."""

    details: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackView:
    """A callback, as much of it as whoever has its token needs.

    While it is pending it times out at `lapses_at`, unless there is another sign of life before; at `due_at` it does in
    any case.
    """

    id: str
    status: CallbackStatus
    created_at: datetime
    due_at: datetime | None
    lapses_at: datetime | None
    resolved_at: datetime | None


class CallbackEndpoints(Controller):
    """Callbacks.

    Each answers 404 for a token that is none, 409 if there was another answer before, 410 if the callback timed out or
    its run has ended. The same answer again is no error.
    """

    path = "/callbacks/{token:str}"
    tags = ("callbacks",)

    @post("/complete", status_code=200, operation_id="completeCallback")
    async def complete(
        self, desk: NamedDependency[Desk], token: FromPath[str], data: JSONBody[Completion]
    ) -> CallbackView:
        """Give the run its result; it goes on at once."""
        return _view(await desk.client.complete_callback(token, data.result))

    @post("/fail", status_code=200, operation_id="failCallback")
    async def fail(self, desk: NamedDependency[Desk], token: FromPath[str], data: JSONBody[Failing]) -> CallbackView:
        """Tell the run that there will be no result, and why."""
        return _view(await desk.client.fail_callback(token, data.error))

    @post("/heartbeat", status_code=200, operation_id="beatCallback")
    async def heartbeat(
        self, desk: NamedDependency[Desk], token: FromPath[str], data: JSONBody[SignOfLife | None] = None
    ) -> CallbackView:
        """Say that the work goes on: the callback's heartbeat time begins anew."""
        return _view(await desk.client.beat_callback(token, None if data is None else data.details))


def _view(callback: Callback) -> CallbackView:
    return CallbackView(
        id=callback.id,
        status=callback.status,
        created_at=callback.created_at,
        due_at=callback.due_at,
        lapses_at=callback.lapses_at,
        resolved_at=callback.resolved_at,
    )
