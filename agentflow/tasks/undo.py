"""What takes back what a step has done, should its run fail or be cancelled."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import DefinitionError
from agentflow.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENT: Final = Retry(max_attempts=5, factor=4.0, min_delay="1s", max_delay="5m")
"""How often, unless told otherwise, an undo is tried: what is not undone needs a person."""
RESULT: Final = "result"


@dataclass(frozen=True, slots=True, eq=False)
class Undo:
    """A function that takes back what a step did, with a retry policy of its own; by default it is tried 5 times.

    It is called with the step's own arguments and, if it has a parameter `result`, with what the step returned. It
    must bear being called twice: after a crash it may be called again, with the same `operation().idempotency_key`.
    """

    function: Callable[..., Any]
    retry: Retry = field(default=PATIENT, kw_only=True)

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise DefinitionError(f"undo: {self.function!r} cannot be called")

    @property
    def name(self) -> str:
        """What the journal calls it."""
        named = getattr(self.function, "name", None) or getattr(self.function, "__qualname__", None)
        return str(named or type(self.function).__qualname__).rpartition("<locals>.")[2]

    @property
    def takes_result(self) -> bool:
        """Whether it wants to know what the step returned."""
        return RESULT in inspect.signature(self.function).parameters

    def of(self, instance: object) -> Undo:
        """That of a step that is a method of this object."""
        bind: Any = getattr(self.function, "__get__", None)
        return self if bind is None else Undo(bind(instance, type(instance)), retry=self.retry)


def undo_of(given: Callable[..., Any] | Undo | None, function: Callable[..., Any]) -> Undo | None:
    """The undo of a step's function. Raises `DefinitionError` for one that cannot take the same arguments."""
    if given is None:
        return None
    undo = given if isinstance(given, Undo) else Undo(given)
    try:
        wanted, taken = inspect.signature(function), inspect.signature(undo.function)
    except (TypeError, ValueError):
        return undo  # written in C: what it takes shows when it is called
    args, kwargs = _placeholders(wanted)
    if undo.takes_result and RESULT not in wanted.parameters:
        kwargs[RESULT] = None
    try:
        taken.bind(*args, **kwargs)
    except TypeError as error:
        raise DefinitionError(
            f"undo={undo.name} is called with the arguments of {function.__qualname__}{wanted}, and it takes {taken}: "
            f"{error}"
        ) from None
    return undo


def _placeholders(signature: inspect.Signature) -> tuple[list[None], dict[str, None]]:
    """Arguments as a call of this signature may give them."""
    args: list[None] = []
    kwargs: dict[str, None] = {}
    for one in signature.parameters.values():
        if one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD}:
            args.append(None)
        elif one.kind is one.KEYWORD_ONLY:
            kwargs[one.name] = None
    return args, kwargs
