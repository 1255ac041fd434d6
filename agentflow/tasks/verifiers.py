"""How a webhook request is shown to be authentic: Standard Webhooks, or an HMAC over the raw body in a header.

Signatures are compared in constant time, each secret against each signature. A header that takes part in the check and
occurs twice is refused, since the sender, a proxy and this program might each read another one of the two.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from standardwebhooks import Webhook as StandardWebhook

from agentflow.errors import DefinitionError, InvalidSetting, NotAuthentic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  the format's prefix, no secret
LEAST_SECRET_BYTES: Final = 24
MOST_SIGNATURES: Final = 20
MESSAGE_ID: Final = re.compile(r"[!-\-/-~]{1,255}")  # visible ASCII but the dot, which separates what is signed
DELIVERY_ID: Final = re.compile(r"[!-~]{1,255}")
TIMESTAMP: Final = re.compile(r"[1-9]\d{0,10}", re.ASCII)
HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEX: Final = re.compile(r"[0-9a-fA-F]{64}")


class Verifier(Protocol):
    """One way of signing requests."""

    def check_secret(self, secret: str) -> None:
        """Raise `InvalidSetting`, without showing the secret, if it cannot sign."""
        ...

    def delivery_id(
        self,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        secrets: Sequence[str],
        *,
        now: datetime,
        tolerance: timedelta,
    ) -> str:
        """The id of this delivery. Raises `NotAuthentic`, with a reason for the sender, if it is forged or late."""
        ...


@dataclass(frozen=True, slots=True)
class StandardSignature:
    """Standard Webhooks 1.0.0, symmetric (`v1`): HMAC-SHA256 over `id.timestamp.body`."""

    def check_secret(self, secret: str) -> None:
        text = secret.removeprefix(SECRET_PREFIX)
        try:
            key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidSetting(
                'a Standard Webhooks secret is base64, usually after "whsec_"; this one is not'
            ) from error
        if len(key) < LEAST_SECRET_BYTES:
            raise InvalidSetting(
                f"a Standard Webhooks secret has at least {LEAST_SECRET_BYTES} bytes; this one has {len(key)}"
            )

    def delivery_id(
        self,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        secrets: Sequence[str],
        *,
        now: datetime,
        tolerance: timedelta,
    ) -> str:
        found = single_headers(headers, "webhook-id", "webhook-timestamp", "webhook-signature")
        message_id, stamp = found["webhook-id"], found["webhook-timestamp"]
        if not MESSAGE_ID.fullmatch(message_id):
            raise NotAuthentic("the webhook-id header is not 1 to 255 visible ASCII characters without a dot")
        sent_at = _instant(stamp)
        if abs(now - sent_at) > tolerance:
            raise NotAuthentic(f"the webhook-timestamp {stamp} is more than {tolerance} away from now")
        expected = [StandardWebhook(secret).sign(message_id, sent_at, _text(body)) for secret in secrets]
        require_match(found["webhook-signature"].split(" "), expected)
        return message_id


@dataclass(frozen=True, slots=True)
class HmacSignature:
    """HMAC-SHA256 over the raw body, in hexadecimal, in one header: as GitHub and many others sign.

    Only the body is signed. Neither `id_header` nor the time of sending can be trusted, so whoever captures a request
    can have it start another run later under another id; prefer Standard Webhooks where the sender offers it. Without
    an `id_header` the body's own digest is the id, and the same body never starts a second run.
    """

    header: str
    prefix: str = ""
    id_header: str | None = None

    def __post_init__(self) -> None:
        for name in (self.header, self.id_header):
            if name is not None and not HEADER.fullmatch(name):
                raise DefinitionError(f"HmacSignature: {name!r} is no name of an HTTP header")

    def check_secret(self, secret: str) -> None:
        """Any text but an empty one, which `Secret` refuses, can sign."""

    def delivery_id(
        self,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        secrets: Sequence[str],
        *,
        now: datetime,  # noqa: ARG002  what is signed holds no time
        tolerance: timedelta,  # noqa: ARG002  what is signed holds no time
    ) -> str:
        wanted = [self.header] if self.id_header is None else [self.header, self.id_header]
        found = single_headers(headers, *wanted)
        signature = found[self.header.lower()]
        if not signature.startswith(self.prefix):
            raise NotAuthentic(f'the {self.header} header does not begin with "{self.prefix}"')
        digits = signature.removeprefix(self.prefix)
        if not HEX.fullmatch(digits):
            raise NotAuthentic(f"the {self.header} header holds no SHA-256 in hexadecimal")
        require_match(
            [digits.lower()], [hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in secrets]
        )
        if self.id_header is None:
            return f"sha256:{hashlib.sha256(body).hexdigest()}"
        if not DELIVERY_ID.fullmatch(delivery_id := found[self.id_header.lower()]):
            raise NotAuthentic(f"the {self.id_header} header is not 1 to 255 visible ASCII characters")
        return delivery_id


GITHUB: Final = HmacSignature("X-Hub-Signature-256", prefix="sha256=", id_header="X-GitHub-Delivery")
KNOWN: Final[Mapping[str, Verifier]] = {"standard": StandardSignature(), "github": GITHUB}


def single_headers(headers: Sequence[tuple[str, str]], *names: str) -> dict[str, str]:
    """The values of these headers by lower-case name. Raises `NotAuthentic` if one is missing, empty or double."""
    found: dict[str, str] = {}
    for name in names:
        values = [value for given, value in headers if given.lower() == name.lower()]
        if len(values) > 1:
            raise NotAuthentic(f"the {name} header occurs {len(values)} times; wanted once")
        if not values or not values[0]:
            raise NotAuthentic(f"the {name} header is missing")
        found[name.lower()] = values[0]
    return found


def require_match(offered: Sequence[str], expected: Sequence[str]) -> None:
    """Raise `NotAuthentic` unless one of the offered signatures is one of the expected; always compares all of them."""
    if len(offered) > MOST_SIGNATURES:
        raise NotAuthentic(f"the request carries {len(offered)} signatures; at most {MOST_SIGNATURES} are looked at")
    matches = 0
    for one in offered:
        for other in expected:
            matches += hmac.compare_digest(one.encode(errors="replace"), other.encode())
    if not matches:
        raise NotAuthentic("no signature matches; the secret differs, or the body was changed on the way")


def _instant(stamp: str) -> datetime:
    # A spelling such as "+12" or "0012" would be signed in one form and read in another.
    if not TIMESTAMP.fullmatch(stamp):
        raise NotAuthentic("the webhook-timestamp header is no whole number of seconds since 1970")
    return datetime.fromtimestamp(int(stamp), UTC)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise NotAuthentic("the body is not UTF-8, which Standard Webhooks signs") from error
