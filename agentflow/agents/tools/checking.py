"""The arguments of a call, as a model wrote them, made plain JSON that fits the tool's schema, or refused.

Nothing is repaired: what a model meant by broken JSON is a guess, and a guess is nobody's decision. It is told what is
wrong, and writes it again.
"""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from agentflow.approvals import ABSENT, Problem, validate
from agentflow.approvals.pointers import at, tokens
from agentflow.approvals.refs import parts, settled
from agentflow.approvals.schema import DEPTH
from agentflow.errors import ArgumentsRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentflow.errors import FieldProblem

LONGEST: Final = 300_000
"""Characters of a call's arguments; a longer text is hardly meant, and would be kept for good."""
_MOST_PROBLEMS: Final = 8
_MOST_KEPT: Final = 100
_SHOWN: Final = 80
_DIGITS: Final = 17
_WHOLE_DIGITS: Final = 300


class _Unreadable(ValueError):
    """The text is not the JSON of an object; the message says to the model why."""


def refused(tool: str, problems: Iterable[str]) -> ArgumentsRefused:
    """The error that tells a model what is wrong with its arguments, shortened to what it can bear in mind."""
    found = list(dict.fromkeys(problems))
    said = [f"- {one}" for one in found[:_MOST_PROBLEMS]]
    if len(found) > _MOST_PROBLEMS:
        said.append(f"- and {len(found) - _MOST_PROBLEMS} more")
    return ArgumentsRefused(
        "\n".join([f"{tool} was not called, its arguments are refused:", *said]), tool=tool, problems=found[:_MOST_KEPT]
    )


def parsed(tool: str, text: str, *, takes_none: bool) -> dict[str, Any]:
    """The JSON object that the text is, and nothing else. Raises `ArgumentsRefused`.

    A model that has nothing to give may write nothing: for a tool that `takes_none`, the empty text is an object.
    """
    if takes_none and not text.strip():
        return {}
    try:
        return _object(text)
    except _Unreadable as error:
        raise refused(tool, [str(error)]) from None


def fitting(tool: str, schema: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with the schema's defaults filled in, which fit it. Raises `ArgumentsRefused`."""
    unfit = _unfit(given, 0)
    if unfit:
        raise refused(tool, [unfit])
    plain = dict(schema)
    problems = validate(plain, dict(given))
    if problems:
        raise refused(tool, (described(one, given, schema) for one in problems))
    filled: dict[str, Any] = _filled(plain, dict(given), plain)
    return dict(given) if filled == given or validate(plain, filled) else filled


def described(problem: Problem, given: Any, schema: Mapping[str, Any]) -> str:
    """A problem as a line for a model: where, what was found, what is wanted."""
    where = problem.pointer or "the arguments"
    if problem.wanted == "nothing":
        return f"{where}: there is no such argument{_near(problem.pointer, schema)}"
    if not problem.wanted or problem.message.startswith("is"):
        return f"{where} {problem.message}"
    value = at(given, problem.pointer)
    found = "nothing" if value is ABSENT else _shown(value)
    return f"{where}: found {found}, wanted {problem.wanted}{_remedy(value, problem.wanted)}"


def _remedy(value: Any, wanted: str) -> str:
    """What to write, for the mistake that models make most: a number or a truth in quotes."""
    if not isinstance(value, str):
        return ""
    try:
        meant = json.loads(value)
    except (ValueError, RecursionError):
        return ""
    kinds = {bool: "true", int: "number", float: "number", dict: "object", list: "list"}
    word = kinds.get(type(meant), "")
    fits = bool(word) and (word in wanted or (word == "true" and "yes" in wanted))
    return f": write {_cut(value)} without quotes" if fits else ""


def unfitting(problem: FieldProblem, given: Mapping[str, Any]) -> str:
    """What a value's Python type has against it, as a line for a model."""
    value = at(dict(given), problem.field)
    found = problem.found if value is ABSENT else _shown(value)
    return f"{problem.field or 'the arguments'}: found {found}, wanted {problem.wanted.removeprefix('Value error, ')}"


def _near(pointer: str, schema: Mapping[str, Any]) -> str:
    """Which arguments there are, for one that is not there."""
    first, *rest = tokens(pointer)
    names = list(schema.get("properties", {}))
    if rest:
        return ""
    near = difflib.get_close_matches(first, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there is {', '.join(names) or 'none'}"


def _shown(value: Any) -> str:
    return _cut(json.dumps(value, ensure_ascii=False))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


# -- text


def _object(text: str) -> dict[str, Any]:
    if len(text) > LONGEST:
        raise _Unreadable(f"they are {len(text):,} characters long, at most {LONGEST:,} are taken: pass less")
    try:
        found = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_float, parse_int=_int
        )
    except _Unreadable:
        raise
    except json.JSONDecodeError as error:
        raise _Unreadable(_syntax(text, error)) from None
    except (ValueError, RecursionError):
        raise _Unreadable(f"they are nested too deeply, at most {DEPTH} deep are taken") from None
    if not isinstance(found, dict):
        raise _Unreadable(f"found {_shown(found)}, wanted a JSON object of arguments by name")
    return found


def _syntax(text: str, error: json.JSONDecodeError) -> str:
    """What is wrong with a text that is no JSON, and what to write."""
    stripped = text.strip()
    if not stripped:
        return "they are empty: write a JSON object of arguments by name"
    if stripped.startswith("```"):
        return "they are in a code fence: write the JSON object alone, without ``` around it"
    if error.msg == "Extra data":
        more = text[error.pos :].lstrip()
        if more.startswith("{"):
            return "they are several JSON objects one after another: write one; for a second call, make a second call"
        return f"something follows the JSON object: {_cut(more)!r}; write the object alone"
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return f"they break off ({error.msg.lower()}): write the whole JSON object"
    around = text[max(0, error.pos - 20) : error.pos + 20]
    return f"they are no JSON: {error.msg.lower()} at character {error.pos + 1}, near {around!r}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise _Unreadable(f"{_cut(twice)!r} is given twice: give it once")
    return members


def _no_constant(name: str) -> Any:
    raise _Unreadable(f"{name} is no JSON number: write a number, or leave it out")


def _float(text: str) -> float:
    number = float(text)
    digits = len(re.sub(r"[eE].*|[-.]", "", text).strip("0"))
    if not isfinite(number) or (digits > _DIGITS and Decimal(repr(number)) != Decimal(text)):
        raise _Unreadable(f"the number {_cut(text)} cannot be kept exactly: write at most {_DIGITS} digits")
    return number


def _int(text: str) -> int:
    if len(text) > _WHOLE_DIGITS:
        raise _Unreadable(f"the number {_cut(text)} has more than {_WHOLE_DIGITS} digits")
    return int(text)


# -- values


def _unfit(value: Any, depth: int) -> str:
    """Why a value cannot be kept or shown to a person; empty if it can."""
    if depth > DEPTH:
        return f"they are nested too deeply, at most {DEPTH} deep are taken"
    if isinstance(value, str):
        return _unfit_text(value)
    if isinstance(value, float) and not isfinite(value):
        return f"{value} is no JSON number: write a number, or leave it out"
    inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((why for one in inner if (why := _unfit(one, depth + 1))), "")


def _unfit_text(text: str) -> str:
    if text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text):
        return ""
    return f"the text {_cut(text)!a} holds half of a surrogate pair: write the whole character"


def _filled(schema: Any, value: Any, root: dict[str, Any]) -> Any:
    """The value with what it leaves out and its schema has a default for, also further in."""
    if not isinstance(value, dict | list):
        return value
    flat = settled(schema, value, root)
    if flat is None:
        return value
    if isinstance(value, list):
        return [_filled(part, found, root) for _, part, found in parts(flat, value)]
    properties = flat.get("properties", {})
    known = {token: part for token, part, _ in parts(flat, value)}
    full = {name: _filled(known.get(name, True), found, root) for name, found in value.items()}
    for name, part in properties.items():
        if name not in full and isinstance(part, dict) and "default" in part:
            full[name] = part["default"]
    return {name: full[name] for name in [*(name for name in properties if name in full), *full]}
