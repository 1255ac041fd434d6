"""What keeps a call to the outside from being made, or its answer from being had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.errors.base import AgentflowError

if TYPE_CHECKING:
    from datetime import timedelta


class EgressRefused(AgentflowError):
    """The policy lets no call go there, so nothing was sent. `rule` is the part of the policy that says so."""

    def __init__(self, *, rule: str, said: str, host: str = "", address: str = "") -> None:
        shown = f" to {host[:253]!r}" if host else ""
        super().__init__(f"the call{shown} is refused, nothing was sent: {said}")
        self.rule = rule
        self.host = host
        self.address = address


class HostUnreachable(AgentflowError):
    """No connection could be made, so nothing was sent. `retry_after` is how long to wait before another try."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class AnswerLost(AgentflowError):
    """The call went out and no usable answer came back: what was asked for may have been done or not.

    Raised in a step or tool that is made at most once, it leaves the outcome unknown instead of failing the step: its
    lookup is asked, or a person.
    """


class AnswerTooLarge(AgentflowError):
    """The answer exceeds the policy's limit and was dropped; what was asked for has been done.

    `status` is the answer's, where that is known.
    """

    status: int | None = None


class ServerUnavailable(AgentflowError):
    """The server was asked and says that it cannot at the moment. `retry_after` is how long to leave it alone."""

    def __init__(self, message: str, *, status: int, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
