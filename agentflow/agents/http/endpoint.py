"""One operation of an HTTP interface: where each argument goes, and the request it makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from agentflow.agents.http.credentials import Credential, without
from agentflow.errors import ToolError
from agentflow.verifiers.secret import Secret

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
_SEPARATORS: Final = {"form": ",", "simple": ",", "spaceDelimited": " ", "pipeDelimited": "|"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an argument goes: `path`, `query`, `header`, a `field` of the body, or the `body` as a whole.

    `wire` is its name there. `style` and `explode` are OpenAPI's; the style `json` sends the value as JSON text.
    """

    argument: str
    wire: str
    where: str
    style: str = "form"
    explode: bool = True


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request ready to be sent, and the texts in it that are shown nowhere."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes
    hidden: frozenset[str]

    @property
    def shown(self) -> str:
        """What it calls, without the query and without secrets."""
        return without(f"{self.method} {self.url.partition('?')[0]}", self.hidden)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`url` has `{name}` for each argument of its path; `media_type` is that of the body, empty for none."""

    method: str
    url: str
    places: Sequence[Place]
    media_type: str = ""
    headers: Mapping[str, str | Secret] = field(default_factory=dict)
    credentials: Sequence[Credential] = ()
    idempotency_header: str | None = None

    def request(self, arguments: Mapping[str, Any], *, key: str) -> Outgoing:
        """The request for these arguments; `key` is the call's idempotency key.

        Raises `ToolError` for an argument that no URL or header can carry, and `InvalidSetting` for a secret that is
        not there.
        """
        url, query, content = self.url, list[tuple[str, str]](), self._content(arguments)
        headers = {name: value.reveal() if isinstance(value, Secret) else value for name, value in self.headers.items()}
        for place in self.places:
            value = arguments.get(place.argument)
            if value is None:
                continue
            if place.where == "path":
                url = url.replace(f"{{{place.wire}}}", _segment(place, value))
            elif place.where == "query":
                query += _pairs(place, value)
            elif place.where == "header":
                headers[place.wire] = _line(place, value)
        hidden = {value.reveal() for value in self.headers.values() if isinstance(value, Secret)}
        for credential in self.credentials:
            headers |= credential.headers()
            query += credential.query()
            hidden |= credential.hidden()
        if content:
            headers["Content-Type"] = self.media_type
        if self.idempotency_header is not None:
            headers[self.idempotency_header] = key
        return Outgoing(self.method, _with(url, query), headers, content, frozenset(hidden))

    def _content(self, arguments: Mapping[str, Any]) -> bytes:
        whole = [place for place in self.places if place.where == "body"]
        fields = {
            place.wire: arguments[place.argument]
            for place in self.places
            if place.where == "field" and place.argument in arguments
        }
        value = arguments.get(whole[0].argument) if whole else fields
        if not self.media_type or (whole and whole[0].argument not in arguments):
            return b""
        if self.media_type == FORM:
            pairs = [(name, _text(one)) for name, found in dict(value or {}).items() for one in _many(found)]
            return urlencode(pairs).encode("ascii")
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _with(url: str, query: Sequence[tuple[str, str]]) -> str:
    if not query:
        return url
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(query, quote_via=quote)}"


def _segment(place: Place, value: Any) -> str:
    text = _joined(place, value)
    if text.strip() in ("", ".", "..") or not text.isprintable():
        raise ToolError(f"{place.argument}={text!r} cannot be a part of a URL's path")
    return quote(text, safe="")


def _line(place: Place, value: Any) -> str:
    text = _joined(place, value)
    if not text.isascii() or not text.isprintable():
        raise ToolError(f"{place.argument}: wanted one line of ASCII text, for a header")
    return text


def _pairs(place: Place, value: Any) -> list[tuple[str, str]]:
    if place.style == "json":
        return [(place.wire, json.dumps(value, ensure_ascii=False))]
    if not place.explode:
        return [(place.wire, _joined(place, value))]
    if isinstance(value, Mapping):
        return [(name, _text(one)) for name, one in value.items()]
    return [(place.wire, _text(one)) for one in _many(value)]


def _joined(place: Place, value: Any) -> str:
    if place.style == "json":
        return json.dumps(value)
    if isinstance(value, Mapping):
        if place.explode:
            return ",".join(f"{name}={_text(one)}" for name, one in value.items())
        value = [part for pair in value.items() for part in pair]
    return _SEPARATORS[place.style].join(map(_text, _many(value)))


def _many(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)
