"""JSON values and the pointers (RFC 6901) that name their parts."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, TypeAlias

Json: TypeAlias = Any
"""None, bool, int, finite float, str, list of these, or dict of these by str."""

Schema: TypeAlias = dict[str, Any]
"""A JSON Schema (draft 2020-12) that is an object."""


class Absent(Enum):
    """The place has no value at all, which is not the same as null."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


def child(pointer: str, token: str | int) -> str:
    """The pointer of a member or an item of what `pointer` names."""
    return f"{pointer}/{str(token).replace('~', '~0').replace('/', '~1')}"


def tokens(pointer: str) -> list[str]:
    """The steps of a pointer, unescaped: "/a~1b/0" is ["a/b", "0"]."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def within(pointer: str, ancestor: str) -> bool:
    """`pointer` names `ancestor` or a part of it."""
    return pointer == ancestor or pointer.startswith(f"{ancestor}/")


def member(value: Json | Absent, token: str | int) -> Json | Absent:
    """A member of an object or an item of an array, or `ABSENT`."""
    if isinstance(value, dict):
        return value.get(token, ABSENT)
    if isinstance(value, list) and isinstance(token, int):
        return value[token] if 0 <= token < len(value) else ABSENT
    return ABSENT


def at(value: Json, pointer: str) -> Json | Absent:
    """What `pointer` names in `value`, or `ABSENT`."""
    found: Json | Absent = value
    for token in tokens(pointer):
        if isinstance(found, list):
            found = member(found, int(token)) if token.isascii() and token.isdigit() else ABSENT
        else:
            found = member(found, token)
    return found


def humanise(token: str) -> str:
    """A label for a key nobody has titled: "unit_price" is "Unit price"."""
    words = token.replace("_", " ").strip()
    return words[:1].upper() + words[1:] if words else "(no name)"


def trail(pointer: str) -> str:
    """A label for a place: "/lines/2/unit_price" is "Lines › 3 › Unit price"."""
    parts = [
        str(int(token) + 1) if token.isascii() and token.isdigit() else humanise(token) for token in tokens(pointer)
    ]
    return " › ".join(parts) or "Everything"
