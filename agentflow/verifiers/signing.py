"""Standard Webhooks 1.0.0, symmetric (`v1`): what is signed, and with which secrets.

The format is public: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Final

from agentflow.errors import InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  the format's prefix, no secret
FEWEST_BYTES: Final = 24
MESSAGE_ID: Final = re.compile(r"[!-\-/-~]{1,255}")  # visible ASCII but the dot, which separates what is signed


def sign(secrets: Sequence[str], id: str, at: datetime, body: bytes) -> Mapping[str, str]:
    """The three headers that prove where `body` comes from: one signature for each secret, the first secret's first.

    `id` names the message and stays the same however often it is sent, while `at` is the time of this attempt. Raises
    `InvalidSetting`, without showing it, for a secret that cannot sign, and for an id that could be read in two ways.
    """
    if not MESSAGE_ID.fullmatch(id):
        raise InvalidSetting(f"message id {id[:50]!r}: wanted 1 to 255 visible ASCII characters without a dot")
    if not secrets:
        raise InvalidSetting(f"message {id} cannot be signed: there is no secret")
    stamp = str(int(at.timestamp()))
    signatures = [signature(key_of(secret), id, stamp, body) for secret in secrets]
    return {"webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": " ".join(signatures)}


def signature(key: bytes, id: str, stamp: str, body: bytes) -> str:
    """One signature as it stands in the header, its version in front."""
    digest = hmac.new(key, f"{id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def key_of(secret: str) -> bytes:
    """The key that a secret's text stands for. Raises `InvalidSetting`, without showing it, if it cannot sign."""
    text = secret.removeprefix(SECRET_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidSetting(
            f'a Standard Webhooks secret is base64, usually after "{SECRET_PREFIX}"; this one is not'
        ) from None
    if len(key) < FEWEST_BYTES:
        raise InvalidSetting(f"a Standard Webhooks secret has at least {FEWEST_BYTES} bytes; this one has {len(key)}")
    return key
