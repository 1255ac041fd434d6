"""Browser sessions: a signed random id in a cookie, and form tokens that hold for that session only."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

COOKIE: Final = "agentflow_session"
FIELD: Final = "csrf"


def new_session(secret: bytes) -> str:
    """A fresh cookie value: a random id and its signature."""
    identity = secrets.token_urlsafe(24)
    return f"{identity}.{_sign(secret, 'session', identity)}"


def is_session(secret: bytes, cookie: str | None) -> bool:
    """Whether this cookie was made with `secret`."""
    identity, _, signature = (cookie or "").partition(".")
    return bool(identity) and hmac.compare_digest(signature.encode(), _sign(secret, "session", identity).encode())


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
