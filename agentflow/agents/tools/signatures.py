"""A function's signature and docstring as what a model is told of it: JSON Schema, and a description."""

from __future__ import annotations

import inspect
import re
import warnings
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, PydanticJsonSchemaWarning

from agentflow.agents.tools.docstrings import described
from agentflow.agents.tools.injecting import Wants, hints_of, wants_of
from agentflow.approvals import validate
from agentflow.approvals.refs import rewritten
from agentflow.errors import DefinitionError, NotRecordable, UndecodablePayload
from agentflow.payloads import from_json, to_json
from agentflow.payloads.shapes import adapter, name_of
from agentflow.tasks.calling import DURABLE
from agentflow.tasks.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_BOUNDS: Final = (("ge", "minimum"), ("gt", "exclusiveMinimum"), ("le", "maximum"), ("lt", "exclusiveMaximum"))
_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_UNTELLABLE: Final = (bytes, bytearray, memoryview)


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What a model is told of a function, and what else the function is given."""

    name: str
    description: str
    signature: Signature
    schema: Mapping[str, Any]
    wants: Wants


class _Schemas(GenerateJsonSchema):
    """A Decimal is a number, to a model and on a form: whether as a number or as text is nobody's question."""

    def decimal_schema(self, schema: Any) -> dict[str, Any]:
        bounds = {word: float(schema[key]) for key, word in _BOUNDS if schema.get(key) is not None}
        return {"type": "number", **bounds}

    def encode_default(self, dft: Any) -> Any:
        return float(dft) if isinstance(dft, Decimal) else super().encode_default(dft)


def told(function: Callable[..., Any], *, name: str | None = None, description: str | None = None) -> Told:
    """What a model is told of a function. Raises `DefinitionError`, saying what to write, for one that cannot be."""
    named = usable_name(name or str(getattr(function, "__name__", "")), function)
    _require_function(named, function)
    hints = hints_of(function, what=named)
    wants = wants_of(hints, what=f"tool {named!r}")
    _require_annotations(named, function, hints, wants)
    signature = Signature.of(function, task=named, without=wants, kind="tool")
    _require_tellable(named, signature.result)
    return of_signature(signature, function.__doc__, name=named, description=description, wants=wants)


def of_signature(
    signature: Signature, docstring: str | None, *, name: str, description: str | None = None, wants: Wants
) -> Told:
    """What a model is told of something with this signature and docstring. Raises `DefinitionError`."""
    said = described(docstring)
    text = (description or said.text).strip()
    if not text:
        raise DefinitionError(
            f"tool {name!r} has no description, without which no model knows when to call it: give it a docstring, or "
            "description="
        )
    schema = _schema(name, signature)
    for key, about in said.parameters.items():
        if key in schema["properties"] and about:
            schema["properties"][key].setdefault("description", about)
    return Told(name, text, signature, schema, wants)


def usable_name(name: str, what: object) -> str:
    """The name, if providers of models take it. Raises `DefinitionError`."""
    if not NAME.fullmatch(name):
        raise DefinitionError(
            f"{name!r} is no name for a tool (of {what!r}): providers take 1 to 64 letters, digits, _ and -; give one "
            "with name="
        )
    return name


def _require_function(name: str, function: Callable[..., Any]) -> None:
    if not callable(function):
        raise DefinitionError(f"tool {name!r} is made of {function!r}, which cannot be called")
    if getattr(function, DURABLE, False):
        raise DefinitionError(
            f"tool {name!r} is made of {function!r}, which records itself: make a task a tool with as_tool(…), and "
            "write @tool instead of @step"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise DefinitionError(f"tool {name!r} is a generator: a tool gives one result; return a list")
    for one in inspect.signature(function).parameters.values():
        if one.kind in _VARIADIC:
            stars = "*" if one.kind is one.VAR_POSITIONAL else "**"
            raise DefinitionError(
                f"tool {name!r} takes {stars}{one.name}: a model is told each argument by name; name each parameter"
            )
        if one.kind is one.POSITIONAL_ONLY:
            raise DefinitionError(
                f"tool {name!r} takes {one.name!r} by position only, and a model gives arguments by name: remove the /"
            )


def _require_annotations(
    name: str, function: Callable[..., Any], hints: Mapping[str, Any], wants: Mapping[str, Any]
) -> None:
    for key, one in inspect.signature(function).parameters.items():
        if key in wants:
            continue
        if key not in hints:
            remedy = f"write its type, such as `{key}: str`"
            if key == "self":
                remedy = "make the tool of the method of an object: tool(thing.method)"
            raise DefinitionError(f"tool {name!r}: parameter {key!r} has no annotation; {remedy}")
        if isinstance(one.default, FieldInfo):
            raise DefinitionError(
                f"tool {name!r}: parameter {key!r} has Field(…) for a default; write Annotated[…, Field(…)] and a "
                "default of its own"
            )


def _require_tellable(name: str, result: Any) -> None:
    if result in _UNTELLABLE:
        raise DefinitionError(
            f"tool {name!r} returns {name_of(result)}, which no model can be told: return text, or keep the content "
            "elsewhere and return how to find it"
        )


def _schema(name: str, signature: Signature) -> dict[str, Any]:
    """The JSON Schema of the arguments: closed, also further in, so that nothing a model writes is quietly ignored."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PydanticJsonSchemaWarning)  # a default that is no JSON is no default there
        for key, parameter in signature.parameters.items():
            _require_schema(name, key, parameter.annotation)
        written = signature.json_schema(generator=_Schemas)
    schema: dict[str, Any] = rewritten(written, _closed)
    del schema["title"]
    if not schema["required"]:
        del schema["required"]
    for key, parameter in signature.parameters.items():
        if not parameter.is_required:
            schema["properties"][key]["default"] = _default(name, signature, schema, key)
    return schema


def _require_schema(name: str, key: str, annotation: Any) -> None:
    try:
        adapter(annotation).json_schema(schema_generator=_Schemas)
    except (PydanticInvalidForJsonSchema, UndecodablePayload) as error:
        raise DefinitionError(
            f"tool {name!r}: parameter {key!r} is a {name_of(annotation)}, which has no JSON form that a model could "
            "write: use plain types, a dataclass or a pydantic model, or have it given with Annotated[…, Depends(…)]"
        ) from error


def _default(name: str, signature: Signature, schema: dict[str, Any], key: str) -> Any:
    """The default of a parameter as JSON that its own schema takes. Raises `DefinitionError`."""
    default = signature.parameters[key].default
    try:
        plain = float(default) if isinstance(default, Decimal) else to_json(default)
        problems = validate({**schema["properties"][key], "$defs": schema.get("$defs", {})}, plain)
        reason = problems[0].message if problems else _misfit(signature.parameters[key].annotation, plain)
    except NotRecordable as error:
        plain, reason = None, str(error)
    if reason:
        raise DefinitionError(
            f"tool {name!r}: the default of {key!r} does not fit its own type ({reason}): give one that does, or None "
            f"and `{key}: … | None = None`"
        )
    return plain


def _misfit(annotation: Any, plain: Any) -> str:
    try:
        from_json(plain, annotation)
    except UndecodablePayload as error:
        return str(error)
    return ""


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type") == "object" and "properties" in schema and "additionalProperties" not in schema:
        return {**schema, "additionalProperties": False}
    return schema
