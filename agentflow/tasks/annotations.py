"""The annotations of a function as types, wherever the function was written."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import types
import typing
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from agentflow.errors import DefinitionError
from agentflow.later import later
from agentflow.payloads.shapes import shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import typing_extensions
else:
    typing_extensions = later("typing_extensions")

_AWAITABLE = (collections.abc.Awaitable, collections.abc.Coroutine)


def resolve(function: Callable[..., Any], *, task: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """The function's annotations by parameter name, with `return` for its result.

    Names are looked for in `names`, in what the function closes over and in its module. Raises `DefinitionError` naming
    the one that is nowhere.
    """
    try:
        return typing.get_type_hints(function, localns={**_closed_over(function), **names}, include_extras=True)
    except (NameError, AttributeError) as error:
        missing = getattr(error, "name", None) or str(error)
        raise DefinitionError(
            f"an annotation of {task!r} names {missing!r}, which cannot be found when the function is defined; "
            "import it outside `if TYPE_CHECKING:` or define it in the module"
        ) from error
    except TypeError as error:
        raise DefinitionError(f"an annotation of {task!r} is no type: {error}") from error


def result_annotation(function: Any) -> Any:
    """What a call of anything callable gives when awaited, as far as its annotations say; `Any` where they do not."""
    if isinstance(function, functools.partial):
        return result_annotation(function.func)
    bare = inspect.unwrap(function) if callable(function) else function
    bare = getattr(bare, "__func__", bare)
    if not isinstance(bare, types.FunctionType):
        bare = vars(type(bare)).get("__call__")
    try:
        return awaited(resolve(bare, task="", names={}).get("return", Any))
    except DefinitionError:
        return Any


def awaited(annotation: Any) -> Any:
    """What awaiting gives: `T` for `Awaitable[T]` and `Coroutine[..., T]`, else the annotation itself."""
    if get_origin(annotation) in _AWAITABLE and (args := get_args(annotation)):
        return args[-1]
    return annotation


def is_object(annotation: Any) -> bool:
    """Whether values of the annotation are JSON objects with fields of their own: a model, dataclass or TypedDict."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return is_object(args[0])
    if origin in {Union, types.UnionType}:
        return any(map(is_object, args))
    cls = origin or annotation
    return isinstance(cls, type) and (typing_extensions.is_typeddict(cls) or shape_of(cls) is not None)


def _closed_over(function: Any) -> dict[str, Any]:
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None) or ()
    found = {}
    for name, cell in zip(code.co_freevars if code else (), cells, strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not yet assigned where the function is defined
            continue
    return found
