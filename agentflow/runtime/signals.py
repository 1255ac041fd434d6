"""How a turn leaves the task's code: by a `BaseException`, which `except Exception` in the task cannot swallow."""

from __future__ import annotations

from dataclasses import dataclass


class Suspend(BaseException):
    """The turn is over (parked, lost or handed back): unwind, closing context managers, doing nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """The code and the journal do not fit at this key; both sides, as texts for a person."""

    key: str
    recorded: str
    asked: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambiguous:
    """An at-most-once operation was started and its end is not recorded: it may have happened.

    `because` says what else there is to know: that it was cut off, or why its lookup was no help.
    """

    key: str
    because: str = ""
