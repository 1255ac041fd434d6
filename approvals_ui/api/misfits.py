"""What does not fit in a request, in our own words: where, what was found, and what is wanted."""

import difflib
import re
import types
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import cache
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

import msgspec

from agentflow.errors import FieldProblem
from agentflow.payloads import pointer, shown
from approvals_ui.api.fields import AT, Asked

AT_PATH: Final = re.compile(r" - at `\$(.*)`$")
STEP: Final = re.compile(r"\.([^.\[]+)|\[([0-9]+|\.\.\.)\]")
CODE: Final = re.compile(r"`([^`]*)`")
UNKNOWN: Final = re.compile(r"^Object contains unknown field `(.*)`$")
MISSING: Final = re.compile(r"^Object missing required field `(.*)`$")
WORDED: Final = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "datetime": "an instant",
}
INSTANT: Final = f"an instant with its offset, such as {AT}"


def misfit_of(error: msgspec.ValidationError, value: Any, kind: type[Asked], *, is_query: bool = False) -> FieldProblem:
    """What msgspec found wrong with a value of this class; in a query fields go by their plain names."""
    said = str(error)
    at = AT_PATH.search(said)
    said = AT_PATH.sub("", said)
    steps = [name or number for name, number in STEP.findall(at[1])] if at else []
    found, inner = _follow(value, kind, steps)
    if unknown := UNKNOWN.match(said):
        name = unknown[1]
        there = found.get(name) if isinstance(found, dict) else found
        wanted = f"no such field; {meant(name, _names_of(inner))}"
        return FieldProblem(field=_field([*steps, name], is_query), found=shown(there), wanted=wanted)
    if missing := MISSING.match(said):
        return FieldProblem(field=_field([*steps, missing[1]], is_query), found="nothing", wanted="a value")
    return FieldProblem(field=_field(steps, is_query), found=shown(found), wanted=_wanted(said, inner))


def meant(name: str, names: Iterable[str]) -> str:
    """The end of a sentence that says what was probably meant, or what there is."""
    there_are = sorted(names)
    close = difflib.get_close_matches(name, there_are, n=1)
    if close:
        return f"perhaps {close[0]!r} is meant"
    return f"there are: {', '.join(there_are)}" if there_are else "there are none"


@cache
def fields_of(kind: type[Asked]) -> Mapping[str, Any]:
    """The annotations of the fields."""
    return get_type_hints(kind, include_extras=True)


def parts_of(annotation: Any) -> Iterable[Any]:
    """What an annotation may be, without what is said about it."""
    if get_origin(annotation) is Annotated:
        yield from parts_of(get_args(annotation)[0])
    elif isinstance(annotation, types.UnionType):
        for one in get_args(annotation):
            yield from parts_of(one)
    else:
        yield annotation


def _field(steps: list[str], is_query: bool) -> str:
    return steps[0] if is_query and steps else pointer(*steps)


def _wanted(said: str, annotation: Any) -> str:
    words = said.partition(", got ")[0].removeprefix("Expected ")
    if words.startswith("Invalid enum value"):
        return f"one of {', '.join(str(one.value) for kind in _enums(annotation) for one in kind)}"
    if "RFC3339" in words or "timezone" in words:
        return INSTANT
    if "matching regex" in words:
        return f"a text such as {_example(annotation)!r}"
    return CODE.sub(_in_words, words).replace(">=", "of at least").replace("<=", "of at most")


def _in_words(code: re.Match[str]) -> str:
    kinds = [WORDED.get(one, one) for one in code[1].split(" | ") if one != "null"]
    return " or ".join(kinds) or "null"


def _enums(annotation: Any) -> Iterable[type[Enum]]:
    for part in parts_of(annotation):
        for one in (part, *get_args(part)):
            if isinstance(one, type) and issubclass(one, Enum):
                yield one


def _example(annotation: Any) -> Any:
    """The example that the annotation gives of itself."""
    if get_origin(annotation) is Annotated:
        kind, *said = get_args(annotation)
        examples = [one.examples[0] for one in said if isinstance(one, msgspec.Meta) and one.examples]
        return examples[0] if examples else _example(kind)
    return next((found for one in get_args(annotation) if (found := _example(one)) is not None), None)


def _follow(value: Any, kind: Any, steps: list[str]) -> tuple[Any, Any]:
    """What stands at a place, and the annotation of it."""
    for step in steps:
        if isinstance(value, dict):
            value, kind = value.get(step), _names_of(kind).get(step, kind)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
    return value, kind


def _names_of(annotation: Any) -> Mapping[str, Any]:
    for one in parts_of(annotation):
        inner = get_args(one)[0] if get_origin(one) is list else one
        for part in parts_of(inner):
            if isinstance(part, type) and issubclass(part, Asked):
                return fields_of(part)
    return {}
