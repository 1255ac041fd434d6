"""Requests of Slack: events, commands and whatever else it signs.

The format is public: https://api.slack.com/authentication/verifying-requests-from-slack, and the question whether an
address is ours: https://api.slack.com/events/url_verification
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from agentflow.errors import NotAuthentic
from agentflow.verifiers.base import Verifier, hmac_of, require_match, require_recent, secrets_of, tolerance_of
from agentflow.verifiers.members import text_member

if TYPE_CHECKING:
    from datetime import timedelta

    from agentflow.verifiers.base import Secrets, Sent, Span
    from agentflow.verifiers.secret import Secret

SIGNATURE: Final = "X-Slack-Signature"
TIMESTAMP: Final = "X-Slack-Request-Timestamp"
PREFIX: Final = "v0="


def slack(secret: Secrets, *, tolerance: Span = "5m") -> Verifier:
    """Requests signed by Slack: an HMAC-SHA256 over `v0:timestamp:body`, and the answer to its `url_verification`.

    A secret is the app's signing secret. The delivery's id is `event_id`, and where a body has none its digest.
    `tolerance` is how far the time of sending may lie from now. Raises `DefinitionError`.
    """
    made = Slack(secrets_of(secret, "slack()"), tolerance_of(tolerance, "slack()"))
    made.require_literal_secrets()
    return made


@dataclass(frozen=True)
class Slack(Verifier):
    """Verifies `X-Slack-Signature`."""

    secrets: tuple[Secret, ...]
    tolerance: timedelta
    format: ClassVar[str] = "Slack"

    @property
    def hidden(self) -> frozenset[str]:
        return frozenset({SIGNATURE.lower()})

    def verify(self, sent: Sent) -> str:
        given, stamp = sent.header(SIGNATURE), sent.header(TIMESTAMP)
        if not given.startswith(PREFIX):
            raise NotAuthentic(f'the {SIGNATURE} header does not begin with "{PREFIX}"')
        require_recent(stamp, f"{TIMESTAMP} header", sent.at, self.tolerance)
        signed = f"v0:{stamp}:".encode() + sent.body
        require_match([given], [PREFIX + hmac_of(secret, signed).hex() for secret in self.revealed()])
        return text_member(sent.body, "event_id") or sent.digest

    def challenge(self, sent: Sent) -> str | None:
        """Slack's question, which it asks when the address is entered and answers to itself."""
        if text_member(sent.body, "type") != "url_verification":
            return None
        return text_member(sent.body, "challenge")
