"""Who may do what: the scopes of API tokens, and the texts that tokens are.

A token's text is `af_ID_SECRET`. The id finds the token and is no secret; of the whole text a digest is stored, never
the text itself.
"""

from __future__ import annotations

import difflib
import hashlib
import hmac
import json
import secrets
import string
from typing import TYPE_CHECKING, Final

from agentflow.errors import InvalidName, InvalidSetting
from agentflow.ids import API_TOKEN, new_id

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

EVERYTHING: Final = "*"
SCOPES: Final = {
    "runs:read": "read runs, their journals and what their agents say",
    "runs:write": "start and steer runs, and tell agents something",
    "approvals:read": "read requests and standing approvals",
    "approvals:decide": "decide requests; make and revoke standing approvals",
    "events:read": "read events, and what they started",
    "events:send": "send events",
    "schedules:read": "read schedules",
    "schedules:write": "make, change, pause and trigger schedules",
    "webhooks:read": "read webhooks and their deliveries",
    "webhooks:write": "deliver again",
    "subscriptions:read": "read subscriptions and what was sent to them",
    "subscriptions:write": "make, change and remove subscriptions",
    "queues:read": "read queues",
    "queues:write": "pause queues and change their limits",
    "costs:read": "read what models cost",
    "tokens:write": "list, make and revoke tokens",
}
"""Every scope with what it allows. No scope brings another with it; `EVERYTHING` is all of them, later ones too."""

MARK: Final = "af"
LETTERS: Final = string.ascii_letters + string.digits
SECRET_LENGTH: Final = 43  # 256 bits
LONGEST_NAME: Final = 100
LONGEST_TEXT: Final = 200
NOBODYS: Final = hashlib.sha256(b"").hexdigest()


def parse_scopes(given: Iterable[str]) -> tuple[str, ...]:
    """The scopes in their own order, each once; beside `EVERYTHING` none is left.

    Raises `InvalidSetting` for none at all, and for one there is not.
    """
    wanted = {one.strip() for one in given} - {""}
    for unknown in sorted(wanted - set(SCOPES) - {EVERYTHING}):
        near = difflib.get_close_matches(unknown, SCOPES, n=1, cutoff=0.5)
        meant = f"did you mean {near[0]}? " if near else ""
        raise InvalidSetting(f"{unknown[:50]!r} is no scope; {meant}There are: {', '.join(SCOPES)}")
    if not wanted:
        raise InvalidSetting(f"a token needs at least one scope. There are: {', '.join(SCOPES)}")
    if EVERYTHING in wanted:
        return (EVERYTHING,)
    return tuple(scope for scope in SCOPES if scope in wanted)


def scopes_of(stored: str) -> tuple[str, ...]:
    """The scopes of a token as its record holds them."""
    return tuple(json.loads(stored))


def allows(held: Collection[str], wanted: str) -> bool:
    """Whether whoever has these scopes may do what needs that one."""
    return EVERYTHING in held or wanted in held


def lacking(held: Collection[str], wanted: Iterable[str]) -> list[str]:
    """Those of the wanted scopes that the holder of these has not: nobody gives what they have not got."""
    return [] if EVERYTHING in held else [one for one in wanted if one not in held]


def token_name(given: str) -> str:
    """A name for a token, under which what is done with it is recorded. Raises `InvalidName`."""
    name = given.strip()
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or ":" in name:
        raise InvalidName(
            f"{given[:50]!r} cannot be the name of a token; wanted 1 to {LONGEST_NAME} characters that can be seen, "
            'without ":". Nothing was made'
        )
    return name


def new_token_text(at: datetime) -> tuple[str, str]:
    """The id of a fresh token and its text, whose secret nobody can guess."""
    token_id = new_id(API_TOKEN, at)
    secret = "".join(secrets.choice(LETTERS) for _ in range(SECRET_LENGTH))
    return token_id, f"{MARK}_{token_id.removeprefix(f'{API_TOKEN}_')}_{secret}"


def id_in(text: str) -> str:
    """The id of the token that a text claims to be; empty where it has not the form of one."""
    mark, _, rest = text.partition("_")
    number, _, secret = rest.partition("_")
    fits = mark == MARK and number.isascii() and number.isalnum() and len(text) <= LONGEST_TEXT and bool(secret)
    return f"{API_TOKEN}_{number}" if fits else ""


def digest_of(text: str) -> str:
    """What is stored of a token or a session's secret."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def is_same(text: str, stored: str | None) -> bool:
    """Whether the digest is that of the text, found out in a time that tells nothing of it; never for no digest."""
    same = hmac.compare_digest(digest_of(text).encode(), (stored or NOBODYS).encode())
    return same and stored is not None
