"""Values that cannot go into, or come out of, the store."""

from __future__ import annotations

from agentflow.errors.base import AgentflowError


class PayloadError(AgentflowError):
    """A value cannot go into, or come out of, the store."""


class NotRecordable(PayloadError):
    """A value that cannot be stored; nothing was recorded."""

    def __init__(self, *, path: str, type_name: str, remedy: str) -> None:
        super().__init__(f"a {type_name} at {path or '/'} cannot be recorded; {remedy}")
        self.path = path
        self.type_name = type_name
        self.remedy = remedy


class PayloadTooLarge(PayloadError):
    """A value whose stored text would exceed the limit; nothing was recorded."""

    def __init__(self, *, size: int, limit: int, what: str = "the value") -> None:
        super().__init__(
            f"{what} takes {size:,} bytes, the limit is {limit:,}; store it elsewhere and pass a reference"
        )
        self.size = size
        self.limit = limit

    def said_of(self, what: str) -> PayloadTooLarge:
        """The same, which says what it is that is too large."""
        return PayloadTooLarge(size=self.size, limit=self.limit, what=what)


class UndecodablePayload(PayloadError):
    """A stored value does not fit the type that asks for it."""
