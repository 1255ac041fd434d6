"""What a verified body says of itself: a text member of the object that it is."""

from __future__ import annotations

import json

from agentflow.verifiers.base import DELIVERY_ID


def text_member(body: bytes, name: str) -> str | None:
    """The member, if the body is a JSON object in which it is a text of 1 to 255 visible ASCII characters.

    A body that is none, or nested too deep to be read, has no members; why is for whoever decodes it to say.
    """
    try:
        found = json.loads(body.decode())  # UTF-8 and nothing else, as whoever decodes it reads it
    except (ValueError, RecursionError):
        return None
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, str) and DELIVERY_ID.fullmatch(value) else None
