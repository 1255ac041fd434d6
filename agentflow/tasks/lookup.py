"""What a step that runs at most once is told by its `lookup` after a crash: whether it had happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Done(Generic[R]):
    """It is done: a step that is looked up did happen, a check has what was waited for. `value` is the result."""

    value: R


class _NotDone:
    """It did not happen, and may be done now."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NOT_DONE"


NOT_DONE: Final = _NotDone()
"""What a lookup returns where it is certain that the call has had no effect: it is then made again."""

Found = Done[Any] | _NotDone | None
"""The answers of a lookup; None where it cannot tell, which is left to a person."""
