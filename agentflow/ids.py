"""Ids: time-ordered strings a person can read in a log, such as `run_01kajx5q9b2m8v0d7t3y`.

The layout is that of ULID (48 bits of milliseconds, then randomness, in Crockford's base 32) in lower case and with 60
random bits instead of 80: a waiting run holds its id and its approval's some twenty times, and of ten thousand ids made
in one millisecond two are the same once in twenty billion times.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Final

from agentflow.clock import to_micros

if TYPE_CHECKING:
    from datetime import datetime

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
PAIRS: Final = tuple(high + low for high in ALPHABET for low in ALPHABET)

RANDOM: Final = 60

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


def new_id(kind: str, at: datetime) -> str:
    """A fresh id of this kind that sorts by `at`."""
    millis = to_micros(at) // 1000
    return f"{kind}_{_text((millis << RANDOM) | secrets.randbits(RANDOM))}"


def new_token() -> str:
    """A fresh token that names a callback to another system: 192 bits that nobody can guess."""
    return f"{TOKEN}_{secrets.token_urlsafe(24)}"


def without_tokens(text: str) -> str:
    """The text with every token in it hidden: who reads a token may answer in another system's place."""
    return _TOKENS.sub(HIDDEN, text) if f"{TOKEN}_" in text else text


def _text(number: int) -> str:
    return "".join(PAIRS[(number >> shift) & 1023] for shift in range(RANDOM + 40, -1, -10))
