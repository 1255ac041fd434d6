"""`scope`: a named part of a run, whose operations are keyed and ordered by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.errors import DefinitionError
from agentflow.runtime.callers import InRun
from agentflow.tasks.calling import current_caller
from agentflow.tasks.step import operation_name

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

    from agentflow.runtime.scope import Scope
    from agentflow.tasks.calling import Caller


class scope:  # noqa: N801  reads as the statement it makes: `async with scope("reserve"):`
    """`async with scope("reserve"):` puts the operations inside under `reserve#1/…` in the journal.

    They are held against the journal in an order of their own, and are a part of the timeline. Nothing is recorded for
    the scope itself. Outside a run it does nothing. Raises `DefinitionError` for a name that cannot be one.
    """

    __slots__ = ("_inner", "_name", "_token")

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise DefinitionError(f"scope({name!r}): wanted a name")
        self._name = operation_name(name)
        self._inner: Scope | None = None
        self._token: Token[Caller | None] | None = None

    async def __aenter__(self) -> None:
        caller = current_caller.get()
        if self._token is not None:
            raise DefinitionError(f"scope({self._name!r}) is entered already; make another one for a scope within")
        if isinstance(caller, InRun):
            self._inner = caller.scope.part(self._name)
            self._token = current_caller.set(caller.turn.caller_for(self._inner))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        inner, token = self._inner, self._token
        if inner is None or token is None:
            return
        self._inner = self._token = None
        current_caller.reset(token)
        if error is None or isinstance(error, Exception):
            inner.leave()
