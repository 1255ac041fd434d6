"""What a run tree may spend, and what is kept of an agent's conversation and of what it is just saying."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBudget:
    """A budget to be held by the operation `key` of a run ("" is the run itself), over it and all runs below it.

    None is no limit. `warn_at` is the share of a limit, from 0 to 1, from which on it is told that it nears its end.
    """

    key: str
    tokens: int | None = None
    cost: Decimal | None = None
    warn_at: float = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantBudget:
    """More for the budget `key` of a run. The same `id` again is the same grant, not a second one."""

    id: str
    run_id: str
    key: str
    by: str
    tokens: int = 0
    cost: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeCall:
    """A model is about to be called under the operation `key`; `mail` is the name of the events that may steer it."""

    run_id: str
    key: str
    mail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewThreadPart:
    """What the operation `key` of a run adds to the conversation `thread`; the same run and key add it once.

    `messages` is the JSON text of a list, `count` how many there are.
    """

    thread: str
    key: str
    messages: str
    count: int


Kept = NewBudget | GrantBudget | NewThreadPart
"""What an operation keeps beside the journal, with the entry of its result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChunk:
    """A piece of what the operation `key` is saying. `place` counts from 0 within its attempt."""

    run_id: str
    epoch: int
    key: str
    attempt: int
    place: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CostsFilter:
    """Which spending is to be summed: calls at or after `since` and before `until`, by `task`, by `model`."""

    since: datetime
    until: datetime
    task: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeRate:
    """A call that counts against the rate `amount` in `per` of `key`, which all workers share."""

    key: str
    amount: int
    per: timedelta
    cost: int = 1
    run_id: str = ""
