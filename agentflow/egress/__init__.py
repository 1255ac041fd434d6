"""Calls to the outside under a policy: which hosts and addresses, how large and how slow.

`Egress` is the policy; `fetch` makes one call under it; `EgressTransport` carries the calls of other HTTP clients.
"""

from __future__ import annotations

import typing

from agentflow.later import names as _names

if typing.TYPE_CHECKING:
    from agentflow.egress.fetching import Answer, fetch
    from agentflow.egress.policy import Egress, system_resolver
    from agentflow.egress.transport import EgressTransport

__all__ = ["Answer", "Egress", "EgressTransport", "fetch", "system_resolver"]

_MODULES: dict[str, tuple[str, ...]] = {
    "agentflow.egress.fetching": ("Answer", "fetch"),
    "agentflow.egress.policy": ("Egress", "system_resolver"),
    "agentflow.egress.transport": ("EgressTransport",),
}

if not typing.TYPE_CHECKING:
    __getattr__, __dir__ = _names(__name__, _MODULES)
