"""What every part of the client stands on: a store, and the tasks that may be started by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow.tasks.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from agentflow.records import Entry, Run
    from agentflow.store.base import Store
    from agentflow.tasks.task import Task

    Misfit = Callable[[Run, Sequence[Entry], Task[..., Any]], Awaitable[str | None]]


class Holder:
    """Holds the store and the catalog; `misfit`, where code is at hand, says what keeps a run from a journal."""

    def __init__(self, store: Store, catalog: Catalog | None = None, misfit: Misfit | None = None) -> None:
        self._store = store
        self.catalog = catalog or Catalog()
        self._misfit = misfit

    def now(self) -> datetime:
        """The store's time, which alone decides deadlines."""
        return self._store.now()
