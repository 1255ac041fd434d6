"""What all verifiers have in common: requests as they were sent, secrets, signatures and times of sending.

Signatures are compared in constant time, each secret against each signature. A header that takes part in the check and
occurs twice is refused, since the sender, a proxy and this program might each read another one of the two.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Final

from agentflow.durations import describe, duration
from agentflow.errors import DefinitionError, InvalidDuration, InvalidSetting, NotAuthentic
from agentflow.verifiers.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Secrets = Secret | str | Sequence[Secret | str]
    Span = str | float | timedelta

MOST_SECRETS: Final = 10
MOST_SIGNATURES: Final = 20
LONGEST_TOLERANCE: Final = timedelta(hours=1)
DELIVERY_ID: Final = re.compile(r"[!-~]{1,255}")
SECONDS: Final = re.compile(r"[1-9][0-9]{0,10}")
HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it came: every header line, doubles included, the body byte for byte, and when that was."""

    headers: Sequence[tuple[str, str]]
    body: bytes
    at: datetime

    def header(self, name: str) -> str:
        """The value of the header. Raises `NotAuthentic` if it is missing, empty or there twice."""
        found = self.header_if_any(name)
        if not found:
            raise NotAuthentic(f"the {name} header is missing")
        return found

    def header_if_any(self, name: str) -> str:
        """The value of the header, empty if there is none. Raises `NotAuthentic` if it is there twice."""
        values = [value for given, value in self.headers if given.lower() == name.lower()]
        if len(values) > 1:
            raise NotAuthentic(f"the {name} header occurs {len(values)} times; wanted once")
        return values[0] if values else ""

    def delivery_id(self, name: str | None) -> str:
        """The id in the header of this name, or without one the body's digest. Raises `NotAuthentic`."""
        if name is None:
            return self.digest
        if not DELIVERY_ID.fullmatch(found := self.header(name)):
            raise NotAuthentic(f"the {name} header is not 1 to 255 visible ASCII characters")
        return found

    @property
    def digest(self) -> str:
        """The SHA-256 of the body."""
        return digest_of(self.body)


class Verifier(ABC):
    """One way of showing that a request is authentic, with the secrets that do.

    `format` is its name for people. `hidden` are the headers, in lower case, which hold what proves a request: they are
    never stored. One that `is_open` lets everybody in.
    """

    format: ClassVar[str]
    is_open: ClassVar[bool] = False
    secrets: tuple[Secret, ...]

    @property
    def hidden(self) -> frozenset[str]:
        return frozenset()

    @abstractmethod
    def verify(self, sent: Sent) -> str:
        """The id of this delivery. Raises `NotAuthentic`, with a reason for the sender, if it is forged or late."""

    def challenge(self, sent: Sent) -> str | None:  # noqa: ARG002  most senders have none
        """What to answer a verified request that only asks whether this address is ours; None if it is a delivery."""
        return None

    def handshake(self, query: Mapping[str, Sequence[str]]) -> str | None:  # noqa: ARG002  most senders have none
        """What to answer a GET request with this query that asks so, None if it asks nothing. Raises `NotAuthentic`."""
        return None

    def check_secret(self, secret: str) -> None:
        """Raise `InvalidSetting`, without showing the secret, if nobody can sign with it."""
        if secret != secret.strip():
            raise InvalidSetting("it begins or ends with white space, as a file's last line does; take it off")

    def require_secrets(self) -> None:
        """Raise `InvalidSetting`, naming the environment variable, if a secret is missing or cannot sign."""
        for secret in self.secrets:
            self._require(secret)

    def require_literal_secrets(self) -> None:
        """The same for secrets that stand in the code. Raises `DefinitionError`."""
        try:
            for secret in self.secrets:
                if secret.is_literal:
                    self._require(secret)
        except InvalidSetting as error:
            raise DefinitionError(str(error)) from error

    def revealed(self) -> Sequence[str]:
        """The secrets' texts."""
        return [secret.reveal() for secret in self.secrets]

    def _require(self, secret: Secret) -> None:
        text = secret.reveal()
        try:
            self.check_secret(text)
        except InvalidSetting as error:
            raise InvalidSetting(f"{secret!r}, for {self.format}: {error}") from error


def secrets_of(given: Secrets, what: str) -> tuple[Secret, ...]:
    """The secrets of a verifier. Raises `DefinitionError` for none, an empty one, or too many to compare with."""
    every = [given] if isinstance(given, Secret | str) else list(given or ())
    if not 1 <= len(every) <= MOST_SECRETS:
        raise DefinitionError(
            f"{what} has {len(every)} secrets; wanted 1, or up to {MOST_SECRETS} while one is replaced"
        )
    return tuple(one if isinstance(one, Secret) else Secret(one) for one in every)


def tolerance_of(given: Span, what: str) -> timedelta:
    """How far a time of sending may lie from now. Raises `DefinitionError`."""
    try:
        span = duration(given)
    except InvalidDuration as error:
        raise DefinitionError(f"{what}: tolerance: {error}") from error
    if not timedelta() < span <= LONGEST_TOLERANCE:
        raise DefinitionError(f"{what}: tolerance={given!r}: wanted more than 0 and at most 1 hour")
    return span


def header_name(given: str, what: str) -> str:
    """The name, if it can be a header's. Raises `DefinitionError`."""
    if not isinstance(given, str) or not HEADER.fullmatch(given):
        raise DefinitionError(f"{what}: {given!r} is no name of an HTTP header")
    return given


def digest_of(body: bytes) -> str:
    """What is stored of a body to know it again."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def hmac_of(secret: str, signed: bytes) -> bytes:
    """The HMAC-SHA256 of what is signed."""
    return hmac.new(secret.encode(), signed, hashlib.sha256).digest()


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


def require_recent(stamp: str, where: str, now: datetime, tolerance: timedelta) -> None:
    """Raise `NotAuthentic` unless `stamp`, in whole seconds since 1970, is within the tolerance of now."""
    # A spelling such as "+12" or "0012" would be signed in one form and read in another.
    if not SECONDS.fullmatch(stamp):
        raise NotAuthentic(f"the {where} is no whole number of seconds since 1970")
    if abs(now - datetime.fromtimestamp(int(stamp), UTC)) > tolerance:
        raise NotAuthentic(f"the {where}, {stamp}, is more than {describe(tolerance)} away from now")
