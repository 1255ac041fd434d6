"""Callbacks, as whoever has their token sees them."""

from typing import Annotated

from msgspec import Meta

from agentflow.records import Callback
from agentflow.states import CallbackStatus
from approvals_ui.api.fields import ID_TAIL, Asked, Instant, Json, Told
from approvals_ui.api.shapes.reading import same


class Completion(Asked):
    """What the run gets for its callback."""

    result: Json = None


class Failing(Asked):
    """Why the run gets no result: a text for people."""

    error: Annotated[str, Meta(min_length=1, max_length=100_000, examples=["no such account"])]


class SignOfLife(Asked):
    """How far the work is, as any JSON."""

    details: Json = None


class CallbackView(Told):
    """A callback, as much of it as whoever has its token needs.

    While it is pending it times out at `lapses_at`, unless there is another sign of life before; at `due_at` it does in
    any case.
    """

    id: Annotated[str, Meta(examples=[f"cbk_{ID_TAIL}"])]
    status: CallbackStatus
    created_at: Instant
    due_at: Instant | None
    lapses_at: Instant | None
    resolved_at: Instant | None


def callback_view(callback: Callback) -> CallbackView:
    """The callback as the API shows it."""
    return CallbackView(**same(CallbackView, callback))
