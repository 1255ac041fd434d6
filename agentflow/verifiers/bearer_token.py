"""A token in a header: a password that whoever sends a request has been given.

`Authorization: Bearer` is RFC 6750. Nothing of the request is signed: the token must never go over a plain connection.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from agentflow.errors import InvalidSetting, NotAuthentic
from agentflow.verifiers.base import Verifier, header_name, secrets_of

if TYPE_CHECKING:
    from agentflow.verifiers.base import Secrets, Sent
    from agentflow.verifiers.secret import Secret

AUTHORIZATION: Final = "Authorization"
SCHEME: Final = re.compile(r"bearer +", re.IGNORECASE)
TOKEN: Final = re.compile(r"[!-~]+")
SHORTEST: Final = 16


def bearer(token: Secrets, *, header: str = AUTHORIZATION, id_header: str | None = None) -> Verifier:
    """Requests that bring a token: `Authorization: Bearer TOKEN`, or the token alone in another `header`.

    A token has at least 16 visible ASCII characters. `id_header` holds the delivery's id; without one the body's digest
    is its id, so that the same body never starts a second run. Prefer a verifier of signatures where the sender signs:
    a token proves nothing about the body. Raises `DefinitionError`.
    """
    made = BearerToken(
        secrets_of(token, "bearer()"),
        header_name(header, "bearer()"),
        None if id_header is None else header_name(id_header, "bearer()"),
    )
    made.require_literal_secrets()
    return made


@dataclass(frozen=True)
class BearerToken(Verifier):
    """Verifies one header."""

    secrets: tuple[Secret, ...]
    header: str
    id_header: str | None
    format: ClassVar[str] = "bearer token"

    @property
    def hidden(self) -> frozenset[str]:
        return frozenset({self.header.lower()})

    def check_secret(self, secret: str) -> None:
        super().check_secret(secret)
        if not TOKEN.fullmatch(secret) or len(secret) < SHORTEST:
            raise InvalidSetting(f"a token has at least {SHORTEST} visible ASCII characters; this one has not")

    def verify(self, sent: Sent) -> str:
        given = sent.header(self.header)
        if self.header.lower() == AUTHORIZATION.lower():
            if (scheme := SCHEME.match(given)) is None:
                raise NotAuthentic(f"the {AUTHORIZATION} header is no Bearer token")
            given = given[scheme.end() :]
        offered = _digest(given)
        matches = sum(hmac.compare_digest(offered, _digest(token)) for token in self.revealed())
        if not matches:
            raise NotAuthentic("the token is not the one agreed on")
        return sent.delivery_id(self.id_header)


def _digest(token: str) -> bytes:
    """Of one length, so that the comparison takes the same time whatever the token's."""
    return hashlib.sha256(token.encode(errors="replace")).digest()
