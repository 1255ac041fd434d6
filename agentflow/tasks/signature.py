"""A task's parameters: binding and checking what a trigger gives, storing it, and calling the function with it."""

from __future__ import annotations

import difflib
import inspect
import json
from dataclasses import dataclass
from json.encoder import encode_basestring as quote
from typing import TYPE_CHECKING, Any

from agentflow.errors import (
    DefinitionError,
    FieldProblem,
    InvalidInput,
    NotRecordable,
    PayloadError,
    PayloadTooLarge,
    UndecodablePayload,
)
from agentflow.later import later
from agentflow.payloads import LIMIT, decode, pointer, problems, record, shown, to_json
from agentflow.payloads.shapes import adapter, name_of
from agentflow.tasks.annotations import awaited, is_object, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import pydantic
    from pydantic.json_schema import GenerateJsonSchema
else:
    pydantic = later("pydantic")

_REFUSED: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a task: its name, annotation and whether it must be given."""

    name: str
    annotation: Any
    is_required: bool
    default: Any
    is_positional_only: bool


@dataclass(frozen=True)
class Signature:
    """What a task takes and returns. `task` is the name that errors speak of, `kind` what it is the name of."""

    task: str
    parameters: Mapping[str, Parameter]
    result: Any
    _bindable: inspect.Signature
    kind: str = "task"

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        *,
        task: str | None = None,
        names: Mapping[str, Any] | None = None,
        without: Collection[str] = (),
        kind: str = "task",
    ) -> Signature:
        """The signature of a function. `names` are further names its annotations may use, such as a caller's locals.

        Parameters `without` which it is to be are no input. Raises `DefinitionError` for an annotation that cannot be
        resolved or checked, and for `*args` or `**kwargs`: input is stored by name, so each parameter needs one.
        """
        name = task or str(getattr(function, "__qualname__", function))
        function = inspect.unwrap(function)
        found = inspect.signature(function)
        found = found.replace(parameters=[one for key, one in found.parameters.items() if key not in without])
        for parameter in found.parameters.values():
            if stars := _REFUSED.get(parameter.kind):
                raise DefinitionError(f"{kind} {name!r} takes {stars}{parameter.name}; name each parameter instead")
        hints = resolve(function, task=name, names=names or {})
        parameters = {key: _parameter(item, hints.get(key, Any)) for key, item in found.parameters.items()}
        for item in parameters.values():
            try:
                adapter(item.annotation)
            except UndecodablePayload as error:
                raise DefinitionError(f"parameter {item.name!r} of {kind} {name!r}: {error}") from error
        return cls(name, parameters, awaited(hints.get("return", Any)), found, kind)

    def validate(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        """The arguments by parameter name, checked, with defaults filled in now so that later code cannot change them.

        Raises `InvalidInput` listing every problem.
        """
        given, found = self._bind(args, kwargs)
        return self._complete(given, found, _checked_value)

    def validate_json(self, source: Any) -> Mapping[str, Any]:
        """The arguments that a JSON object, or its text, gives by name; strict, so "12" is no int.

        A task with a single parameter that takes an object may be given that object itself. Raises `InvalidInput`
        listing every problem.
        """
        given = self._object(source)
        if (only := self._only_object(given)) is not None:
            try:
                return {only.name: _checked_json(given, only.annotation)}
            except pydantic.ValidationError as error:
                raise InvalidInput(task=self.task, errors=problems(error)) from None
        return self.validate_members(given)

    def validate_members(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """As `validate_json`, for plain JSON by parameter name and nothing else."""
        unknown = [self._unknown(name, value) for name, value in given.items() if name not in self.parameters]
        return self._complete({k: v for k, v in given.items() if k in self.parameters}, unknown, _checked_json)

    def encode(self, arguments: Mapping[str, Any], *, limit: int = LIMIT) -> str:
        """The text to store. Raises `NotRecordable` or `PayloadTooLarge`, naming the parameter or the size."""
        parts = []
        for name, value in arguments.items():
            try:
                text, _ = record(value, self.parameters[name].annotation, limit=limit)
            except NotRecordable as error:
                path, remedy = pointer(name) + error.path, error.remedy.replace("the return type", f"`{name}`")
                raise NotRecordable(path=path, type_name=error.type_name, remedy=remedy) from None
            except PayloadTooLarge as error:
                raise error.said_of(f"the input {name!r}") from None
            parts.append(f"{quote(name)}:{text}")
        whole = "{" + ",".join(parts) + "}"
        if (size := len(whole.encode())) > limit:
            raise PayloadTooLarge(size=size, limit=limit, what="the input")
        return whole

    def decode(self, text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What to call the function with. Raises `UndecodablePayload` when the stored input no longer fits it."""
        given = {name: decode(item, self._stored(name).annotation) for name, item in _members(text).items()}
        positional = [name for name, parameter in self.parameters.items() if parameter.is_positional_only]
        first = tuple(given.pop(name) for name in positional if name in given)
        return first, given

    def json_schema(self, *, generator: type[GenerateJsonSchema] | None = None) -> dict[str, Any]:
        """The JSON Schema (2020-12) of the input object; `generator` may write some types' in another way."""
        wanted: list[tuple[str, Any, pydantic.TypeAdapter[Any]]] = [
            (name, "validation", adapter(parameter.annotation)) for name, parameter in self.parameters.items()
        ]
        try:
            schemas, shared = pydantic.TypeAdapter.json_schemas(
                wanted, schema_generator=generator or pydantic.json_schema.GenerateJsonSchema
            )
        except pydantic.errors.PydanticInvalidForJsonSchema as error:
            raise DefinitionError(f"{self.kind} {self.task!r} has a parameter with no JSON form: {error}") from error
        properties = {name: dict(schemas[name, "validation"]) for name in self.parameters}
        for name, parameter in self.parameters.items():
            if not parameter.is_required and (default := _plain_default(parameter.default)) is not None:
                properties[name]["default"] = default[0]
        return {
            "type": "object",
            "title": self.task,
            "properties": properties,
            "required": [name for name, parameter in self.parameters.items() if parameter.is_required],
            "additionalProperties": False,
            **shared,
        }

    def _bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], list[FieldProblem]]:
        """The arguments by name, and what cannot be bound to any parameter."""
        places = [
            name for name, item in self._bindable.parameters.items() if item.kind is not inspect.Parameter.KEYWORD_ONLY
        ]
        given = dict(zip(places, args, strict=False))
        found = [
            FieldProblem(field=pointer(at), found=shown(extra), wanted=f"at most {len(places)} positional arguments")
            for at, extra in enumerate(args[len(places) :], len(places))
        ]
        for name, value in kwargs.items():
            known = self.parameters.get(name)
            if known is None or known.is_positional_only:
                found.append(self._unknown(name, value))
            elif name in given:
                found.append(FieldProblem(field=pointer(name), found="two values", wanted="one"))
            else:
                given[name] = value
        return given, found

    def _unknown(self, name: str, value: Any) -> FieldProblem:
        near = difflib.get_close_matches(name, self.parameters, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else f"; there is {', '.join(self.parameters) or 'none at all'}"
        if name in self.parameters:
            meant = ": it is given by position only"
        return FieldProblem(field=pointer(name), found=shown(value), wanted=f"no such parameter{meant}")

    def _complete(
        self, given: Mapping[str, Any], found: Sequence[FieldProblem], check: Callable[[Any, Any], Any]
    ) -> dict[str, Any]:
        """Each parameter's checked value or default. Raises `InvalidInput` with all that was found."""
        errors, arguments = list(found), {}
        for name, parameter in self.parameters.items():
            if name not in given:
                if parameter.is_required:
                    wanted = name_of(parameter.annotation)
                    errors.append(FieldProblem(field=pointer(name), found="nothing", wanted=wanted))
                arguments[name] = parameter.default
                continue
            try:
                arguments[name] = check(given[name], parameter.annotation)
            except pydantic.ValidationError as error:
                errors += problems(error, under=pointer(name))
            except (NotRecordable, ValueError, RecursionError) as error:
                errors.append(FieldProblem(field=pointer(name), found=shown(given[name]), wanted=f"data: {error}"))
        if errors:
            raise InvalidInput(task=self.task, errors=errors)
        return arguments

    def _object(self, source: Any) -> dict[str, Any]:
        try:
            given = _read(source) if isinstance(source, (str, bytes, bytearray)) else source
        except (ValueError, RecursionError) as error:
            problem = FieldProblem(field="", found=f"text that is no JSON ({error})", wanted="a JSON object")
            raise InvalidInput(task=self.task, errors=[problem]) from None
        if isinstance(given, dict) and all(isinstance(name, str) for name in given):
            return given
        problem = FieldProblem(field="", found=shown(given), wanted="a JSON object of parameters by name")
        raise InvalidInput(task=self.task, errors=[problem])

    def _only_object(self, given: Mapping[str, Any]) -> Parameter | None:
        """The one parameter that the whole object is meant for, if that is how it must be read."""
        if len(self.parameters) != 1:
            return None
        (only,) = self.parameters.values()
        if only.name in given or not is_object(only.annotation) or not (given or only.is_required):
            return None
        return only

    def _stored(self, name: str) -> Parameter:
        if name not in self.parameters:
            raise UndecodablePayload(
                f"the stored input has {name!r}, which task {self.task!r} no longer takes; "
                "put the parameter back, with a default, until the runs that have it are done"
            )
        return self.parameters[name]


def _parameter(found: inspect.Parameter, annotation: Any) -> Parameter:
    is_required = found.default is inspect.Parameter.empty
    return Parameter(
        name=found.name,
        annotation=annotation,
        is_required=is_required,
        default=None if is_required else found.default,
        is_positional_only=found.kind is inspect.Parameter.POSITIONAL_ONLY,
    )


def _read(source: str | bytes | bytearray) -> Any:
    return json.loads(source, object_pairs_hook=_unique, parse_constant=_no_constant)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        twice = next(name for at, (name, _) in enumerate(pairs) if name in dict(pairs[:at]))
        raise ValueError(f"the key {twice!r} occurs twice")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _members(text: str) -> dict[str, str]:
    """The stored text of each argument."""
    try:
        return {name: json.dumps(item) for name, item in json.loads(text).items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise UndecodablePayload(f"the stored input is no JSON object: {error}") from error


def _checked_json(value: Any, annotation: Any) -> Any:
    return adapter(annotation).validate_json(
        json.dumps(value, allow_nan=False), strict=True, by_alias=True, by_name=True
    )


def _checked_value(value: Any, annotation: Any) -> Any:
    """A Python value: taken as it is when it is of its type, else read by the same rules as JSON."""
    check = adapter(annotation)
    try:
        return check.validate_python(value, strict=True, by_alias=True, by_name=True)
    except pydantic.ValidationError as error:
        try:
            return _checked_json(to_json(value), annotation)
        except (pydantic.ValidationError, NotRecordable, ValueError):
            raise error from None


def _plain_default(default: Any) -> tuple[Any] | None:
    try:
        return (to_json(default),)
    except PayloadError:
        return None
