"""When branches side by side have done enough, and what became of each: plain values and arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar, overload

from agentflow.errors import CompletionFailed, DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")


BranchStatus = Literal["succeeded", "failed", "cancelled", "not_started"]
"""How a branch stood when its `gather` or `map` was over."""

LETTERS: Final[dict[str, BranchStatus]] = {"s": "succeeded", "f": "failed", "c": "cancelled", "n": "not_started"}
"""The statuses as the journal keeps them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchResult(Generic[T]):
    """What became of one branch: `value` where it succeeded, `error` where it failed, neither where it was stopped."""

    index: int
    status: BranchStatus
    value: T | None = None
    error: Exception | None = None


class Branches(Sequence[BranchResult[T]]):
    """What became of each branch of a `gather` or `map` with `until=`, in the order in which they were given."""

    def __init__(self, results: Iterable[BranchResult[T]]) -> None:
        self._results = tuple(results)

    @property
    def values(self) -> tuple[T, ...]:
        """The values of the branches that succeeded."""
        return tuple(_value(one) for one in self._results if one.status == "succeeded")

    @property
    def errors(self) -> tuple[Exception, ...]:
        """The errors of the branches that failed."""
        return tuple(one.error for one in self._results if one.error is not None)

    @property
    def succeeded(self) -> int:
        """How many branches succeeded."""
        return sum(one.status == "succeeded" for one in self._results)

    @property
    def letters(self) -> str:
        """The statuses as the journal keeps them."""
        return "".join(one.status[0] for one in self._results)

    @overload
    def __getitem__(self, index: int) -> BranchResult[T]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[BranchResult[T]]: ...
    def __getitem__(self, index: int | slice) -> BranchResult[T] | Sequence[BranchResult[T]]:
        return self._results[index]

    def __len__(self) -> int:
        return len(self._results)

    def __repr__(self) -> str:
        return f"<branches {self.letters}>"


def _value(result: BranchResult[T]) -> Any:
    return result.value


# -- rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """When branches have done enough: after `least` successes, or when all have ended with few enough failures."""

    said: str
    least: int | None = None
    tolerated: int | Fraction = 0

    def terms(self, count: int) -> Terms:
        """What the rule means for so many branches. Raises `DefinitionError` if they cannot meet it."""
        if self.least is None:
            tolerated = self.tolerated if isinstance(self.tolerated, int) else floor(self.tolerated * count)
            return Terms(count, count, tolerated)
        if self.least > count:
            raise DefinitionError(f"{self.said} of {count} branches can never be met; nothing was started")
        return Terms(count, self.least, count - self.least)


@dataclass(frozen=True, slots=True)
class Terms:
    """A rule for a known number of branches: so many successes are enough, so many failures are tolerated."""

    count: int
    enough: int
    tolerated: int

    @classmethod
    def all_to_end(cls, count: int) -> Terms:
        """Nothing but the end of the last branch is enough."""
        return cls(count, count, count)

    def is_decided(self, succeeded: int, failed: int) -> bool:
        """Whether what is still at work cannot change anything."""
        return succeeded >= self.enough or self.is_broken(failed) or succeeded + failed == self.count

    def is_broken(self, failed: int) -> bool:
        """Whether so many failures are too many."""
        return failed > self.tolerated


def all_succeed() -> Completion:
    """Every branch has to succeed; the first failure stops the others."""
    return Completion(said="all_succeed()")


def first_success() -> Completion:
    """One success is enough; the other branches are stopped then."""
    return Completion(said="first_success()", least=1)


def at_least(n: int) -> Completion:
    """So many successes are enough; the other branches are stopped then. Raises `DefinitionError` for less than 1."""
    if not _is_whole(n) or n < 1:
        raise DefinitionError(f"at_least({n!r}): wanted a whole number from 1")
    return Completion(said=f"at_least({n})", least=n)


def tolerate(*, count: int | None = None, share: float | None = None) -> Completion:
    """Every branch is seen to its end while no more than `count` fail, or than `share` (0 to 1) of all.

    One failure more stops those still at work. Raises `DefinitionError` unless one of the two is given, within bounds.
    """
    if (count is None) == (share is None):
        raise DefinitionError("tolerate(): wanted either count= or share=")
    if count is not None:
        if not _is_whole(count) or count < 0:
            raise DefinitionError(f"tolerate(count={count!r}): wanted a whole number from 0")
        return Completion(said=f"tolerate(count={count})", tolerated=count)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise DefinitionError(f"tolerate(share={share!r}): wanted a share from 0 to 1")
    # By its text: a share of 0.29 of a hundred branches is 29, which floating point makes 28.
    return Completion(said=f"tolerate(share={share})", tolerated=Fraction(str(share)))


def completion_of(until: Completion | None) -> Completion:
    """The rule to go by; without one, all have to succeed. Raises `DefinitionError` for what is no rule."""
    if until is None:
        return all_succeed()
    if not isinstance(until, Completion):
        raise DefinitionError(
            f"until={until!r}: wanted all_succeed(), first_success(), at_least(n), tolerate(count=…) or "
            "tolerate(share=…)"
        )
    return until


def broken(what: str, rule: Completion, results: Branches[Any]) -> CompletionFailed:
    """The error of branches of which too many failed, with the first failure as its cause."""
    errors = results.errors
    made = CompletionFailed(
        f"{what} cannot meet {rule.said} any more: {len(errors)} of {len(results)} branches failed, the first with "
        f"{type(errors[0]).__name__}: {errors[0]}",
        branches=results,
    )
    made.__cause__ = errors[0]
    return made


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
