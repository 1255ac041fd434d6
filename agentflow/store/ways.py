"""The three ways to run a verb, which a database provides; verbs by name are in `sql.py` and beside their topics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentflow.errors import AgentflowError
    from agentflow.store.transaction import Transaction

T = TypeVar("T")
P = ParamSpec("P")


class Ways(ABC):
    """How a verb is run on a database."""

    @abstractmethod
    def write(
        self, verb: Callable[Concatenate[Transaction, P], T | AgentflowError], *args: P.args, **kwargs: P.kwargs
    ) -> Awaitable[T]:
        """What the verb gives, once its transaction is durable; an error it returns is raised then."""

    @abstractmethod
    def read(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """What the verb gives on a snapshot of its own, off the event loop."""

    @abstractmethod
    def glance(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """What a verb of a few indexed look-ups gives, by the shortest way; each look-up sees its own moment."""
