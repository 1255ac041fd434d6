"""Values read from a task's arguments when it is triggered: a queue key, a cost, the key of a singleton."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import DefinitionError, FieldProblem, InvalidInput, InvalidSetting
from agentflow.limits import MOST

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_KEY: Final = 200
Key = str | Callable[..., str | int]
Cost = int | Callable[..., int]


@dataclass(frozen=True, slots=True)
class Reading:
    """A value read from a task's arguments: the parameter of that name, or what a function makes of those it takes."""

    what: str
    task: str
    name: str = ""
    function: Callable[..., Any] | None = None
    takes: tuple[str, ...] | None = None

    @classmethod
    def of(cls, what: str, given: Key | Cost | None, task: str, function: Callable[..., Any]) -> Reading | None:
        """The reading, checked against the task's parameters. Raises `DefinitionError`."""
        if given is None:
            return None
        known = parameters_of(function)
        if isinstance(given, str):
            if given not in known:
                there_are = ", ".join(known) or "none"
                raise DefinitionError(f"task {task!r}: {what}={given!r} is none of its parameters ({there_are})")
            return cls(what, task, name=given)
        if not callable(given):
            raise DefinitionError(f"task {task!r}: {what}={given!r}: wanted a parameter's name or a function of them")
        return cls(what, task, function=given, takes=_taken(what, given, task, known))

    def __call__(self, arguments: Mapping[str, Any]) -> Any:
        """The value. Raises `InvalidInput` where it cannot be read; no run was made."""
        if self.function is None:
            return arguments[self.name]
        try:
            if self.takes is None:
                return self.function(*arguments.values())
            return self.function(**{name: arguments[name] for name in self.takes})
        except Exception as error:
            # It is code of the user's reading an input: what it cannot read is an input that does not fit.
            raise self.refusal(f"{type(error).__name__}: {error}", f"an input that {self.what}= can read") from error

    def refusal(self, found: str, wanted: str) -> InvalidInput:
        """What is raised for an input that this cannot be read from."""
        return InvalidInput(
            task=self.task, errors=[FieldProblem(field=self.name and f"/{self.name}", found=found[:200], wanted=wanted)]
        )


def _taken(what: str, given: Callable[..., Any], task: str, known: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The parameters to call the function with by name; None to call it with all of them in order."""
    try:
        own = inspect.signature(given).parameters.values()
    except (TypeError, ValueError):  # a builtin may not tell what it takes
        return None
    kinds = {one.kind for one in own}
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return tuple(known)
    required = [one for one in own if one.default is one.empty and one.kind is not one.VAR_POSITIONAL]
    by_name = [one.name for one in own if one.name in known and one.kind is not one.POSITIONAL_ONLY]
    if {one.name for one in required} <= set(by_name):
        return tuple(by_name)
    if len(required) == len(known) and all(one.kind is not one.KEYWORD_ONLY for one in required):
        return None
    names = ", ".join(one.name for one in required)
    raise DefinitionError(
        f"task {task!r}: {what}= takes {names}; wanted some of the task's parameters by their names "
        f"({', '.join(known) or 'there are none'})"
    )


def parameters_of(function: Callable[..., Any]) -> dict[str, Any]:
    return {name: one for name, one in inspect.signature(function).parameters.items() if name != "self"}


def key_text(what: str, value: Any) -> str:
    """The key as it is stored. Raises `InvalidSetting`."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not 1 <= len(text) <= LONGEST_KEY:
        raise InvalidSetting(f"{what} is {value!r}: wanted a text of 1 to {LONGEST_KEY} characters, or a whole number")
    return text


def amount(what: str, value: Any) -> int:
    """A cost. Raises `InvalidSetting`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
        raise InvalidSetting(f"{what} is {value!r}: wanted a whole number, 0 or more")
    return value
