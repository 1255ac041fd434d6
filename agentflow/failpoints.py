"""Fail-points: places where a test makes this process die, so that recovery is shown and not believed.

`AGENTFLOW_FAILPOINTS="append.inside=kill@3;decide.after=kill"` kills the process with SIGKILL the third time an append
has run inside its transaction, or the first time a decision is committed. A point is a store verb's name followed by
`before` (nothing written), `inside` (written, not committed) or `after` (committed, nobody told). Without the variable
nothing is looked at.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import Final

from agentflow.errors import InvalidSetting

VARIABLE: Final = "AGENTFLOW_FAILPOINTS"


def _parse(text: str) -> dict[str, int]:
    """Which visit to each point kills. Raises `InvalidSetting`."""
    points: dict[str, int] = {}
    for item in filter(None, (part.strip() for part in text.split(";"))):
        name, _, action = item.partition("=")
        verb, _, count = action.partition("@")
        if verb != "kill" or not (count or "1").isdecimal():
            raise InvalidSetting(f"{VARIABLE}: {item!r} is not understood; write verb.place=kill or verb.place=kill@3")
        points[name.strip()] = int(count or "1")
    return points


_points: Final = _parse(os.environ.get(VARIABLE, ""))
_visits: Counter[str] = Counter()
ACTIVE: Final = bool(_points)


def reach(name: str) -> None:
    """Die here if this visit to the point is the one that kills."""
    if name in _points:
        _visits[name] += 1
        if _visits[name] == _points[name]:
            os.kill(os.getpid(), signal.SIGKILL)
