"""Scopes: where operations get their keys and are held against the journal, in order.

Every branch of a `gather`, every nested task and every awaited helper is a scope of its own, so that parallel work
never mixes. The one rule: within a scope, code asks for what is recorded in the order in which it was recorded.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from agentflow.errors import UnsupportedAwait
from agentflow.runtime.signals import Divergence, Suspend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentflow.runtime.index import Recorded
    from agentflow.runtime.parallel.branches import Branch
    from agentflow.runtime.turn import Turn

SCOPES: Final = frozenset({"await", "task", "fallback", "hop", "gather", "map", "scope"})
"""The operations with operations inside."""


class Scope:
    """One line of operations in a run."""

    __slots__ = (
        "_around",
        "_counts",
        "_is_new",
        "_order",
        "branch",
        "busy",
        "owner",
        "part_entered",
        "path",
        "position",
        "turn",
    )

    def __init__(
        self, turn: Turn, path: str, branch: Branch, *, around: Scope | None = None, is_new: bool = False
    ) -> None:
        self.turn = turn
        self.path = path
        self.branch = branch
        self.owner: asyncio.Task[object] | None = None
        self.busy = 0
        self.position = 0
        self._around = around
        self._is_new = is_new
        self.part_entered: Scope | None = None
        self._counts: dict[str, int] = {}
        # A copy: what this very turn appends is no ground to be covered again.
        self._order = tuple(turn.index.order.get(path, ()))
        turn.scopes[path] = self

    def enter(self) -> None:
        """The code of this scope runs in the present asyncio task, and in no other."""
        self.owner = asyncio.current_task()

    @property
    def is_replaying(self) -> bool:
        """Whether the code is still on ground it has covered before."""
        return self.position < len(self._order) or (self._around is not None and self._around.is_replaying)

    @property
    def is_idle(self) -> bool:
        """Whether no operation of its code is under way, here or in a part of it that the code has entered."""
        return self.busy == 0 and (self.part_entered is None or self.part_entered.is_idle)

    def outward(self) -> Iterator[Scope]:
        """This scope and those it is in, from the inside out."""
        yield self
        path = self.path
        while path:
            path = path.rpartition("/")[0]
            if path in self.turn.scopes:
                yield self.turn.scopes[path]

    def ask(self, name: str, operation: str) -> tuple[str, Recorded | None]:
        """The next key of this name and what is recorded of it. Raises `Suspend` if they do not fit, or it is over."""
        self.admit(name)
        self.begin()
        key, known = self._next(name)
        if self.turn.rehearsal is not None:
            self.turn.rehearsal.asked(self, key, operation, known)
        if known is not None or self.position < len(self._order):
            self.compare(key, operation, known)
        return key, known

    def admit(self, name: str) -> None:
        """Let only the code of this scope ask, in its own asyncio task. Raises `Suspend` once the turn is over."""
        if self.turn.is_over or self.branch.is_stopped:
            raise Suspend  # a `finally` of code that is being left: what it asks for is done by the next turn, or never
        if self.owner is not asyncio.current_task(self.turn.loop):
            raise UnsupportedAwait(
                f"{name} was called from an asyncio task that agentflow did not start, where the order of operations "
                "is not the same on every replay; run branches with `gather(...)`, or call it in the task itself"
            )

    def part(self, name: str) -> Scope:
        """A part of this code as a scope of its own, which is in the journal by what is asked for in it."""
        self.admit(name)
        key, known = self._next(name)
        if known is not None:
            self.begin()
            self.compare(key, "scope", known)
        self.part_entered = Scope(self.turn, key, self.branch, around=self, is_new=known is None)
        self.part_entered.enter()
        return self.part_entered

    def begin(self) -> None:
        """The first thing is asked for in a part that the journal does not know: hold the part itself against it."""
        if self._is_new and self._around is not None:
            self._is_new = False
            self._around.begin()
            self._around.compare(self.path, "scope", None)

    def _next(self, name: str) -> tuple[str, Recorded | None]:
        """The next key of this name that no earlier attempt has used up, and what is recorded of it."""
        while True:
            count = self._counts[name] = self._counts.get(name, 0) + 1
            key = f"{self.path}/{name}#{count}" if self.path else f"{name}#{count}"
            known = self.turn.index.by_key.get(key)
            if known is None or not known.is_spent:
                return key, known

    def compare(self, key: str, operation: str, known: Recorded | None) -> None:
        """Hold what the code asks for against what is recorded here. Raises `Suspend` where they do not fit."""
        if self.position < len(self._order):
            if self._order[self.position] is not known:
                raise self._diverged(self._order[self.position], f"{operation} {key}")
            self.position += 1
        if known is not None and not _may_be(known, operation):
            raise self._diverged(known, f"{operation} {key}")

    def _diverged(self, recorded: Recorded, asked: str) -> Suspend:
        return self.turn.stop(Divergence(key=recorded.key, recorded=described(recorded), asked=asked))

    def leave(self) -> None:
        """The code of this scope has returned. Raises `Suspend` if it passed over something recorded."""
        if self._around is not None:
            self._around.part_entered = None
        if self.position < len(self._order):
            asked = f"nothing more{f' in {self.path}' if self.path else ''}"
            raise self._diverged(self._order[self.position], asked)


def _may_be(known: Recorded, operation: str) -> bool:
    """Whether what is recorded can be this kind of operation; of one cut off within, only what is inside is known."""
    return operation in SCOPES if known.operation is None else known.operation == operation


def described(recorded: Recorded) -> str:
    """A recorded operation as a text for a person."""
    return f"{recorded.operation or 'operation'} {recorded.key}"
