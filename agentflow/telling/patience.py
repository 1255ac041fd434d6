"""When an event is sent again that a subscriber did not take, and when it is given up. Pure: no clock, no chance.

The spans are those the Standard Webhooks specification proposes, the last repeated until three days are over.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Final

DELAYS: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    *[timedelta(hours=10)] * 6,
)
MOST_ATTEMPTS: Final = len(DELAYS) + 1
SPREAD: Final = 0.1


def again_in(dispatch_id: str, attempts: int) -> timedelta | None:
    """How long to wait after so many failed attempts, None to give up.

    Up to a tenth more or less, by the id, so that what failed together does not come back together.
    """
    if attempts > len(DELAYS):
        return None
    share = int.from_bytes(hashlib.sha256(f"{dispatch_id}:{attempts}".encode()).digest()[:4]) / 2**32
    return DELAYS[max(attempts, 1) - 1] * (1 - SPREAD + 2 * SPREAD * share)
