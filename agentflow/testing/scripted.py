"""A function that answers from a script: what a step, a tool or a model would have said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from agentflow.errors import DefinitionError, Fatal
from agentflow.runtime.operations.values import operation
from agentflow.states import EntryKind
from agentflow.tasks.calling import current_caller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ENDS = frozenset({EntryKind.SUCCEEDED, EntryKind.FAILED, EntryKind.ATTEMPT_FAILED})
Place = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a scripted function: its arguments and, inside a run, the operation it was made by."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    run_id: str = ""
    key: str = ""


class Scripted:
    """An async function that gives its replies in order, and raises those that are exceptions.

    Await it in a task, wrap it in `step(...)`, or put it in the place of a function of yours:
    `Scripted("ask", ["yes", RuntimeError("429"), "no"])`. A call that a crash cut off is the same call when it is made
    again, and gets the same reply. It is strict: a call beyond the script is `Fatal` for the run, and `check` (or the
    end of its `with` block) raises `AssertionError` for it and for replies that nobody asked for. `like` is a function
    whose annotations say what its results are.
    """

    def __init__(self, name: str, replies: Iterable[Any], *, like: Callable[..., Any] | None = None) -> None:
        if isinstance(replies, str | bytes):
            raise DefinitionError(f"Scripted({name!r}): the replies are one text; give a list of them")
        self.name = self.__name__ = self.__qualname__ = name
        self.replies = tuple(replies)
        self.calls: list[Call] = []
        self._given: dict[Place, int] = {}
        self._next = 0
        self._unexpected: list[Call] = []
        if like is not None:
            self.__wrapped__ = like

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        at = await place()
        call = Call(args, kwargs, *(at[:2] if at else ()))
        number = None if at is None else self._given.get(at)
        if number is None:
            number, self._next = self._next, self._next + 1
            self.calls.append(call)
            if at is not None:
                self._given[at] = number
        if number >= len(self.replies):
            self._unexpected.append(call)
            raise Fatal(self._surprise(call))
        reply = self.replies[number]
        if isinstance(reply, BaseException):
            raise reply.with_traceback(None)  # the same one may be raised often, and would grow each time
        if isinstance(reply, type) and issubclass(reply, BaseException):
            raise reply
        return reply

    @property
    def left(self) -> tuple[Any, ...]:
        """The replies that have not been asked for."""
        return self.replies[self._next :]

    def begin(self) -> None:
        """Start over from the first reply."""
        self.calls.clear()
        self._given.clear()
        self._unexpected.clear()
        self._next = 0

    def check(self) -> None:
        """Raise `AssertionError` if it was called too often, or not often enough."""
        if self._unexpected:
            raise AssertionError(self._surprise(self._unexpected[0]))
        if self.left:
            raise AssertionError(
                f"{self.name} was called {self._next} times; {len(self.left)} of its {len(self.replies)} replies were "
                f"not asked for, the next of them {self.left[0]!r}"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.check()

    def __repr__(self) -> str:
        return f"<scripted {self.name}>"

    def _surprise(self, call: Call) -> str:
        given = ", ".join([*map(repr, call.args), *(f"{name}={value!r}" for name, value in call.kwargs.items())])
        where = f" in operation {call.key} of run {call.run_id}" if call.run_id else ""
        return f"{self.name}({given}) was called{where}, and its script of {len(self.replies)} replies has ended"


async def place() -> Place | None:
    """Which call of which operation this is, told by how often the operation has come to an end; None outside one."""
    caller: Any = current_caller.get()
    found = operation()
    if found is None:
        return None
    entries = await caller.turn.store.entries(found.run_id)
    return found.run_id, found.key, sum(entry.key == found.key and entry.kind in ENDS for entry in entries)
