"""Ids: time-ordered strings a person can read in a log, such as `run_01kajx5q9b2m8v0d7t3y`.

The layout follows ULID (48 bits of milliseconds, 80 bits of randomness, Crockford's base 32), in lower case.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from agentflow.clock import to_micros

if TYPE_CHECKING:
    from datetime import datetime

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
PAIRS: Final = tuple(high + low for high in ALPHABET for low in ALPHABET)

RUN: Final = "run"
APPROVAL: Final = "apr"
DECISION: Final = "dec"
WORKER: Final = "wrk"


def new_id(kind: str, at: datetime) -> str:
    """A fresh id of this kind that sorts by `at`."""
    millis = to_micros(at) // 1000
    return f"{kind}_{_ulid((millis << 80) | secrets.randbits(80))}"


def _ulid(number: int) -> str:
    return "".join(PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10))
