"""JSON as people give it on a command line: the text itself, `@file`, or `-` for stdin."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NoReturn

from agentflow.cli.exits import Refused

_SHOWN = 40


def read_json(given: str, *, option: str) -> Any:
    """The JSON value given for an option. Raises `Refused`, naming the option, what was found and what is wanted."""
    return parse_json(_text(given, option), source=option if given[:1] not in {"@", "-"} else f"{option} {given}")


def parse_json(text: str, *, source: str) -> Any:
    """The value of this JSON text, nothing guessed: a key given twice, NaN and Infinity are refused."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise Refused(f"{source}: found the key {twice!r} twice in one object; wanted each key once")
        return members

    def no_number(name: str) -> NoReturn:
        raise Refused(f"{source}: found {name}, which is no JSON; wanted a number, or null")

    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=no_number)
    except json.JSONDecodeError as error:
        raise Refused(f"{source}: found {_at(text, error)}; wanted JSON{_hint(text)}") from None
    except RecursionError:
        raise Refused(f"{source}: found JSON nested too deeply to be read; wanted fewer levels") from None


def _text(given: str, option: str) -> str:
    if given != "-" and not given.startswith("@"):
        return given
    name = "stdin" if given == "-" else given[1:]
    try:
        content = sys.stdin.buffer.read() if given == "-" else Path(name).read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Refused(f"{option}: cannot read {name}: {reason}; wanted JSON, @file, or - for stdin") from None
    except UnicodeDecodeError as error:
        raise Refused(f"{option}: {name} is no UTF-8 text (byte {error.start}); save it as UTF-8") from None


def _at(text: str, error: json.JSONDecodeError) -> str:
    if not text.strip():
        return "nothing"
    rest = text[error.pos : error.pos + _SHOWN]
    place = f"at line {error.lineno}, column {error.colno}"
    return f"{rest!r} {place} ({error.msg.lower()})" if rest else f"the end {place} ({error.msg.lower()})"


def _hint(text: str) -> str:
    bare = text.strip()
    if bare.startswith(("{'", "['")) or "'" in bare[:3]:
        return ", whose texts stand in double quotes"
    if bare and len(bare) < 1000 and Path(bare).is_file():  # noqa: PLR2004 - longer is no file name
        return f'; to read that file write "@{bare}"'
    return ', such as {"name": "value"}' if bare[:1] not in {"{", "["} else ""
