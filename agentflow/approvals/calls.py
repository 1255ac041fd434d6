"""How a tool call is named in a line: by us, from the tool and its arguments, and not by the agent that asks for it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from agentflow.approvals.text import escape_hidden

if TYPE_CHECKING:
    from agentflow.approvals.pointers import Json

MOST: Final = 3
"""How many arguments a line has room for."""
WIDEST: Final = 40
LONGEST_SAID: Final = 4_000
_BARE: Final = re.compile(r"[A-Za-z0-9._@:+-]+")


def telling(arguments: Json) -> tuple[tuple[str, str], ...]:
    """The arguments that say most in a line, each with its value as a short text: plain values before nested ones."""
    if not isinstance(arguments, dict):
        return (("", _short(arguments)),)
    ordered = sorted(arguments.items(), key=lambda one: _weight(one[1]))
    return tuple((_name(name), _short(value)) for name, value in ordered[:MOST])


def call_title(tool: str, arguments: Json) -> str:
    """A call in a line, such as `refund: order A-1, amount 120`.

    A value that is no plain word or number stands in quotes and is cut short, so that none reads as words of ours.
    """
    said = ", ".join(f"{name} {value}".strip() for name, value in telling(arguments))
    return f"{_name(tool)}: {said}" if said else _name(tool)


def words(said: str) -> str:
    """An agent's own words as they are kept: cut at a length people read, and storable whatever is in them."""
    text = said.encode(errors="replace").decode().replace("\0", "\ufffd")
    return text if len(text) <= LONGEST_SAID else f"{text[: LONGEST_SAID - 1]}…"


def _weight(value: Json) -> int:
    """0 for what fits a line, more for what does not; Python keeps the order of equals."""
    if value is None or value == "":
        return 2
    if isinstance(value, dict | list):
        return 3
    return 1 if isinstance(value, str) and len(value) > WIDEST else 0


def _name(name: str) -> str:
    return name if _BARE.fullmatch(name) and len(name) <= WIDEST else _short(name)


def _short(value: Json) -> str:
    if isinstance(value, str) and _BARE.fullmatch(value) and len(value) <= WIDEST:
        return value
    if isinstance(value, dict | list):
        return f"{{{len(value)}}}" if isinstance(value, dict) else f"[{len(value)}]"
    if isinstance(value, str) and len(value) > WIDEST:
        value = f"{value[: WIDEST - 1]}…"
    return escape_hidden(json.dumps(value, ensure_ascii=False))
