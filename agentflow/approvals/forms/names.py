"""How the parts of a form are called in a submission.

A path is a pointer whose list positions are row keys: "2" is the row that was third in the original, "+1" one that was
added. Rows keep their keys when they move, so what was typed stays with its row.
"""

from __future__ import annotations

import unicodedata
from typing import Final

VALUE: Final = "f:"
NULL: Final = "f.null:"
INCLUDED: Final = "f.set:"
ROWS: Final = "f.rows:"
KEY: Final = "f.key:"
VARIANT: Final = "f.variant:"
SHOWN: Final = "f.shown:"
PREFIXES: Final = (VALUE, NULL, INCLUDED, ROWS, KEY, VARIANT, SHOWN)
JSON: Final = "json"
ACTION: Final = "action"
ADDED: Final = "+"
PLACEHOLDER: Final = "+*"


def step(path: str, token: str | int) -> str:
    """The path of a part. Characters that a browser would change in a name are written as "~x" and their code."""
    escaped = str(token).replace("~", "~0").replace("/", "~1")
    return f"{path}/" + "".join(f"~x{ord(char):x};" if _fragile(char) else char for char in escaped)


def split(path: str) -> tuple[str, str]:
    """The path of the whole, and the row key of the part."""
    whole, _, key = path.rpartition("/")
    return whole, key


def is_ours(name: str) -> bool:
    """The name belongs to the form, not to the page around it."""
    return name.startswith(PREFIXES)


def row_keys(submitted: list[str], known: int) -> tuple[list[str], bool]:
    """The row keys that can be, in order, and whether those were all: the marker first, then distinct known keys."""
    keys = submitted[1:] if submitted[:1] == [""] else submitted
    valid = [key for key in dict.fromkeys(keys) if _is_row_key(key, known)]
    return valid, submitted[:1] == [""] and valid == keys


def _is_row_key(key: str, known: int) -> bool:
    digits = key.removeprefix(ADDED)
    plain = digits.isascii() and digits.isdigit() and len(digits) <= 6 and str(int(digits)) == digits  # noqa: PLR2004 - a million rows
    return plain and (key.startswith(ADDED) or int(digits) < known)


def _fragile(char: str) -> bool:
    return char != " " and unicodedata.category(char)[0] in "CZ"
