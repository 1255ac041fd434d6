"""What every page works with: the client, and the keys of this inbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from approvals_ui.arrivals import Arrivals
from approvals_ui.attempts import Attempts
from approvals_ui.streams import Streams

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from agentflow.client import Client
    from agentflow.records import Schedule
    from agentflow.tasks.webhook import Webhook

    Upcoming = Callable[[Schedule, int], Sequence[datetime]]


class Desk:
    """One inbox being served.

    With `dev` nobody signs in, and what is done is recorded under the name `stand_in`; else under that of the `Caller`,
    which each request has of its own. `trouble` says why the program around it is not ready, empty if it is; `upcoming`
    gives the next so many times of a schedule.

    Not a dataclass: Litestar would look into the types of its fields to check what it injects.
    """

    def __init__(
        self,
        client: Client,
        *,
        stand_in: str,
        secret: bytes,
        webhooks: Mapping[str, Webhook],
        dev: bool,
        trouble: Callable[[], Awaitable[str]] | None = None,
        upcoming: Upcoming | None = None,
    ) -> None:
        self.client = client
        self.stand_in = stand_in
        self.secret = secret
        self.webhooks = webhooks
        self.dev = dev
        self.trouble = trouble
        self.upcoming = upcoming or _next
        self.knows_upcoming = upcoming is not None
        self.streams = Streams()
        self.attempts = Attempts()
        self.arrivals = Arrivals(webhooks)


def _next(schedule: Schedule, _: int) -> Sequence[datetime]:
    """What is stored of it, where no scheduler's code is at hand: the next time."""
    return [] if schedule.next_fire_at is None else [schedule.next_fire_at]
