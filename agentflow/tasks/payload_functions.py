"""Functions that look at what came in before there is a run: `where=` and `input=` of webhooks and listeners.

Each takes the payload, and as a second argument, where it has one, what else is known of it. Where the first parameter
has an annotation the payload is converted to it, by the same rules as a task's input.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cached_property
from types import FunctionType
from typing import TYPE_CHECKING, Any

from agentflow.errors import DefinitionError, FieldProblem, InvalidInput
from agentflow.payloads import shown
from agentflow.tasks.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow.tasks.task import Task

BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True)
class PayloadFunction:
    """A user's function of a payload. `name` is what errors call it: `where= of listener 'x'`."""

    function: Callable[..., Any]
    name: str
    takes_received: bool

    @classmethod
    def of(cls, function: Callable[..., Any], *, name: str) -> PayloadFunction:
        """The function, if it can be called with a payload. Raises `DefinitionError`."""
        if not callable(function):
            raise DefinitionError(f"{name} is {function!r}; wanted a function of the payload")
        return cls(function, name, _takes_two(function, name))

    @property
    def is_async(self) -> bool:
        """Whether a call gives something to await."""
        return inspect.iscoroutinefunction(self.function)

    def check(self) -> None:
        """Raise `DefinitionError` for an annotation that cannot be resolved or checked. To be called at start-up."""
        _ = self._signature

    @cached_property
    def _signature(self) -> Signature | None:
        if not (inspect.isfunction(self.function) or inspect.ismethod(self.function)):
            return None  # a class, a partial or a built-in: it gets the payload as it is
        payload, first = next(iter(inspect.signature(self.function).parameters.items()))
        if first.kind is first.VAR_POSITIONAL:
            return None
        alone = _annotated_only(getattr(self.function, "__func__", self.function), payload)
        names = inspect.signature(alone).parameters
        return Signature.of(alone, task=self.name, without=set(names) - {payload}, kind="function")

    def call(self, payload: Any, received: Any, *, task: str) -> Any:
        """What the function gives. Raises `InvalidInput` of this task for a payload that is not what it takes."""
        given = self._converted(payload, task)
        return self.function(given, received) if self.takes_received else self.function(given)

    def _converted(self, payload: Any, task: str) -> Any:
        signature = self._signature
        if signature is None:
            return payload
        [name] = signature.parameters
        try:
            return signature.validate_members({name: payload})[name]
        except InvalidInput as error:
            raise InvalidInput(task=task, errors=error.errors) from error


def payload_input(task: Task[..., Any], payload: Any) -> str:
    """The stored input that a payload, which is plain JSON, makes where no `input=` maps it.

    A task of one parameter gets it as that one's value, one of several its members by name, one of none nothing.
    Raises `InvalidInput`.
    """
    signature = task.signature
    match list(signature.parameters):
        case []:
            members: dict[str, Any] = {}
        case [only]:
            members = {only: payload}
        case _:
            members = _members(task, payload)
    return signature.encode(signature.validate_members(members))


def mapped_input(task: Task[..., Any], value: Any) -> str:
    """The stored input that what an `input=` function gave makes.

    A mapping of parameters by name is that; anything else is the value of a task's one parameter. Raises
    `InvalidInput`, `NotRecordable` or `PayloadTooLarge`.
    """
    names = list(task.signature.parameters)
    if len(names) == 1 and not (isinstance(value, dict) and set(value) == set(names)):
        return task.encode_call((), {names[0]: value})
    return task.encode_call((), _members(task, value))


def _annotated_only(function: Any, name: str) -> Any:
    """The function with no annotation but this parameter's: those of others may be for type checkers only."""
    code, of, closure = function.__code__, function.__globals__, function.__closure__
    copy = FunctionType(code, of, function.__name__, function.__defaults__, closure)
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__annotations__ = {key: value for key, value in function.__annotations__.items() if key == name}
    return copy


def _members(task: Task[..., Any], value: Any) -> dict[str, Any]:
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return value
    wanted = f"an object of its parameters by name: {', '.join(task.signature.parameters) or 'none'}"
    raise InvalidInput(task=task.id, errors=[FieldProblem(field="", found=shown(value), wanted=wanted)])


def _takes_two(function: Callable[..., Any], name: str) -> bool:
    """Whether it has to be given a second argument."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):  # a built-in that does not say
        return False
    needed = [one for one in parameters if one.default is one.empty and one.kind in BY_PLACE]
    by_name = [one.name for one in parameters if one.default is one.empty and one.kind is one.KEYWORD_ONLY]
    takes_any = any(one.kind in (*BY_PLACE, one.VAR_POSITIONAL) for one in parameters)
    if by_name or len(needed) > 2 or not takes_any:  # noqa: PLR2004  the payload and what else is known of it
        raise DefinitionError(
            f"{name} takes ({', '.join(map(str, parameters))}); wanted a function of the payload, or of the payload "
            "and what else is known of it"
        )
    return len(needed) == 2  # noqa: PLR2004  as above
