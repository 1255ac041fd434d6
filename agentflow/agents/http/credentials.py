"""Credentials of calls: held as secrets, read when a call is made, and in nothing that is recorded."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agentflow.errors import DefinitionError
from agentflow.verifiers.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_OURS: Final = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "te", "upgrade"}
_SECRET_HEADERS: Final = re.compile(r"authorization|cookie|api[-_]?key|token|secret|password", re.IGNORECASE)
_SHORTEST_HIDDEN: Final = 6
HIDDEN: Final = "[secret]"


@dataclass(frozen=True, slots=True)
class Credential:
    """What is sent to be let in: `scheme` is `bearer`, `basic`, `header`, `query` or `cookie`."""

    scheme: str
    secret: Secret
    name: str = "Authorization"
    """The header, query parameter or cookie; for `basic` the user."""

    def headers(self) -> dict[str, str]:
        """The headers it is sent in. Raises `InvalidSetting` naming a variable that does not hold the secret."""
        text = self.secret.reveal()
        match self.scheme:
            case "bearer":
                return {"Authorization": f"Bearer {text}"}
            case "basic":
                return {"Authorization": "Basic " + b64encode(f"{self.name}:{text}".encode()).decode("ascii")}
            case "cookie":
                return {"Cookie": f"{self.name}={text}"}
            case "header":
                return {self.name: text}
        return {}

    def query(self) -> list[tuple[str, str]]:
        """What it adds to the URL."""
        return [(self.name, self.secret.reveal())] if self.scheme == "query" else []

    def hidden(self) -> set[str]:
        """The texts that are shown nowhere."""
        return {self.secret.reveal(), *(value.rpartition(" ")[2] for value in self.headers().values())}


def bearer(token: Secret) -> Credential:
    """A token in the `Authorization` header."""
    return Credential("bearer", _secret(token))


def basic(user: str, password: Secret) -> Credential:
    """A user and a password in the `Authorization` header."""
    return Credential("basic", _secret(password), user)


def api_key(key: Secret, *, header: str = "", query: str = "") -> Credential:
    """A key in this header or query parameter. Raises `DefinitionError` unless one of the two is named."""
    if bool(header) == bool(query):
        raise DefinitionError('api_key: name where it goes, header="X-Api-Key" or query="key"')
    return Credential("header" if header else "query", _secret(key), header_name(header) if header else query)


def header_name(name: str) -> str:
    """A name for a header of the user's. Raises `DefinitionError` for none, and for those the client itself sets."""
    if not isinstance(name, str) or not _HEADER.fullmatch(name) or name.lower() in _OURS:
        raise DefinitionError(f"{name!r} is no header that can be set here; leave it out")
    return name


def headers_of(given: Mapping[str, str | Secret], *, what: str) -> dict[str, str | Secret]:
    """Headers sent with each call. Raises `DefinitionError` for a literal text where a secret belongs."""
    for name, value in given.items():
        header_name(name)
        if isinstance(value, Secret):
            continue
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise DefinitionError(f"{what}, header {name!r}: wanted a line of ASCII text or a Secret")
        if _SECRET_HEADERS.search(name):
            raise DefinitionError(
                f'{what}, header {name!r} is a secret: give Secret.env("NAME_OF_VARIABLE"), or Secret("…") in a test'
            )
    return dict(given)


def without(text: str, hidden: Iterable[str]) -> str:
    """The text without the secrets, which servers like to repeat when they refuse them."""
    for one in sorted(hidden, key=len, reverse=True):
        if len(one) >= _SHORTEST_HIDDEN:
            text = text.replace(one, HIDDEN)
    return text


def _secret(given: object) -> Secret:
    if not isinstance(given, Secret):
        raise DefinitionError('a credential is a Secret: Secret.env("NAME_OF_VARIABLE"), or Secret("…") in a test')
    return given
