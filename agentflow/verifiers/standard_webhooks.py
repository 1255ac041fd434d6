"""Standard Webhooks, as many services send them.

The format is public: https://www.standardwebhooks.com, and its specification at
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from agentflow.errors import NotAuthentic
from agentflow.verifiers.base import Verifier, require_match, require_recent, secrets_of, tolerance_of
from agentflow.verifiers.signing import MESSAGE_ID, key_of, signature

if TYPE_CHECKING:
    from datetime import timedelta

    from agentflow.verifiers.base import Secrets, Sent, Span
    from agentflow.verifiers.secret import Secret

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"


def standard(secret: Secrets, *, tolerance: Span = "5m") -> Verifier:
    """Requests signed as Standard Webhooks 1.0.0, symmetric (`v1`): an HMAC-SHA256 over `id.timestamp.body`.

    A secret is base64, usually after `whsec_`, of at least 24 bytes. `tolerance` is how far the time of sending may
    lie from now; within it and after it the delivery's id, `webhook-id`, starts one run only. Raises `DefinitionError`.
    """
    made = StandardWebhooks(secrets_of(secret, "standard()"), tolerance_of(tolerance, "standard()"))
    made.require_literal_secrets()
    return made


@dataclass(frozen=True)
class StandardWebhooks(Verifier):
    """Verifies the three headers."""

    secrets: tuple[Secret, ...]
    tolerance: timedelta
    format: ClassVar[str] = "Standard Webhooks"

    @property
    def hidden(self) -> frozenset[str]:
        return frozenset({SIGNATURE})

    def check_secret(self, secret: str) -> None:
        super().check_secret(secret)
        key_of(secret)

    def verify(self, sent: Sent) -> str:
        message_id, stamp, signatures = (sent.header(name) for name in (ID, TIMESTAMP, SIGNATURE))
        if not MESSAGE_ID.fullmatch(message_id):
            raise NotAuthentic(f"the {ID} header is not 1 to 255 visible ASCII characters without a dot")
        require_recent(stamp, f"{TIMESTAMP} header", sent.at, self.tolerance)
        expected = [signature(key_of(secret), message_id, stamp, sent.body) for secret in self.revealed()]
        require_match(signatures.split(" "), expected)
        return message_id
