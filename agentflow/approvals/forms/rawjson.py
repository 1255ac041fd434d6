"""JSON as people type it: read strictly, refused with the line and column to look at."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Final

from agentflow.approvals.forms.fields import FieldKind
from agentflow.approvals.forms.leaves import Unreadable, closest, same_text, shown
from agentflow.approvals.pointers import ABSENT, Absent, Json
from agentflow.approvals.problems import Problem
from agentflow.approvals.schema import DEPTH
from agentflow.approvals.sentences import quote

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|-?[A-Za-z]+|[{}\[\],:]', re.DOTALL)
_COLON: Final = re.compile(r"\s*:")
_DIGITS: Final = 1000


class BadJson(Exception):
    """Text that is not one exact JSON value, with the place of the first fault (from 1), where one can be named."""

    def __init__(self, reason: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.column = column

    def problem(self, pointer: str) -> Problem:
        """The same for the page."""
        where = "" if self.line is None else f" (line {self.line}, column {self.column})"
        return Problem(pointer=pointer, message=f"is not valid JSON: {self.reason}{where}", wanted="JSON")


def read_json(text: str, base: Json | Absent) -> Json:
    """The value of a JSON text; the original where the text is as it was shown. Raises `BadJson`.

    Repeated keys, NaN, infinities and numbers that would be rounded are refused: none of them says one thing only.
    """
    if base is not ABSENT and same_text(text, shown(FieldKind.JSON, base)):
        return base
    try:
        value = json.loads(
            text, object_pairs_hook=_distinct, parse_constant=_no_constant, parse_float=_exact, parse_int=_whole
        )
    except json.JSONDecodeError as error:
        raise BadJson(_reason(error, text), error.lineno, error.colno) from error
    except _Refused as refused:
        raise BadJson(str(refused), *_place(text, refused)) from refused
    except RecursionError as error:
        raise BadJson(f"it is nested more than {DEPTH} deep") from error
    if _too_deep(value):
        raise BadJson(f"it is nested more than {DEPTH} deep")
    return value


class _Refused(Exception):
    """Well-formed, and still not acceptable: `token` is what to look for in the text."""

    def __init__(self, message: str, token: str, *, key: bool = False) -> None:
        super().__init__(message)
        self.token = token
        self.key = key


def _distinct(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, value in pairs:
        if key in found:
            raise _Refused(f"the key {quote(key)} is there twice", key, key=True)
        found[key] = value
    return found


def _no_constant(token: str) -> Json:
    raise _Refused(f"{token} is no JSON number", token)


def _exact(token: str) -> float:
    try:
        return closest(Decimal(token))
    except Unreadable as wanted:
        raise _Refused(f"{quote(token)} must be {wanted}", token) from wanted


def _whole(token: str) -> int:
    if len(token) > _DIGITS:
        raise _Refused(f"a number has more than {_DIGITS} digits", token)
    return int(token)


def _reason(error: json.JSONDecodeError, text: str) -> str:
    if not text.strip():
        return "it is empty"
    return error.msg[:1].lower() + error.msg[1:]


def _place(text: str, refused: _Refused) -> tuple[int | None, int | None]:
    """Line and column of what was refused: a number's first token, or the key's second one in the same object."""
    seen: list[set[str]] = []
    for hit in _TOKEN.finditer(text):
        found = hit.group()
        match found[0]:
            case "{":
                seen.append(set())
            case "}" if seen:
                seen.pop()
            case '"' if refused.key and seen and _COLON.match(text, hit.end()):
                name = json.loads(found)
                if name == refused.token and name in seen[-1]:
                    return _line_and_column(text, hit.start())
                seen[-1].add(name)
            case _ if not refused.key and found == refused.token:
                return _line_and_column(text, hit.start())
    return None, None


def _line_and_column(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1


def _too_deep(value: Json) -> bool:
    pending = [(value, 0)]
    while pending:
        part, depth = pending.pop()
        if depth > DEPTH:
            return True
        if isinstance(part, dict | list):
            pending += [(inner, depth + 1) for inner in (part.values() if isinstance(part, dict) else part)]
    return False
