"""What was spent on language models, what may be, and what an agent is saying."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime, timedelta
    from decimal import Decimal

    from agentflow.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Sums over calls. `cost` is that of the calls whose price is known; `unpriced` of the `calls` have none."""

    calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost: Decimal
    unpriced: int

    @property
    def tokens(self) -> int:
        """Tokens in and out together."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLine:
    """What one recorded attempt of the operation `key` used. `took` is the time of the attempt."""

    id: int
    run_id: str
    task: str
    key: str
    attempt: int
    at: datetime
    took: timedelta | None
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class CostsRow:
    """What the runs of a task spent on a model on one day (UTC)."""

    day: date
    task: str
    model: str
    spent: Spent


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """A budget, grants included, and what its operation and all runs below it have spent. None is no limit."""

    run_id: str
    key: str
    tokens: int | None
    cost: Decimal | None
    warn_at: float
    spent: Spent


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOutlook:
    """What a model call finds: the budgets over it, nearest first, and whether there is mail for the run."""

    budgets: tuple[BudgetState, ...]
    has_mail: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadPart:
    """What one run added to a conversation. `seq` counts from 1 within the thread."""

    thread: str
    seq: int
    run_id: str
    key: str
    at: datetime
    messages: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of what an operation is saying; `id` orders the pieces of a run, `place` those of one attempt."""

    id: int
    run_id: str
    key: str
    attempt: int
    place: int
    text: str
