"""Ids: time-ordered strings a person can read in a log, such as `run_1m838mqt59d42fw6hp`.

45 bits of milliseconds, enough until the year 3084, and 45 that scatter, in Crockford's base 32 and lower case: short,
since a waiting run holds its id and its approval's a dozen times. Within one millisecond a process begins anywhere and
goes on by a step that takes it to each place once, so it makes no id twice; two processes that make a hundred each have
one in common once in three billion times, and the table refuses the second. Ids of earlier releases sort before.
"""

from __future__ import annotations

import re
import secrets
from threading import Lock
from typing import TYPE_CHECKING, Final

from agentflow.clock import to_micros

if TYPE_CHECKING:
    from datetime import datetime

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
PAIRS: Final = tuple(high + low for high in ALPHABET for low in ALPHABET)

SCATTER: Final = 45
PLACES: Final = 1 << SCATTER
STEP: Final = 0x13C6EF372FE9
"""Odd, so that the steps come back to where they began only after every place; the golden ratio spreads them evenly."""

LETTERS: Final = 18
"""How many follow the kind and its underscore."""

RUN: Final = "run"
APPROVAL: Final = "apr"
DECISION: Final = "dec"
WORKER: Final = "wrk"
EVENT: Final = "evt"
CALLBACK: Final = "cbk"
STANDING: Final = "sta"
GRANT: Final = "gra"
DELIVERY: Final = "dlv"
SUBSCRIPTION: Final = "sub"
DISPATCH: Final = "msg"
BACKFILL: Final = "bkf"
API_TOKEN: Final = "tok"  # noqa: S105  how ids begin
TOKEN: Final = "cbt"  # noqa: S105  how tokens begin, not one

HIDDEN: Final = f"{TOKEN}_[hidden]"
_TOKENS: Final = re.compile(rf"{TOKEN}_[0-9A-Za-z_-]{{32}}")


class _Places:
    """Where in its millisecond this process's next id stands, whichever thread asks."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._millis = -1
        self._place = 0

    def next(self, millis: int) -> int:
        """A place of this millisecond that was not given before."""
        with self._lock:
            is_further = millis == self._millis
            self._place = (self._place + STEP) % PLACES if is_further else secrets.randbits(SCATTER)
            self._millis = millis
            return self._place


_places: Final = _Places()


def new_id(kind: str, at: datetime) -> str:
    """A fresh id of this kind that sorts by `at`."""
    millis = to_micros(at) // 1000
    return f"{kind}_{_text((millis << SCATTER) | _places.next(millis))}"


def new_token() -> str:
    """A fresh token that names a callback to another system: 192 bits that nobody can guess."""
    return f"{TOKEN}_{secrets.token_urlsafe(24)}"


def without_tokens(text: str) -> str:
    """The text with every token in it hidden: who reads a token may answer in another system's place."""
    return _TOKENS.sub(HIDDEN, text) if f"{TOKEN}_" in text else text


def _text(number: int) -> str:
    return "".join(PAIRS[(number >> shift) & 1023] for shift in range(5 * LETTERS - 10, -1, -10))
