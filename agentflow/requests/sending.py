"""What may be sent: names, keys and ids of events, and payloads. Refused before anything is stored."""

from __future__ import annotations

import unicodedata
from typing import Any, Final

from agentflow.errors import InvalidName, PayloadTooLarge
from agentflow.payloads import LIMIT, json_text, to_json

LONGEST_NAME: Final = 200
LONGEST_KEY: Final = 500
_UNFIT: Final = frozenset({"Cc", "Cs"})
_SHOWN: Final = 60


def event_name(name: str, *, of: str) -> str:
    """The name of an event, if it can be one: a text without colons. Raises `InvalidName`, which names `of`."""
    wanted = f"wanted a name of 1 to {LONGEST_NAME} characters without colons or control characters"
    if not _is_fit(name, LONGEST_NAME) or not name.strip() or ":" in name:
        raise InvalidName(f"{of}: found the name {_shown(name)}; {wanted}")
    return name


def event_key(key: str, *, of: str) -> str:
    """The key of an event, "" for none. Raises `InvalidName`, which names `of`."""
    if not _is_fit(key, LONGEST_KEY):
        wanted = f"wanted a text of at most {LONGEST_KEY} characters without control characters"
        raise InvalidName(f"{of}: found the key {_shown(key)}; {wanted}")
    return key


def event_id(id: str, *, of: str) -> str:
    """The id its sender gives an event. Raises `InvalidName`, which names `of`."""
    if not _is_fit(id, LONGEST_KEY) or not id.strip():
        wanted = f"wanted a text of 1 to {LONGEST_KEY} characters without control characters"
        raise InvalidName(f"{of}: found the id {_shown(id)}; {wanted}")
    return id


def payload_text(value: Any, *, of: str) -> str:
    """A value as the plain JSON that any system can send and read.

    Raises `NotRecordable` for what has none, or `PayloadTooLarge`, which names `of`.
    """
    text = json_text(to_json(value))
    size = len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
    if size > LIMIT:
        error = PayloadTooLarge(size=size, limit=LIMIT)
        error.args = (f"{of}: {error}",)
        raise error
    return text


def _is_fit(text: object, longest: int) -> bool:
    return (
        isinstance(text, str)
        and len(text) <= longest
        and not any(unicodedata.category(character) in _UNFIT for character in text)
    )


def _shown(text: object) -> str:
    written = repr(text)
    return written if len(written) <= _SHOWN else f"{written[:_SHOWN]}…"
