"""Making checkpoints of a task's awaits, once, when the task is defined.

`await f(a)` becomes `await call("f", f, a)`; in every other respect the result is the function that was written: same
lines, same variables around it, same defaults, same names. Only `locals()` tells: it has up to three more entries, and
their names are no identifiers.
"""

from __future__ import annotations

import inspect
from types import CellType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from agentflow.errors import DefinitionError, SourceUnavailable
from agentflow.tasks.rewriting.awaits import ADDED, CALL, MANAGER, VALUE, with_checkpoints
from agentflow.tasks.rewriting.compiling import code_in_place, features_of
from agentflow.tasks.rewriting.faithful import is_from
from agentflow.tasks.rewriting.source import Source, Unreadable, source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import CodeType

F = TypeVar("F", bound="Callable[..., Coroutine[Any, Any, Any]]")


def rewrite(function: F, *, call: Callable[..., Any], value: Callable[..., Any], manager: Callable[..., Any]) -> F:
    """A function like `function` whose awaits go through the three callables.

    `await f(a, k=b)` awaits `call("f", f, a, k=b)`, `await x` awaits `value("x", x)`, and `async with f(a)` enters
    `manager("f", f)(a)`. The first two parameters of each callable must be positional-only: the rest are the user's.
    Raises `DefinitionError` for anything but an `async def`, `SourceUnavailable` where its source is not to be had.
    """
    written = _async_function(function)
    added = {CALL: call, VALUE: value, MANAGER: manager}
    if ADDED.intersection(written.__code__.co_freevars):
        return cast("F", _already_rewritten(written, added))
    try:
        code = _rewritten_code(written)
    except Unreadable as unreadable:
        raise SourceUnavailable(
            f"the awaits of {_named(written)} cannot be made checkpoints: {unreadable}; "
            'put it in a file, or use @task(checkpoint="explicit")'
        ) from unreadable
    cells = dict(zip(written.__code__.co_freevars, written.__closure__ or (), strict=True))
    cells |= {name: CellType(callable_) for name, callable_ in added.items()}
    return cast("F", _like(written, code, tuple(cells[name] for name in code.co_freevars)))


def _rewritten_code(function: FunctionType) -> CodeType:
    original = function.__code__
    source = source_of(function)
    code = source.rewritten.get(original)
    if code is None:
        try:
            code = source.rewritten[original] = _compiled_anew(source, original)
        except RecursionError as error:
            raise Unreadable("its statements are nested too deeply") from error
    return code


def _compiled_anew(source: Source, original: CodeType) -> CodeType:
    place = original.co_firstlineno, original.co_name
    definition, compiled = source.definitions.get(place), source.code_at(place, features_of(original))
    if definition is None or compiled is None:
        raise Unreadable(
            f"{source.filename} has no `async def {place[1]}` at line {place[0]} (changed since the import?)"
        )
    if not is_from(original, compiled, definition.node):
        raise Unreadable(f"{source.filename} is not what was imported (changed since, or rewritten by an import hook)")
    code = code_in_place(with_checkpoints(definition.node), definition.around, compiled, sorted(ADDED))
    return code.replace(co_flags=original.co_flags)


def _like(function: FunctionType, code: CodeType, closure: tuple[CellType, ...]) -> FunctionType:
    copy = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, closure)
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__qualname__ = function.__qualname__
    copy.__module__ = function.__module__
    copy.__doc__ = function.__doc__
    copy.__dict__.update(function.__dict__)
    # From Python 3.14 annotations are worked out when asked for, and may name what is defined further down.
    is_lazy = getattr(function, "__annotate__", None) is not None
    for name in ("__annotate__" if is_lazy else "__annotations__", "__type_params__"):
        if hasattr(function, name):
            setattr(copy, name, getattr(function, name))
    return copy


def _async_function(function: object) -> FunctionType:
    found = _misfit(function)
    if found is not None:
        raise DefinitionError(f"{_named(function)} is {found}; a task is an `async def` function that returns a value")
    return cast("FunctionType", function)


def _misfit(function: object) -> str | None:
    """What `function` is, when it is not a plain `async def`."""
    match function:
        case MethodType():
            found = "a bound method (decorate it in its class)"
        case FunctionType() if function.__code__.co_name == "<lambda>":
            found = "a lambda"
        case FunctionType() if hasattr(function, "__wrapped__"):
            found = "what another decorator made of it (put @task below that decorator, next to the `async def`)"
        case FunctionType() if inspect.isasyncgenfunction(function):
            found = "an async generator (it has a `yield`)"
        case FunctionType() if not function.__code__.co_flags & inspect.CO_COROUTINE:
            found = "not async"
        case FunctionType():
            return None
        case _:
            found = f"of type {type(function).__name__}"
    return found


def _already_rewritten(function: FunctionType, added: dict[str, Callable[..., Any]]) -> FunctionType:
    """A function inside a task was rewritten with it; with other callables, each await would be recorded twice."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    if any(cell.cell_contents != added[name] for name, cell in cells if name in added):
        raise DefinitionError(f"the awaits of {_named(function)} are checkpoints already; pass the function as written")
    return function


def _named(function: object) -> str:
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    return f"{module}.{name}" if module and name else repr(function)
