"""What a run may spend on its agent, and what becomes of it when that is spent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta  # noqa: TC003  part of a public record
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from agentflow.durations import duration
from agentflow.errors import BudgetReached, DefinitionError, InvalidDuration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentflow.records import BudgetState, Spent

OnReached = Literal["ask", "finish", "fail"]
DEFAULT_WARN_AT: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class RunBudget:
    """What an agent, and all runs it starts, may spend; None is no limit.

    `tokens` are those in and out, `cost` is in US dollars and counts calls whose price is known, `time` is the time
    its models and tools work (waiting for people counts for nothing). At the share `warn_at` of a limit the model is
    told. When a limit is reached the model is not called again: `on_reached` asks a person in the inbox ("ask"), gives
    the model one last call without tools to answer with what it has ("finish"), or raises `BudgetReached` ("fail").
    """

    tokens: int | None
    cost: Decimal | None
    time: timedelta | None
    warn_at: float
    on_reached: OnReached

    def __init__(
        self,
        *,
        tokens: int | None = None,
        cost: Decimal | str | float | None = None,
        time: str | float | timedelta | None = None,
        warn_at: float = DEFAULT_WARN_AT,
        on_reached: OnReached = "ask",
    ) -> None:
        """`cost` is dollars as "2.00", a number or a Decimal; `time` a span. Raises `DefinitionError`."""
        if on_reached not in get_args(OnReached):
            raise DefinitionError(f"RunBudget(on_reached={on_reached!r}): wanted 'ask', 'finish' or 'fail'")
        if isinstance(warn_at, bool) or not isinstance(warn_at, int | float) or not 0 < warn_at <= 1:
            raise DefinitionError(f"RunBudget(warn_at={warn_at!r}): wanted a share above 0 and up to 1")
        values = {"tokens": count("RunBudget(tokens", tokens), "cost": _cost(cost), "time": _time(time)}
        if all(value is None for value in values.values()):
            raise DefinitionError("RunBudget() limits nothing: give it tokens=, cost= or time=, or leave it out")
        for name, value in {**values, "warn_at": float(warn_at), "on_reached": on_reached}.items():
            object.__setattr__(self, name, value)

    def to_json(self) -> dict[str, Any]:
        """Its limits as plain JSON: dollars as text, seconds."""
        return {
            "tokens": self.tokens,
            "cost": None if self.cost is None else str(self.cost),
            "time": None if self.time is None else self.time.total_seconds(),
        }


def count(what: str, value: object) -> int | None:
    """The value, a whole number of 1 or more, or None. Raises `DefinitionError`."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise DefinitionError(f"{what}={value!r}): wanted a whole number, 1 or more, or None for no limit")
    return value


def _cost(value: Any) -> Decimal | None:
    if value is None:
        return None
    try:
        cost = Decimal(str(value))
    except InvalidOperation:
        cost = Decimal("NaN")
    if isinstance(value, bool) or not cost.is_finite() or cost <= 0:
        raise DefinitionError(f'RunBudget(cost={value!r}): wanted US dollars above 0, such as "2.00"')
    return cost


def _time(value: Any) -> timedelta | None:
    try:
        span = None if value is None else duration(value)
    except InvalidDuration as error:
        raise DefinitionError(f"RunBudget(time=…): {error}") from error
    if span is not None and not span:
        raise DefinitionError("RunBudget(time=…): wanted a span longer than nothing")
    return span


# -- held against what is spent


def require_left(budgets: Sequence[BudgetState]) -> None:
    """Raise `BudgetReached` for the first of these budgets that is spent."""
    for budget in budgets:
        for limit, spent, most in _limits(budget, budget.spent):
            if spent >= most:
                raise BudgetReached(
                    f"{said(limit, spent)} of {said(limit, most)} are spent",
                    limit=limit,
                    run_id=budget.run_id,
                    key=budget.key,
                )


def warnings(budgets: Sequence[BudgetState], *, tokens: int, cost: Decimal | None) -> list[str]:
    """What to tell the model of budgets that near their end, after a call that used these tokens and dollars."""
    told = []
    for budget in budgets:
        for limit, spent, most in _limits(budget, budget.spent):
            now = spent + (tokens if limit == "tokens" else cost or 0)
            if most and now >= most * Decimal(str(budget.warn_at)):
                told.append(f"{said(limit, now)} of {said(limit, most)} are spent")
    return told


def _limits(budget: BudgetState, spent: Spent) -> Iterator[tuple[str, Decimal, Decimal]]:
    if budget.tokens is not None:
        yield "tokens", Decimal(spent.tokens), Decimal(budget.tokens)
    if budget.cost is not None:
        yield "cost", spent.cost, budget.cost


def said(limit: str, amount: Any) -> str:
    """An amount of what is limited, in words."""
    if limit == "cost":
        return f"${Decimal(amount):,.4f}".rstrip("0").rstrip(".")
    return f"{int(amount):,} {limit}"
