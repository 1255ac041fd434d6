"""What the tests of tasks share: types, errors, a ledger of effects, and readers of a run's journal."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from agentflow.states import EntryKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from agentflow.records import Entry
    from agentflow.testing import Harness

LONGEST = 60.0


class Invoice(BaseModel):
    number: str
    total: float = 0.0


class Line(BaseModel):
    text: str
    cents: int


class Order(BaseModel):
    name: str
    lines: list[Line] = []
    note: str | None = None


@dataclass
class Point:
    x: int
    y: int = 0


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Price:
    amount: Decimal
    colour: Colour = Colour.RED


class Declined(Exception):
    """An error with something of its own to tell."""

    def __init__(self, reason: str, *, code: int = 0) -> None:
        super().__init__(f"declined: {reason}")
        self.reason = reason
        self.code = code


class Flaky(Exception):
    """Fails, and may go well the next time."""


class Ledger(Counter[str]):
    """How often each effect has happened; it outlives workers, as the outside world does."""

    def add(self, effect: str) -> int:
        """Note the effect; how often it has happened now."""
        self[effect] += 1
        return self[effect]


RESULTS = {EntryKind.SUCCEEDED, EntryKind.FAILED}


async def entries(harness: Harness, run: Any, *kinds: EntryKind) -> Sequence[Entry]:
    """The run's journal entries of these kinds."""
    return [one for one in await harness.journal(run) if one.kind in kinds]


async def keys(harness: Harness, run: Any) -> list[str]:
    """The keys of the run's operations that have a result, in the order of the journal."""
    return [one.key or "" for one in await entries(harness, run, *RESULTS)]


async def eventually(condition: Callable[[], Awaitable[Any]], *, within: float = LONGEST) -> Any:
    """What the condition gives once it is true. Only for what this process cannot be told of otherwise."""
    async with asyncio.timeout(within):
        while not (found := await condition()):  # noqa: ASYNC110  another thread or worker makes it true, and tells nobody
            await asyncio.sleep(0.005)
        return found
