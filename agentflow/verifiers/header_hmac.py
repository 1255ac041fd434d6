"""An HMAC-SHA256 in a header, as most senders prove their requests who have no format of their own.

HMAC is RFC 2104. The question before a first delivery, with `hub.mode`, `hub.challenge` and `hub.verify_token` in the
query of a GET request, is that of Meta's platforms and of WebSub before it was one:
https://developers.facebook.com/docs/graph-api/webhooks/getting-started
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from agentflow.errors import DefinitionError, NotAuthentic
from agentflow.verifiers.base import (
    Verifier,
    header_name,
    hmac_of,
    require_match,
    require_recent,
    secrets_of,
    tolerance_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from agentflow.verifiers.base import Secrets, Sent, Span
    from agentflow.verifiers.secret import Secret

Encoding = Literal["hex", "base64"]
BODY, TIMESTAMP = "{body}", "{timestamp}"
PART: Final = re.compile(r"(\{body\}|\{timestamp\})")
DIVIDES: Final = re.compile(r"\{timestamp\}[^0-9{].*\{body\}|\{body\}.*[^0-9}]\{timestamp\}", re.DOTALL)
CHALLENGE: Final = re.compile(r"[!-~]{1,200}")


def hmac_sha256(
    secret: Secrets,
    *,
    header: str,
    prefix: str = "",
    encoding: Encoding = "hex",
    id_header: str | None = None,
    timestamp_header: str | None = None,
    signed: str | None = None,
    tolerance: Span = "5m",
    verify_token: Secrets | None = None,
) -> Verifier:
    """Requests with an HMAC-SHA256 in `header`, after `prefix`.

    It is taken over the body, or with a `timestamp_header` over what `signed` says, `"{timestamp}.{body}"` if nothing
    else. `id_header` holds the delivery's id; without one the body's digest is its id, so that the same body never
    starts a second run. An id is not signed, nor is a time that `signed` leaves out: whoever gets hold of a request
    can send it again under another id. With a `verify_token` a GET request that brings it, as `hub.verify_token`, is
    answered with its `hub.challenge`. Raises `DefinitionError`.
    """
    what = "hmac_sha256()"
    if encoding not in ("hex", "base64"):
        raise DefinitionError(f"{what}: encoding={encoding!r}: wanted 'hex' or 'base64'")
    made = HeaderHmac(
        secrets=secrets_of(secret, what),
        header=header_name(header, what),
        prefix=prefix,
        encoding=encoding,
        id_header=None if id_header is None else header_name(id_header, what),
        timestamp_header=None if timestamp_header is None else header_name(timestamp_header, what),
        signed=_signed(signed, what, timed=timestamp_header is not None),
        tolerance=tolerance_of(tolerance, what),
        verify_tokens=() if verify_token is None else secrets_of(verify_token, f"{what}, verify_token"),
    )
    made.require_literal_secrets()
    return made


@dataclass(frozen=True, kw_only=True)
class HeaderHmac(Verifier):
    """Verifies one header; `signed` is what is signed, in parts."""

    secrets: tuple[Secret, ...]
    header: str
    prefix: str
    encoding: Encoding
    id_header: str | None
    timestamp_header: str | None
    signed: tuple[str, ...]
    tolerance: timedelta
    verify_tokens: tuple[Secret, ...]
    format: ClassVar[str] = "HMAC-SHA256"

    @property
    def hidden(self) -> frozenset[str]:
        return frozenset({self.header.lower()})

    def require_secrets(self) -> None:
        super().require_secrets()
        for token in self.verify_tokens:
            token.reveal()

    def verify(self, sent: Sent) -> str:
        given = sent.header(self.header)
        if not given.startswith(self.prefix):
            raise NotAuthentic(f'the {self.header} header does not begin with "{self.prefix}"')
        text = given.removeprefix(self.prefix)
        signed = self._signed(sent)
        require_match(
            [text.lower() if self.encoding == "hex" else text],
            [self._written(hmac_of(secret, signed)) for secret in self.revealed()],
        )
        return sent.delivery_id(self.id_header)

    def handshake(self, query: Mapping[str, Sequence[str]]) -> str | None:
        if not self.verify_tokens or "hub.mode" not in query:
            return None
        mode, token, challenge = (_only(query, f"hub.{name}") for name in ("mode", "verify_token", "challenge"))
        tokens = [secret.reveal().encode() for secret in self.verify_tokens]
        if not sum(hmac.compare_digest(token.encode(errors="replace"), one) for one in tokens):
            raise NotAuthentic("hub.verify_token is not the one agreed on")
        if mode != "subscribe" or not CHALLENGE.fullmatch(challenge):
            raise NotAuthentic("wanted hub.mode=subscribe and a hub.challenge of 1 to 200 visible ASCII characters")
        return challenge

    def _signed(self, sent: Sent) -> bytes:
        stamp = ""
        if self.timestamp_header is not None:
            stamp = sent.header(self.timestamp_header)
            require_recent(stamp, f"{self.timestamp_header} header", sent.at, self.tolerance)
        values = {BODY: sent.body, TIMESTAMP: stamp.encode()}
        return b"".join(values.get(part, part.encode()) for part in self.signed)

    def _written(self, digest: bytes) -> str:
        return digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()


def _only(query: Mapping[str, Sequence[str]], name: str) -> str:
    values = query.get(name, ())
    if len(values) != 1:
        raise NotAuthentic(f"{name} is given {len(values)} times; wanted once")
    return values[0]


def _signed(given: str | None, what: str, *, timed: bool) -> tuple[str, ...]:
    """What is signed, in parts. Raises `DefinitionError` for what says no body, or could be divided in two ways."""
    text = given or (f"{TIMESTAMP}.{BODY}" if timed else BODY)
    parts = tuple(part for part in PART.split(text) if part)
    if parts.count(BODY) != 1 or parts.count(TIMESTAMP) != timed:
        wanted = f"{BODY} once, and {TIMESTAMP} once" if timed else f"{BODY} once, and no {TIMESTAMP}"
        raise DefinitionError(
            f"{what}: signed={text!r}: wanted {wanted}, since there is {'a' if timed else 'no'} timestamp_header"
        )
    if timed and DIVIDES.search(text) is None:
        raise DefinitionError(
            f"{what}: signed={text!r} can be divided in two ways; wanted something but a digit between the two, as in "
            f"{TIMESTAMP + '.' + BODY!r}"
        )
    return parts
