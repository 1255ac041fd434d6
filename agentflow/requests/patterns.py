"""Patterns of event names: texts divided by dots, in which `*` stands for a part, or at the end for all that follows.

`invoice.*` fits `invoice.paid` and `invoice.line.added`, `invoice.*.paid` fits `invoice.12.paid`; `*` fits every name.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from agentflow.errors import InvalidName
from agentflow.requests.sending import LONGEST_NAME

ANY: Final = "*"
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SHOWN: Final = 60


def event_pattern(pattern: str, *, of: str) -> str:
    """The pattern, if it can be one. Raises `InvalidName`, which names `of` and the nearest that can."""
    if not isinstance(pattern, str):
        raise InvalidName(f"{of}: found the pattern {pattern!r}; wanted a text such as 'invoice.*'")
    close = _nearest(pattern)
    if close != pattern or not close:
        raise InvalidName(f"{of}: found the pattern {pattern[:_SHOWN]!r}, {_what_is_wrong(pattern)}; {_meant(close)}")
    return pattern


@lru_cache(maxsize=4096)
def fits(pattern: str, name: str) -> bool:
    """Whether an event of this name is one of the pattern's."""
    if ANY not in pattern:
        return pattern == name
    wanted, found = pattern.split("."), name.split(".")
    if wanted[-1] == ANY:
        wanted.pop()
        if len(found) <= len(wanted):
            return False
        found = found[: len(wanted)]
    return len(wanted) == len(found) and all(part in {ANY, here} for part, here in zip(wanted, found, strict=True))


def _nearest(pattern: str) -> str:
    """The pattern itself, or the one nearest to it that can be one."""
    cleaned = _UNFIT.sub("", pattern).replace(":", ".").strip()
    if _has_empty(cleaned) or any(ANY in part and part != ANY for part in cleaned.split(".")):
        cleaned = ".".join(piece for part in cleaned.split(".") for piece in _pieces(part.strip()))
    return cleaned[:LONGEST_NAME].rstrip(".")


def _has_empty(text: str) -> bool:
    return "" in text.split(".")


def _pieces(part: str) -> list[str]:
    """What a part may have been meant as: a star beside the text it is written to, or in place of it."""
    text = part.strip(ANY)
    if not text:
        return [ANY] if part else []
    if ANY in text or (part[0] == part[-1] == ANY):
        return [ANY]
    return [ANY, text] if part[0] == ANY else [text, ANY] if part[-1] == ANY else [text]


def _what_is_wrong(pattern: str) -> str:
    wrong = (
        (not pattern.strip(), "which is empty"),
        (bool(_UNFIT.search(pattern)), "with a control character in it"),
        (":" in pattern, "with a colon, which no event's name has"),
        (len(pattern) > LONGEST_NAME, f"which is longer than {LONGEST_NAME} characters"),
        (pattern != pattern.strip(), "with a space around it"),
        (_has_empty(pattern), "with nothing between two dots or at an end"),
    )
    return next((said for is_so, said in wrong if is_so), "in which * is not a whole part between dots")


def _meant(close: str) -> str:
    return f"did you mean {close!r}?" if close else "wanted a name such as 'invoice.paid', or one such as 'invoice.*'"
