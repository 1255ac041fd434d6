"""Is a value what its schema says? Answered with one problem per place, each a sentence for a person.

The validator is `jsonschema`'s for draft 2020-12, kept from the network: a reference that leaves the schema is a
problem, never a request.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from agentflow.approvals.decimals import broken_bounds, is_decimal
from agentflow.approvals.formats import EXAMPLES, fits_format
from agentflow.approvals.pointers import Json, Schema, child
from agentflow.approvals.problems import Problem
from agentflow.approvals.sentences import quote, wanted_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NOWHERE: Registry[Any] = Registry()


def validate(schema: Schema, value: Json) -> list[Problem]:
    """What keeps `value` from fitting `schema`, in the order of the schema; empty when it fits.

    A schema that cannot be applied is a problem too: a value nobody could check does not pass.
    """
    try:
        found = [problem for error in _validator(schema).iter_errors(value) for problem in _problems(error)]
    except (Unresolvable, re.error, RecursionError, SchemaError) as error:
        return [_unchecked(error)]
    return list(dict.fromkeys(found))


def fits(schema: Schema, value: Json, *, root: Schema) -> bool:
    """`value` fits a part of the schema `root`."""
    try:
        return bool(_validator(root).evolve(schema=schema).is_valid(value))
    except (Unresolvable, re.error, RecursionError):
        return False


def schema_problems(schema: Schema) -> list[Problem]:
    """What makes `schema` itself unusable, by pointers into the schema."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return [Problem(pointer=error.json_path.removeprefix("$"), message=f"is no JSON Schema: {error.message}")]
    return []


def _validator(schema: Schema) -> Any:
    return _Validator(schema, registry=_NOWHERE, format_checker=_FORMATS)


def _formats() -> FormatChecker:
    checker = FormatChecker(formats=())
    for name in EXAMPLES:
        checker.checks(name)(lambda text, name=name: not isinstance(text, str) or fits_format(text, name))
    return checker


_FORMATS = _formats()


def _multiple_of(_: Any, factor: float, value: Json, __: Schema) -> Iterator[ValidationError]:
    """In decimals: 0.3 is a multiple of 0.1."""
    if isinstance(value, int | float) and not isinstance(value, bool) and Decimal(str(value)) % Decimal(str(factor)):
        yield ValidationError(f"{value} is not a multiple of {factor}")


def _required(_: Any, names: list[str], value: Json, schema: Schema) -> Iterator[ValidationError]:
    """What a person may not set is not asked of them: a new row has no read-only fields yet."""
    if not isinstance(value, dict):
        return
    properties = schema.get("properties", {})
    for name in names:
        locked = isinstance(properties.get(name), dict) and properties[name].get("readOnly") is True
        if name not in value and not locked:
            yield ValidationError(f"{name} is missing", path=[name])


def _decimal(_: Any, bounds: dict[str, str], value: Json, __: Schema) -> Iterator[ValidationError]:
    """The bounds of a decimal, which JSON Schema knows for its own numbers only."""
    if isinstance(value, str) and is_decimal(value):
        for broken in broken_bounds(value, bounds):
            yield ValidationError(broken, validator="x-decimal", validator_value=broken)


_Validator: Any = extend(  # type: ignore[no-untyped-call]  # its stub gives no types
    Draft202012Validator, {"multipleOf": _multiple_of, "required": _required, "x-decimal": _decimal}
)


def _problems(error: ValidationError) -> Iterable[Problem]:
    pointer = _pointer(error)
    if error.validator in ("anyOf", "oneOf") and error.context:
        yield from _nearest(error, pointer)
    elif error.validator == "required":
        yield Problem(pointer=pointer, message="is required", wanted="a value")
    elif error.validator in ("additionalProperties", "unevaluatedProperties") and isinstance(error.instance, dict):
        for name in _extras(error):
            yield Problem(pointer=child(pointer, name), message="is not a field that is known here", wanted="nothing")
    else:
        wanted, found = wanted_by(error), quote(error.instance)
        yield Problem(pointer=pointer, message=f"must be {wanted}; found {found}", found=found, wanted=wanted)


def _nearest(error: ValidationError, pointer: str) -> Iterator[Problem]:
    """The problems of the alternative that was meant, when only one can have been."""
    branches: dict[Any, list[ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(inner.schema_path[0], []).append(inner)
    meant = [inner for inner in branches.values() if not any(_rules_out(one) for one in inner)]
    if len(meant) == 1:
        for inner_error in meant[0]:
            yield from _problems(inner_error)
        return
    wanted = " or ".join(dict.fromkeys(wanted_by(inner[0]) for inner in (meant or branches.values())))
    found = quote(error.instance)
    yield Problem(pointer=pointer, message=f"must be {wanted}; found {found}", found=found, wanted=wanted)


def _rules_out(error: ValidationError) -> bool:
    """The alternative is for another type, or for another value of the field that tells them apart."""
    depth = len(error.relative_path)
    return (error.validator == "type" and depth == 0) or (error.validator in ("const", "enum") and depth <= 1)


def _extras(error: ValidationError) -> list[str]:
    schema: Schema = error.schema if isinstance(error.schema, dict) else {}
    properties, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    names = [str(name) for name in _object(error.instance) if name not in properties]
    return [name for name in names if not any(re.search(pattern, name) for pattern in patterns)]


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _pointer(error: ValidationError) -> str:
    pointer = ""
    for token in error.absolute_path:
        pointer = child(pointer, token)
    return pointer


def _unchecked(error: Exception) -> Problem:
    reason = {
        Unresolvable: "its schema refers to something that is not part of it",
        re.error: "its schema has a broken pattern",
    }
    why = next(
        (text for kind, text in reason.items() if isinstance(error, kind)), "it or its schema is nested too deeply"
    )
    return Problem(pointer="", message=f"cannot be checked: {why} ({str(error)[:200]})")
