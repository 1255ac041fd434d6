"""A verb on its way to a writer, and its result on the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentflow.errors import AgentflowError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


@dataclass(slots=True)
class Call:
    """A verb that waits for its turn, and then its result: what it gave, or the error to raise."""

    verb: Callable[..., Any]
    args: tuple[Any, ...]
    future: asyncio.Future[Any] | None
    result: Any = None
    error: BaseException | None = None

    def answer(self) -> None:
        """Give the result to whoever waits for it."""
        if self.future is None or self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        elif isinstance(self.result, AgentflowError):
            self.future.set_exception(self.result)
        else:
            self.future.set_result(self.result)
