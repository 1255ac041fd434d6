"""Browser sessions: a signed random id in a cookie, and form tokens that hold for that session only.

A session says nothing of who has it: whether somebody signed in with it, and by which token, the database knows.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from litestar.datastructures import Cookie

from agentflow.client import LONGEST_SESSION

if TYPE_CHECKING:
    from typing import Any

    from litestar import Request

COOKIE: Final = "agentflow_session"
FIELD: Final = "csrf"
AT_ONCE: Final = timedelta(0)


def cookie_name(scheme: str) -> str:
    """The cookie's name; over https one that only this host itself can have set."""
    return f"__Host-{COOKIE}" if scheme == "https" else COOKIE


def cookie(request: Request[Any, Any, Any], value: str, *, lasts: timedelta = LONGEST_SESSION) -> Cookie:
    """The session's cookie: out of reach of scripts, and of what other sites post."""
    scheme = request.url.scheme
    return Cookie(
        key=cookie_name(scheme),
        value=value,
        path="/",
        httponly=True,
        samesite="lax",
        secure=scheme == "https",
        max_age=int(lasts.total_seconds()),
    )


def sent_cookie(request: Request[Any, Any, Any]) -> str | None:
    """The cookie's value as the browser sent it."""
    return request.cookies.get(cookie_name(request.url.scheme))


def new_session(secret: bytes) -> str:
    """A fresh cookie value: a random id and its signature."""
    identity = secrets.token_urlsafe(32)
    return f"{identity}.{_sign(secret, 'session', identity)}"


def is_session(secret: bytes, cookie: str | None) -> bool:
    """Whether this cookie was made with `secret`."""
    return bool(identity_in(secret, cookie))


def identity_in(secret: bytes, cookie: str | None) -> str:
    """The random id in a cookie that was made with `secret`; empty for any other."""
    identity, _, signature = (cookie or "").partition(".")
    holds = hmac.compare_digest(signature.encode(), _sign(secret, "session", identity).encode())
    return identity if holds else ""


def form_token(secret: bytes, cookie: str) -> str:
    """The token a form of this session carries. Another session's token, or another site's, never equals it."""
    return _sign(secret, "form", cookie)


def token_holds(secret: bytes, cookie: str | None, token: str) -> bool:
    """Whether `token` was given to the very session of `cookie`."""
    if cookie is None or not is_session(secret, cookie):
        return False
    return hmac.compare_digest(token.encode(), form_token(secret, cookie).encode())


def _sign(secret: bytes, purpose: str, text: str) -> str:
    return hmac.new(secret, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()
