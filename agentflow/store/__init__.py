"""Everything durable. `open_store` gives a `Store`; nothing outside this package touches SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.later import names

if TYPE_CHECKING:
    from agentflow.store.base import Claimed, Store
    from agentflow.store.opening import open_store

__all__ = ["Claimed", "Store", "open_store"]

if not TYPE_CHECKING:  # SQLAlchemy is imported when a store is opened, and not for an annotation
    __getattr__, __dir__ = names(
        __name__, {"agentflow.store.base": ("Claimed", "Store"), "agentflow.store.opening": ("open_store",)}
    )
