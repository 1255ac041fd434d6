"""What every page works with: the client, who reviews, and the keys of this inbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from approvals_ui.streams import Streams

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from agentflow.client import Client
    from agentflow.tasks.webhook import Webhook


class Desk:
    """One inbox being served. `reviewer` is the name decisions are recorded under; it never comes from a request.

    `trouble` says why the program around it is not ready, empty if it is.

    Not a dataclass: Litestar would look into the types of its fields to check what it injects.
    """

    def __init__(
        self,
        client: Client,
        *,
        reviewer: str,
        secret: bytes,
        webhooks: Mapping[str, Webhook],
        dev: bool,
        trouble: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        self.client = client
        self.reviewer = reviewer
        self.secret = secret
        self.webhooks = webhooks
        self.dev = dev
        self.trouble = trouble
        self.streams = Streams()
