"""What is kept of a request: its body as a text, and its headers without those that hold a secret."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

SECRETIVE: Final = re.compile(
    r"authori[sz]ation|authentication|cookie|signature|secret|token|passw|passphrase|credential|jwt|hmac|session"
    r"|(?:api|access|auth|shared|private|signing|webhook)[-_]?key|(?:^|[-_])(?:auth|bearer|sig|sign|pwd)(?:$|[-_])"
)
TEXT, BASE64 = "utf-8", "base64"


def text_of(body: bytes) -> tuple[str, str]:
    """The text that is stored for a body, and its encoding: base64 for one that no database keeps as a text."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "\0"
    return (base64.b64encode(body).decode(), BASE64) if "\0" in text else (text, TEXT)


def body_of(text: str, encoding: str) -> bytes:
    """The body that was stored so."""
    return base64.b64decode(text) if encoding == BASE64 else text.encode()


def kept_headers(headers: Iterable[tuple[str, str]], hidden: Collection[str]) -> list[tuple[str, str]]:
    """The headers that may be stored, by lower-case name: not those that are `hidden`, nor others that sound secret.

    A sender that signs in two ways, or a proxy that adds its own proof, brings more than the verifier knows of.
    """
    lower = ((name.lower(), value) for name, value in headers)
    return [(name, value) for name, value in lower if name not in hidden and not SECRETIVE.search(name)]


def by_name(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The headers by name, those of one name joined as HTTP allows."""
    found: dict[str, str] = {}
    for name, value in headers:
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found
