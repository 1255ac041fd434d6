"""Which parts of a run are at work and which wait: a run is parked when every branch of it waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from datetime import datetime

    from agentflow.requests import OpenWait


@dataclass(slots=True, eq=False)
class Waiting:
    """A branch's wait under `key`, until `due_at` or an answer; `to_open` while the store has not heard of it."""

    key: str
    future: asyncio.Future[Any]
    due_at: datetime | None = None
    to_open: OpenWait | None = None


class Branch:
    """The task itself, or one arm of a `gather`."""

    __slots__ = ("children", "waiting")

    def __init__(self) -> None:
        self.children: set[Branch] = set()
        self.waiting: Waiting | None = None

    def is_quiet(self) -> bool:
        """Whether nothing in this branch is at work."""
        if self.children:
            return all(child.is_quiet() for child in self.children)
        return self.waiting is not None and not self.waiting.future.done()

    def waits(self) -> Iterator[Waiting]:
        """Every wait in this branch that has no answer yet."""
        if self.waiting is not None and not self.waiting.future.done():
            yield self.waiting
        for child in self.children:
            yield from child.waits()
