"""What every part of the client stands on: a store, and the tasks that may be started by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.tasks.catalog import Catalog

if TYPE_CHECKING:
    from datetime import datetime

    from agentflow.store.base import Store


class Holder:
    """Holds the store and the catalog."""

    def __init__(self, store: Store, catalog: Catalog | None = None) -> None:
        self._store = store
        self.catalog = catalog or Catalog()

    def now(self) -> datetime:
        """The store's time, which alone decides deadlines."""
        return self._store.now()
