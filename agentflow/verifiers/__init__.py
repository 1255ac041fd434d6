"""How a webhook request is shown to be authentic, and how requests of ours are signed.

`standard`, `github`, `stripe` and `slack` verify what these send, `hmac_sha256` and `bearer` what many others do, and
`unverified` takes everything. Each looks at the raw body, compares in constant time, and takes several secrets while
one is being replaced. A verifier of your own is a class derived from `Verifier`.
"""

from __future__ import annotations

import typing

from agentflow.later import names as _names

if typing.TYPE_CHECKING:
    from agentflow.verifiers.base import Sent, Verifier
    from agentflow.verifiers.bearer_token import bearer
    from agentflow.verifiers.from_github import github
    from agentflow.verifiers.from_slack import slack
    from agentflow.verifiers.from_stripe import stripe
    from agentflow.verifiers.header_hmac import hmac_sha256
    from agentflow.verifiers.secret import Secret
    from agentflow.verifiers.signing import sign
    from agentflow.verifiers.standard_webhooks import standard
    from agentflow.verifiers.unproven import unverified

__all__ = [
    "Secret",
    "Sent",
    "Verifier",
    "bearer",
    "github",
    "hmac_sha256",
    "sign",
    "slack",
    "standard",
    "stripe",
    "unverified",
]

# No module of the package may have the name of one of these, or importing that module would put it in their place.
_MODULES: dict[str, tuple[str, ...]] = {
    "agentflow.verifiers.base": ("Sent", "Verifier"),
    "agentflow.verifiers.bearer_token": ("bearer",),
    "agentflow.verifiers.from_github": ("github",),
    "agentflow.verifiers.from_slack": ("slack",),
    "agentflow.verifiers.from_stripe": ("stripe",),
    "agentflow.verifiers.header_hmac": ("hmac_sha256",),
    "agentflow.verifiers.secret": ("Secret",),
    "agentflow.verifiers.signing": ("sign",),
    "agentflow.verifiers.standard_webhooks": ("standard",),
    "agentflow.verifiers.unproven": ("unverified",),
}

if not typing.TYPE_CHECKING:
    __getattr__, __dir__ = _names(__name__, _MODULES)
