"""Telling subscribers what happened: which journal entries are which events, and the loop that sends them.

The journal is the outbox. Any number of processes may run a `Teller`; each event becomes one dispatch a subscription.
"""

from __future__ import annotations

import typing

from agentflow.later import names as _names

if typing.TYPE_CHECKING:
    from agentflow.telling.outward import Outward
    from agentflow.telling.teller import Teller, TellerSettings

__all__ = ["Outward", "Teller", "TellerSettings"]

_MODULES: dict[str, tuple[str, ...]] = {
    "agentflow.telling.outward": ("Outward",),
    "agentflow.telling.teller": ("Teller", "TellerSettings"),
}

if not typing.TYPE_CHECKING:
    __getattr__, __dir__ = _names(__name__, _MODULES)
