"""The shop that every refund agent here sells for: what was ordered, and a payment provider that cannot take back.

`$LEDGER` is the file in which the provider writes down each payment, outside of every framework. `$KILL` names the
moment at which this process ends itself by SIGKILL: `before` or `after` the payment, inside the tool; with `fails` the
payment fails instead. Once: a file says so. A payment takes `$TAKES` seconds. With `$LOOKS` it is made only where the
books have none for the order.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

LEDGER = Path(os.environ.get("LEDGER", "ledger.txt"))
TOTAL = 120


def look_up(order: str) -> str:
    """What was ordered, and for how much."""
    return f"{order}: a lamp, {TOTAL} EUR"


def pay(order: str, amount: float) -> str:
    """Pay money back: a line in the provider's books."""
    if os.environ.get("LOOKS") and was_paid(order):
        return f"refunded {amount:g} EUR for {order}"
    _die("before")
    time.sleep(float(os.environ.get("TAKES", "0")))
    with LEDGER.open("a") as books:
        books.write(f"{order} {amount:g}\n")
    _die("after")
    return f"refunded {amount:g} EUR for {order}"


def was_paid(order: str) -> bool:
    """Whether the provider has paid for this order."""
    return LEDGER.exists() and f"{order} " in LEDGER.read_text()


def _die(moment: str) -> None:
    wanted, died = os.environ.get("KILL"), LEDGER.with_suffix(".died")
    if wanted not in {moment, "fails"} or died.exists():
        return
    died.touch()
    if wanted == "fails":
        raise ConnectionError("the bank is closed")
    os.kill(os.getpid(), signal.SIGKILL)
