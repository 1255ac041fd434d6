"""Everything durable. `open_store` gives a `Store`; nothing outside this package touches SQL."""

from agentflow.store.base import Claimed, Store
from agentflow.store.opening import open_store

__all__ = ["Claimed", "Store", "open_store"]
