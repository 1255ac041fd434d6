"""The text of an input, both ways. A text that was not touched is not parsed: it stands for the original value."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from math import isinf
from typing import TYPE_CHECKING, Final

from agentflow.approvals.formats import EXAMPLES, fits_format, offset_of
from agentflow.approvals.forms.fields import FieldKind, Option
from agentflow.approvals.pointers import ABSENT, Absent, Json
from agentflow.approvals.text import escape_hidden, has_hidden

if TYPE_CHECKING:
    from agentflow.approvals.forms.fields import Field
    from agentflow.approvals.pointers import Schema

_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_DIGITS: Final = 1000


class Unreadable(Exception):
    """A typed text that is no value of its field, as words that follow "must be"."""


def shown(kind: FieldKind, value: Json | Absent) -> str:
    """What an input of this kind shows for a value; nothing for null and for no value."""
    if value is ABSENT:
        return ""
    if kind is FieldKind.JSON:
        return escape_hidden(json.dumps(value, ensure_ascii=False, indent=2))
    if kind is FieldKind.CHOICE:
        return option_value(value)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def same_text(one: str, other: str) -> bool:
    """The texts are the same but for the line ends, which browsers change."""
    return one == other or _lines(one) == _lines(other)


def option_value(value: Json) -> str:
    """What is submitted for one of a closed list: its JSON text, in letters no browser changes."""
    return json.dumps(value, sort_keys=True)


def options_of(schema: Schema, base: Json | Absent, selected: str) -> tuple[Option, ...]:
    """The closed list, with a blank where nothing is chosen yet and the original value even if it is not allowed."""
    allowed = [schema["const"]] if "const" in schema else list(schema.get("enum", []))
    listed = {option_value(value): _option_label(value) for value in allowed}
    if base is not ABSENT:
        listed.setdefault(option_value(base), f"{_option_label(base)} (not allowed)")
    options = [Option(value, label, selected=value == selected) for value, label in listed.items()]
    return tuple(options if selected in listed else [Option("", "—", selected=True), *options])


def _option_label(value: Json) -> str:
    return value if isinstance(value, str) and value and not has_hidden(value) else json.dumps(value)


def read_text(field: Field, text: str) -> Json:
    """The value a typed text stands for. Raises `Unreadable`, in words for the person who typed it."""
    if field.base is not ABSENT and field.base is not None and same_text(text, shown(field.kind, field.base)):
        return field.base
    match field.kind:
        case FieldKind.BOOLEAN:
            return _boolean(text)
        case FieldKind.CHOICE:
            return _choice(field, text)
        case FieldKind.INTEGER | FieldKind.NUMBER:
            return _number(field, text.strip())
        case FieldKind.DATE | FieldKind.DATETIME | FieldKind.TIME:
            return _moment(field, text.strip())
        case _:
            return _text(field, text)


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _text(field: Field, text: str) -> str:
    """Browsers send every line end as CR LF; the text keeps the line ends it had."""
    plain = _lines(text)
    original = field.base if isinstance(field.base, str) else ""
    windows = "\r\n" in original and "\n" not in original.replace("\r\n", "")
    return plain.replace("\n", "\r\n") if windows else plain


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise Unreadable("true or false")
    return text == "true"


def _choice(field: Field, text: str) -> Json:
    if text == "" or text not in {option.value for option in field.options}:
        raise Unreadable("one of the options")
    return json.loads(text)


def _moment(field: Field, text: str) -> str:
    wanted = EXAMPLES[field.format]
    if not fits_format(text, field.format):
        raise Unreadable(wanted)
    if isinstance(field.base, str) and offset_of(field.base) and not offset_of(text):
        raise Unreadable(f"{wanted}, with an offset from UTC as the original has ({offset_of(field.base)})")
    return text


def _number(field: Field, text: str) -> int | float:
    whole = field.kind is FieldKind.INTEGER
    wanted = "a whole number" if whole else "a number"
    if "," in text:
        raise Unreadable(f"{wanted}, written without commas and with a point before decimals")
    if not _NUMBER.fullmatch(text) or len(text) > _DIGITS:
        raise Unreadable(wanted)
    exact = _decimal(text, wanted)
    if not whole and isinf(float(exact)):
        raise Unreadable("a number that is not so large")
    if isinstance(field.base, int | float) and exact == Decimal(json.dumps(field.base)):
        return field.base
    integral = exact == exact.to_integral_value()
    if whole and not integral:
        raise Unreadable(wanted)
    if whole or (integral and isinstance(field.base, int)) or (integral and Decimal(float(exact)) != exact):
        return int(exact)
    return closest(exact)


def _decimal(text: str, wanted: str) -> Decimal:
    try:
        exact = Decimal(text)
    except InvalidOperation as error:
        raise Unreadable(wanted) from error
    if exact and abs(exact.adjusted()) > _DIGITS:
        raise Unreadable(f"{wanted} of at most {_DIGITS} digits")
    return exact


def closest(exact: Decimal) -> float:
    """The float that prints as this number. Raises `Unreadable` rather than round what a person wrote."""
    number = float(exact)
    if isinf(number) or Decimal(repr(number)) != exact:
        raise Unreadable(f"a number of at most 15 digits (this one would be kept as {number})")
    return number
