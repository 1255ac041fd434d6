"""Webhooks of Stripe.

The format is public: https://docs.stripe.com/webhooks/signature, "Verify webhook signatures manually".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from agentflow.errors import InvalidSetting, NotAuthentic
from agentflow.verifiers.base import Verifier, hmac_of, require_match, require_recent, secrets_of, tolerance_of
from agentflow.verifiers.members import text_member

if TYPE_CHECKING:
    from datetime import timedelta

    from agentflow.verifiers.base import Secrets, Sent, Span
    from agentflow.verifiers.secret import Secret

SIGNATURE: Final = "Stripe-Signature"
SECRET_PREFIX: Final = "whsec_"  # noqa: S105  how Stripe's secrets begin, no secret


def stripe(secret: Secrets, *, tolerance: Span = "5m") -> Verifier:
    """Requests signed by Stripe: an HMAC-SHA256 over `timestamp.body`. The delivery's id is the event's, `id`.

    A secret is the endpoint's, which begins with `whsec_`, and no API key. `tolerance` is how far the time of sending
    may lie from now. Raises `DefinitionError`.
    """
    made = Stripe(secrets_of(secret, "stripe()"), tolerance_of(tolerance, "stripe()"))
    made.require_literal_secrets()
    return made


@dataclass(frozen=True)
class Stripe(Verifier):
    """Verifies `Stripe-Signature`."""

    secrets: tuple[Secret, ...]
    tolerance: timedelta
    format: ClassVar[str] = "Stripe"

    @property
    def hidden(self) -> frozenset[str]:
        return frozenset({SIGNATURE.lower()})

    def check_secret(self, secret: str) -> None:
        super().check_secret(secret)
        if not secret.startswith(SECRET_PREFIX):
            raise InvalidSetting(f'the secret of a Stripe endpoint begins with "{SECRET_PREFIX}"; this one does not')

    def verify(self, sent: Sent) -> str:
        parts = [part.strip().partition("=") for part in sent.header(SIGNATURE).split(",")]
        stamps = [value for name, _, value in parts if name == "t"]
        if len(stamps) != 1:
            raise NotAuthentic(f"the {SIGNATURE} header has {len(stamps)} times (t=); wanted one")
        require_recent(stamps[0], f"time in the {SIGNATURE} header", sent.at, self.tolerance)
        signed = f"{stamps[0]}.".encode() + sent.body
        offered = [value for name, _, value in parts if name == "v1"]  # others are of other keys, or weaker
        require_match(offered, [hmac_of(secret, signed).hex() for secret in self.revealed()])
        return text_member(sent.body, "id") or sent.digest
