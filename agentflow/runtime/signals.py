"""How a turn leaves the task's code: with `BaseException`s, which `except Exception` in the task cannot swallow."""

from __future__ import annotations


class Suspend(BaseException):
    """The turn is over (parked, lost or handed back): unwind, closing context managers, doing nothing more."""


class Divergence(BaseException):
    """The code and the journal do not fit; both sides, as texts for a person."""

    def __init__(self, *, recorded: str, asked: str) -> None:
        super().__init__(f"recorded {recorded}, the code asks for {asked}")
        self.recorded = recorded
        self.asked = asked


class Ambiguous(BaseException):
    """An at-most-once operation was started and its end is not recorded: it may have happened."""

    def __init__(self, *, key: str) -> None:
        super().__init__(f"{key} was started and its end is not recorded")
        self.key = key
