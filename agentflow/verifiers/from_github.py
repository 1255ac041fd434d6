"""Webhooks of GitHub.

The format is public: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from agentflow.errors import NotAuthentic
from agentflow.verifiers.base import Verifier, hmac_of, require_match, secrets_of

if TYPE_CHECKING:
    from agentflow.verifiers.base import Secrets, Sent
    from agentflow.verifiers.secret import Secret

SIGNATURE: Final = "X-Hub-Signature-256"
OLD_SIGNATURE: Final = "X-Hub-Signature"
DELIVERY: Final = "X-GitHub-Delivery"
PREFIX: Final = "sha256="


def github(secret: Secrets) -> Verifier:
    """Requests signed by GitHub: an HMAC-SHA256 over the body. The delivery's id is `X-GitHub-Delivery`.

    GitHub signs neither that id nor a time, so whoever gets hold of a request can send it again under another id, and
    start another run by it; `where` may compare what the payload says. The older SHA-1 signature is not looked at.
    Raises `DefinitionError`.
    """
    made = GitHub(secrets_of(secret, "github()"))
    made.require_literal_secrets()
    return made


@dataclass(frozen=True)
class GitHub(Verifier):
    """Verifies `X-Hub-Signature-256`."""

    secrets: tuple[Secret, ...]
    format: ClassVar[str] = "GitHub"

    @property
    def hidden(self) -> frozenset[str]:
        return frozenset({SIGNATURE.lower(), OLD_SIGNATURE.lower()})

    def verify(self, sent: Sent) -> str:
        given = sent.header(SIGNATURE)
        if not given.startswith(PREFIX):
            raise NotAuthentic(f'the {SIGNATURE} header does not begin with "{PREFIX}"')
        require_match([given], [PREFIX + hmac_of(secret, sent.body).hex() for secret in self.revealed()])
        return sent.delivery_id(DELIVERY)
