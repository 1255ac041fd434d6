"""What the payload code knows of a class: its fields, a fingerprint of them, and how an annotation names classes.

A stored object carries its class's bare name and the fingerprint, never a path to import. Classes are looked for only
among those an annotation names, so a text cannot bring a class into the program.
"""

from __future__ import annotations

import dataclasses
import hashlib
import types
import typing
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import cached_property, lru_cache
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import TYPE_CHECKING, Any, ForwardRef, Literal, TypeGuard, TypeVar, Union, get_args, get_origin
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

from agentflow.errors import UndecodablePayload
from agentflow.later import is_imported, later

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    import pydantic
    import pydantic_core
    import typing_extensions
else:
    pydantic, pydantic_core, typing_extensions = later("pydantic"), later("pydantic_core"), later("typing_extensions")

_TEXTUAL: tuple[type, ...] = (
    Fraction, ZoneInfo, IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network,
)  # fmt: skip


def is_textual(cls: type) -> bool:
    """Whether the text of an instance says everything, and its annotation reads it back."""
    if issubclass(cls, _TEXTUAL):
        return True
    urls = (pydantic.AnyUrl, pydantic_core.Url, pydantic_core.MultiHostUrl) if is_imported("pydantic_core") else ()
    return issubclass(cls, urls)


def is_model(cls: type) -> TypeGuard[type[pydantic.BaseModel]]:
    """Whether this is a class of pydantic models."""
    return is_imported("pydantic") and issubclass(cls, pydantic.BaseModel)


def is_absent(annotation: Any) -> bool:
    """Whether an annotation asks for nothing in particular."""
    return annotation is Any or annotation is None or annotation is object


_ANY_CONTAINER: dict[Any, type] = {
    dict: dict,
    dict[str, Any]: dict,
    dict[str, object]: dict,
    list: list,
    list[Any]: list,
    list[object]: list,
}


def any_container(annotation: Any) -> type | None:
    """`dict` or `list` for an annotation that asks for one with anything JSON in it, else None."""
    try:
        return _ANY_CONTAINER.get(annotation)
    except TypeError:  # an annotation that cannot be hashed
        return None


def name_of(annotation: Any) -> str:
    """An annotation as a person writes it, the same in every process and Python version."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated:
        return name_of(args[0])
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, args))}]"
    if origin in {Union, types.UnionType}:
        return " | ".join(sorted(map(name_of, args), key=lambda name: (name == "None", name)))
    if annotation is types.NoneType or annotation is None:
        return "None"
    base = _bare_name(origin or annotation)
    return f"{base}[{', '.join(map(name_of, args))}]" if args else base


def _bare_name(annotation: Any) -> str:
    if annotation is Ellipsis:
        return "..."
    if isinstance(annotation, str):
        return annotation
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    if isinstance(annotation, list):  # the parameters of a Callable
        return f"[{', '.join(map(name_of, annotation))}]"
    name = getattr(annotation, "__qualname__", None) or getattr(annotation, "__name__", None)
    return name if isinstance(name, str) else type(annotation).__qualname__


@dataclass(frozen=True)
class Shape:
    """The fields of a model, dataclass or NamedTuple class."""

    cls: type
    fields: Mapping[str, Any]

    @cached_property
    def fingerprint(self) -> str:
        """Differs when a field was added, removed or given another type."""
        lines = "\n".join(f"{name}: {name_of(annotation)}" for name, annotation in self.fields.items())
        return hashlib.sha256(lines.encode(errors="backslashreplace")).hexdigest()[:8]

    @cached_property
    def is_model(self) -> bool:
        return is_model(self.cls)

    @cached_property
    def is_tuple(self) -> bool:
        return issubclass(self.cls, tuple)

    def rebuild(self, fields: dict[str, Any], unset: frozenset[str]) -> Any:
        """The instance that had these fields. No validator runs again: what was recorded is not judged twice."""
        if self.is_tuple:
            return tuple.__new__(self.cls, fields.values())
        made: Any = object.__new__(self.cls)
        if self.is_model:
            _fill_model(made, self.fields, fields, unset)
        else:
            for name, value in fields.items():
                object.__setattr__(made, name, value)
        return made


def _fill_model(made: Any, names: Mapping[str, Any], fields: dict[str, Any], unset: frozenset[str]) -> None:
    own = {name: value for name, value in fields.items() if name in names}
    extra = {name: value for name, value in fields.items() if name not in names}
    write = object.__setattr__
    write(made, "__dict__", dict(own))
    write(made, "__pydantic_fields_set__", set(fields) - unset)
    if not isinstance(made, pydantic.RootModel):
        write(made, "__pydantic_extra__", extra if made.model_config.get("extra") == "allow" else None)
    if type(made).__pydantic_post_init__:
        made.model_post_init(None)  # gives private attributes their values
        for name, value in own.items():
            made.__dict__[name] = value
    elif not isinstance(made, pydantic.RootModel):
        write(made, "__pydantic_private__", None)


def shape_of(cls: type) -> Shape | None:
    """The shape of a class whose instances are stored field by field, or None for any other class."""
    try:
        return _SHAPES[cls]
    except KeyError:
        return _SHAPES.setdefault(cls, _new_shape(cls))


_SHAPES: WeakKeyDictionary[type, Shape | None] = WeakKeyDictionary()


def _new_shape(cls: type) -> Shape | None:
    if is_model(cls):
        return Shape(cls, {name: field.annotation for name, field in cls.model_fields.items()})
    if dataclasses.is_dataclass(cls):
        return Shape(cls, {field.name: field.type for field in dataclasses.fields(cls)})
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        hints = getattr(cls, "__annotations__", {})
        return Shape(cls, {name: hints.get(name, Any) for name in cls._fields})
    return None


def adapter(annotation: Any) -> pydantic.TypeAdapter[Any]:
    """The pydantic adapter for an annotation. Raises `UndecodablePayload` where there can be none."""
    try:
        return _adapter(annotation)
    except TypeError:  # not hashable, such as Annotated[int, [1]]
        return _new_adapter(annotation)


def _new_adapter(annotation: Any) -> pydantic.TypeAdapter[Any]:
    try:
        try:
            return pydantic.TypeAdapter(annotation)
        except pydantic.PydanticSchemaGenerationError:
            return pydantic.TypeAdapter(annotation, config=pydantic.ConfigDict(arbitrary_types_allowed=True))
    except (pydantic.PydanticUserError, NameError) as error:
        reason = str(error).partition("\n")[0]
        raise UndecodablePayload(
            f"nothing can be checked against the annotation {name_of(annotation)}: {reason}"
        ) from error


_adapter = lru_cache(maxsize=4096)(_new_adapter)


class Classes:
    """The classes that an annotation names, by bare name."""

    def __init__(self, annotation: Any) -> None:
        self._named: dict[str, type | None] = {}
        for cls in _classes_in(annotation):
            known = self._named.setdefault(cls.__qualname__, cls)
            if known is not cls:
                self._named[cls.__qualname__] = None  # two classes of one name: neither is meant for certain

    def find(self, name: str) -> type | None:
        """The class of this name among those the annotation names and their subclasses; None if not exactly one."""
        if name in self._named:
            return self._named[name]
        named = [cls for cls in self._named.values() if cls]
        heirs = {heir for cls in named for heir in _heirs(cls) if heir.__qualname__ == name}
        return heirs.pop() if len(heirs) == 1 and "[" not in name else None


def classes(annotation: Any) -> Classes:
    """The classes that an annotation names; remembered per annotation."""
    try:
        return _classes(annotation)
    except TypeError:
        return Classes(annotation)


@lru_cache(maxsize=4096)
def _classes(annotation: Hashable) -> Classes:
    return Classes(annotation)


def _heirs(cls: type) -> Iterator[type]:
    heirs: list[type] = type.__subclasses__(cls)
    for heir in heirs:
        yield heir
        yield from _heirs(heir)


def _classes_in(annotation: Any) -> Iterator[type]:
    """Every class that a value of this annotation may be made of and that is stored by name."""
    seen: set[int] = set()
    waiting: list[Any] = list(annotation) if isinstance(annotation, tuple) else [annotation]
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, type) and _is_stored_by_name(current):
            yield current
        waiting.extend(_parts(current))


def _is_stored_by_name(cls: type) -> bool:
    if is_imported("pydantic") and cls is pydantic.BaseModel:
        return False
    return issubclass(cls, Enum) or is_textual(cls) or shape_of(cls) is not None


def _parts(annotation: Any) -> Iterator[Any]:
    """The annotations inside an annotation."""
    if isinstance(annotation, TypeVar):
        yield from (*annotation.__constraints__, annotation.__bound__)
        return
    for argument in get_args(annotation):
        yield from argument if isinstance(argument, list) else (argument,)
        if isinstance(argument, Enum):  # Literal[Colour.RED]
            yield type(argument)
    origin = get_origin(annotation)
    if isinstance(origin, type):
        yield origin
    for attribute in ("__value__", "__supertype__"):  # `type X = ...` and NewType
        if not isinstance(annotation, Enum) and (inner := getattr(annotation, attribute, None)) is not None:
            yield inner
    if isinstance(annotation, type):
        yield from _field_annotations(annotation)


def _field_annotations(cls: type) -> Iterator[Any]:
    if is_model(cls):
        yield from (field.annotation for field in cls.model_fields.values())
        return
    if shape_of(cls) is None and not typing_extensions.is_typeddict(cls):
        return
    try:
        hints = typing.get_type_hints(cls)
    except NameError:  # a class inside a function that names its neighbours by string
        hints = dict(getattr(cls, "__annotations__", {}))
    yield from hints.values()
