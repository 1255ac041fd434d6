"""What every request must pass before anything reads it, and what every response carries, errors included.

It wraps Litestar's own dispatch, so that a 404, a 405 or a refused body has the same headers as a page.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from approvals_ui.problems import PROBLEM_JSON, kind_of

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Other hosts and senders are the purpose of these: a webhook proves itself by its signature, a callback by its token.
PROVEN: Final = ("/hooks/", "/api/v1/callbacks/")
FORMS_TOO: Final = ("/api/",)
BEARER: Final = "bearer "  # no page of another site can have a browser send it unless we said that it may

CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
)
REFERENCE_POLICY: Final = CONTENT_POLICY.replace("img-src 'self'", "img-src 'self' data:")  # Swagger UI's own arrows

HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Protection:
    """Refuses requests for foreign hosts and state changes asked by foreign pages; adds the headers to the rest."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str] = ()) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                _protect(MutableScopeHeaders.from_message(message), scope["path"])
            await send(message)

        refusal = None if scope["path"].startswith(PROVEN) else self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, protected)
        else:
            await _refuse(protected, *refusal, path=scope["path"])

    def _refusal(self, scope: HTTPScope) -> tuple[int, str] | None:
        headers = Headers.from_scope(scope)
        host = headers.get("host", "")
        if not self._serves(host):
            return 421, "This inbox does not answer to that host name. Open it under the address it printed at start."
        if scope["method"] in SAFE_METHODS or headers.get("authorization", "")[:7].lower() == BEARER:
            return None
        strict = scope["path"].startswith(FORMS_TOO)
        if not _same_origin(headers, f"{scope['scheme']}://{host}", strict=strict):
            return 403, "A page of another site asked for this change. Nothing was changed."
        return None

    def _serves(self, host: str) -> bool:
        """A name that somebody else's DNS may point at this machine is not ours."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name == "localhost" or name in self._hosts or "*" in self._hosts or _is_loopback(name)


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _same_origin(headers: Headers, own: str, *, strict: bool) -> bool:
    """Browsers say where a request comes from; programs say nothing.

    Under `no-referrer` a browser sends `Origin: null` with our own forms, so "null" proves nothing either way: forms
    are decided by their token, while the API, which has none, wants Sec-Fetch-Site to vouch for it.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        return False
    if origin in (None, own):
        return True
    return origin == "null" and (site == "same-origin" or not strict)


def _protect(headers: MutableScopeHeaders, path: str) -> None:
    for name, value in HEADERS.items():
        headers[name] = value
    headers["content-security-policy"] = REFERENCE_POLICY if path.startswith("/schema") else CONTENT_POLICY
    headers["cache-control"] = "no-cache" if path.startswith(("/static/", "/schema/assets/")) else "no-store"


async def _refuse(send: Send, status: int, text: str, *, path: str) -> None:
    """A text for people, and for programs a problem document as everywhere in the API."""
    kind, body = b"text/plain; charset=utf-8", text.encode()
    if path.startswith(FORMS_TOO):
        title = HTTPStatus(status).phrase
        problem = {"type": kind_of(title), "title": title, "status": status, "detail": text}
        kind, body = PROBLEM_JSON.encode(), json.dumps(problem).encode()
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
