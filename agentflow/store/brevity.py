"""Texts that every waiting run holds, written shorter in its rows: a hundred thousand of them are what a database is.

Nothing outside the store sees the short form. What does not look exactly like the long one is stored as it is, and so
read again as it was; rows of earlier releases have the long form.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

from agentflow.states import Verdict

USUAL: Final = f"{Verdict.APPROVE},{Verdict.CORRECT},{Verdict.REJECT}"
"""The verdicts that nearly every approval allows, written as nothing: one that allows none cannot be asked for."""
_ALGORITHM: Final = "sha256:"
_SHORT_DIGEST: Final = re.compile(r"[0-9A-Za-z+/]{43}")
_LONG_DIGEST: Final = re.compile(rf"{_ALGORITHM}([0-9a-f]{{64}})")
_ASKED: Final = '{{"approval": "{}", "digest": "{}"}}'
_SHORT_ASKED: Final = re.compile(rf"([0-9a-z_]+) ({_SHORT_DIGEST.pattern})")
_LONG_ASKED: Final = re.compile(rf'{{"approval": "([0-9a-z_]+)", "digest": "({_LONG_DIGEST.pattern})"}}')


def short_digest(digest: str) -> str:
    """A digest by 43 letters instead of 71."""
    found = _LONG_DIGEST.fullmatch(digest)
    if found is None:
        return digest
    return binascii.b2a_base64(bytes.fromhex(found[1]), newline=False)[:-1].decode()


def long_digest(stored: str) -> str:
    """The digest again."""
    if _SHORT_DIGEST.fullmatch(stored) is None:
        return stored
    return _ALGORITHM + binascii.a2b_base64(f"{stored}=").hex()


def short_asked(detail: str) -> str:
    """What a gate's entry says of its approval: whose id, which digest."""
    found = _LONG_ASKED.fullmatch(detail)
    return detail if found is None else f"{found[1]} {short_digest(found[2])}"


def long_asked(stored: str) -> str:
    """The entry's detail again."""
    found = _SHORT_ASKED.fullmatch(stored)
    return stored if found is None else _ASKED.format(found[1], long_digest(found[2]))


def short_object(text: str) -> str:
    """A JSON object, mostly an empty one."""
    return "" if text == "{}" else text


def long_object(stored: str) -> str:
    """The object again."""
    return stored or "{}"


def short_allow(allow: str) -> str:
    """The verdicts that an approval allows."""
    return "" if allow == USUAL else allow


def long_allow(stored: str) -> str:
    """The verdicts again."""
    return stored or USUAL
