"""The store's promises: durable verbs, each one transaction that happens whole or not at all.

Every verb raises `StoreUnavailable` when the database did not take it; nothing was stored then. Verbs that take a
`Lease` raise `LeaseLost` when the turn no longer owns the run; nothing was stored then either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from agentflow.store.promises.access import Access
from agentflow.store.promises.control import Control
from agentflow.store.promises.decisions import Approvals
from agentflow.store.promises.keeping import Keeping
from agentflow.store.promises.listening import Listening
from agentflow.store.promises.liveness import Liveness
from agentflow.store.promises.maintenance import Maintenance
from agentflow.store.promises.queues import Queues
from agentflow.store.promises.reads import Reads
from agentflow.store.promises.receiving import Deliveries
from agentflow.store.promises.runs import Claimed, Runs
from agentflow.store.promises.schedules import Schedules
from agentflow.store.promises.spending import Spending
from agentflow.store.promises.standing import Standings
from agentflow.store.promises.telling import Telling
from agentflow.store.promises.waits import Waits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from agentflow.clock import Clock

__all__ = ["Claimed", "Store"]


class Store(
    Runs,
    Control,
    Approvals,
    Standings,
    Access,
    Waits,
    Liveness,
    Spending,
    Queues,
    Maintenance,
    Keeping,
    Schedules,
    Listening,
    Deliveries,
    Telling,
    Reads,
    Protocol,
):
    """Everything durable. Made by `agentflow.store.open_store`."""

    @property
    def clock(self) -> Clock:
        """The clock that decides deadlines: of a file the host's, of a server the server's."""
        ...

    def now(self) -> datetime:
        """The store's time, which alone decides deadlines."""
        ...

    def watch(self, callback: Callable[[str, bool], None], *, run_id: str = "") -> Callable[[], None]:
        """Call back, on the event loop, after a commit about a run: with its id ("" for any) and whether it moved.

        A run that has not moved has one more recorded operation. With `run_id` only that run is heard of, at no cost to
        the others. A hint: callers look again to learn what happened. Returns the function that stops it.
        """
        ...

    def changes(self) -> AsyncIterator[None]:
        """Yield after each burst of commits, by this process or another; for pages that follow along."""
        ...

    async def close(self) -> None:
        """Flush and let go of the database."""
        ...
