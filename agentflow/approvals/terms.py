"""The terms of a standing approval: what each argument of a call may be for it to need no person, said in words too."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from agentflow.approvals.decimals import is_decimal
from agentflow.approvals.text import escape_hidden
from agentflow.approvals.validation import validate
from agentflow.errors import InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentflow.approvals.pointers import Json, Schema

MOST_VALUES = 50
LARGEST = 10**15


class TermKind(StrEnum):
    """How an argument is held to its term."""

    ANY = "any"
    IS = "is"
    AT_MOST = "at_most"
    ONE_OF = "one_of"


@dataclass(frozen=True, slots=True)
class Term:
    """What one argument may be. `value` is the value, the largest number, or the list of values, by `kind`."""

    name: str
    kind: TermKind
    value: Any = None

    def __str__(self) -> str:
        match self.kind:
            case TermKind.ANY:
                return f"{self.name} is anything"
            case TermKind.IS:
                return f"{self.name} is {_text(self.value)}"
            case TermKind.AT_MOST:
                return f"{self.name} is a number from 0 to {self.value}"
            case TermKind.ONE_OF:
                return f"{self.name} is one of {', '.join(_text(one) for one in self.value)}"


def in_words(terms: Sequence[Term]) -> str:
    """The terms as a clause that follows "calls"."""
    if not terms:
        return "without arguments"
    said = [str(one) for one in terms]
    return "where " + (said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}")


def terms_schema(terms: Iterable[Term]) -> Schema:
    """The schema that arguments meeting the terms fit: all of these, and no other, so that a new one asks a person.

    Raises `InvalidSetting` for a term that cannot be held.
    """
    properties = {}
    for one in terms:
        if one.name in properties:
            raise InvalidSetting(f"there are two terms for {one.name!r}: give one")
        properties[one.name] = _part(one)
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def terms_of(schema: Schema) -> tuple[Term, ...]:
    """The terms that `terms_schema` made this of."""
    return tuple(_term(name, part) for name, part in schema["properties"].items())


def covers(schema: Schema, arguments: Json) -> bool:
    """Whether arguments meet the terms. What cannot be checked does not."""
    return not validate(schema, arguments)


def is_number(value: Json) -> bool:
    """Whether a value can be held below a number: one itself, or a decimal written as text."""
    if isinstance(value, str):
        return is_decimal(value)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Json) -> str:
    """The whole value as JSON, with nothing hidden in it: what holds without asking is not to be abridged."""
    return escape_hidden(json.dumps(value, ensure_ascii=False))


def _part(term: Term) -> Schema:
    match term.kind:
        case TermKind.ANY:
            return {}
        case TermKind.IS:
            return {"const": term.value}
        case TermKind.ONE_OF:
            if not isinstance(term.value, list) or not 0 < len(term.value) <= MOST_VALUES:
                raise InvalidSetting(f"{term.name} is one of {_text(term.value)}: wanted 1 to {MOST_VALUES} values")
            return {"enum": term.value}
        case TermKind.AT_MOST:
            return _at_most(term)


def _at_most(term: Term) -> Schema:
    """From 0 up to a number; also for decimals, which are written as text. Nobody means less than nothing by it."""
    text = str(term.value)
    if not is_number(term.value) or not 0 <= Decimal(text) <= LARGEST:
        raise InvalidSetting(f"{term.name} at most {_text(term.value)}: wanted a number from 0 to {LARGEST}")
    number = Decimal(text)
    most: int | float = int(number) if number == number.to_integral_value() else float(number)
    return {
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": most},
            {"type": "string", "format": "decimal", "x-decimal": {"ge": "0", "le": text}},
        ]
    }


def _term(name: str, part: Schema) -> Term:
    if "const" in part:
        return Term(name, TermKind.IS, part["const"])
    if "enum" in part:
        return Term(name, TermKind.ONE_OF, part["enum"])
    if "anyOf" in part:
        return Term(name, TermKind.AT_MOST, part["anyOf"][1]["x-decimal"]["le"])
    return Term(name, TermKind.ANY)
