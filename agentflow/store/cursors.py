"""The cursors of listings: where the page before ended, as text that has been in a stranger's hands."""

from __future__ import annotations

import re
from typing import Final

from agentflow.errors import InvalidSetting

ID: Final = re.compile(r"[!-~]{1,600}")
NUMBER: Final = re.compile(r"-?[0-9]{1,19}")
LEAST, MOST = -(2**63), 2**63 - 1
LAST_SEQ: Final = 2**31 - 1
"""The entries of one run's journal are counted in half the room that ids of all runs have."""


def place_of(cursor: str) -> tuple[int, str]:
    """The number and the id that order rows, of `NUMBER.ID`. Raises `InvalidSetting` for what no listing gave."""
    number, _, last_id = cursor.partition(".")
    return _number(number, cursor), _id(last_id, cursor)


def number_of(cursor: str) -> int:
    """The number that orders rows, one that the database can hold. Raises `InvalidSetting` for what is none."""
    return _number(cursor, cursor)


def id_of(cursor: str) -> str:
    """The id that orders rows. Raises `InvalidSetting` for what is none."""
    return _id(cursor, cursor)


def after_of(seq: int, last: int = MOST) -> int:
    """The place in an order after which to read. Raises `InvalidSetting` for one that the database cannot hold."""
    if -last <= seq <= last:
        return seq
    raise InvalidSetting(f"after is no place in this order: wanted a whole number, at most {last}")


def _number(text: str, cursor: str) -> int:
    if NUMBER.fullmatch(text) and LEAST <= (number := int(text)) <= MOST:
        return number
    raise _refused(cursor)


def _id(text: str, cursor: str) -> str:
    if ID.fullmatch(text):
        return text
    raise _refused(cursor)


def _refused(cursor: str) -> InvalidSetting:
    return InvalidSetting(f"cursor {cursor[:50]!a} is none that a listing gave")
