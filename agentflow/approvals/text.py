"""Text written by somebody else, made safe to look at: nothing hidden stays hidden."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

_C0 = (
    *("NULL", "START OF HEADING", "START OF TEXT", "END OF TEXT", "END OF TRANSMISSION", "ENQUIRY", "ACKNOWLEDGE"),
    *("BELL", "BACKSPACE", "CHARACTER TABULATION", "LINE FEED", "LINE TABULATION", "FORM FEED", "CARRIAGE RETURN"),
    *("SHIFT OUT", "SHIFT IN", "DATA LINK ESCAPE", "DEVICE CONTROL ONE", "DEVICE CONTROL TWO", "DEVICE CONTROL THREE"),
    *("DEVICE CONTROL FOUR", "NEGATIVE ACKNOWLEDGE", "SYNCHRONOUS IDLE", "END OF TRANSMISSION BLOCK", "CANCEL"),
    *(
        "END OF MEDIUM",
        "SUBSTITUTE",
        "ESCAPE",
        "FILE SEPARATOR",
        "GROUP SEPARATOR",
        "RECORD SEPARATOR",
        "UNIT SEPARATOR",
    ),
)

# Blank or invisible although their category does not say so: combining grapheme joiner, Hangul fillers, Khmer inherent
# vowels, Mongolian selectors, line and paragraph separators, the blank Braille cell, variation selectors, tags.
_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2028\u2029\u2800\u3164\ufe00-\ufe0d\uffa0\U000e0000-\U000e0fff"


def _category_ranges(wanted: frozenset[str]) -> str:
    """A character class of every code point of these categories; past U+1FFFF there are only tags, in `_BLANK`."""
    ranges: list[list[int]] = []
    for point in range(0x20000):
        if unicodedata.category(chr(point)) not in wanted or chr(point) in "\n\t\r":
            continue
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


@cache
def _hidden() -> re.Pattern[str]:
    # A CR before an LF is an ordinary line end. U+FE0E and U+FE0F choose between text and emoji, once; a series of them
    # carries a message nobody sees.
    ranges = _category_ranges(frozenset({"Cc", "Cf", "Cs"}))
    return re.compile(rf"\r(?!\n)|(?<=[\ufe0e\ufe0f])[\ufe0e\ufe0f]|[{ranges}{_BLANK}]")


_WORD = re.compile(r"[^\W\d_]+")
_LOOKALIKES = ("CYRILLIC", "GREEK")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text to print. A hidden one prints as its mark, such as "⟨U+202E RIGHT-TO-LEFT OVERRIDE⟩"."""

    text: str
    hidden: bool = False
    name: str = ""


def visible(text: str) -> list[Piece]:
    """The text in pieces; each character that would not be seen is a piece of its own that names it."""
    pieces: list[Piece] = []
    shown = 0
    for hit in _hidden().finditer(text):
        if hit.start() > shown:
            pieces.append(Piece(text[shown : hit.start()]))
        name = _name(hit.group())
        pieces.append(Piece(f"⟨U+{ord(hit.group()):04X} {name}⟩", hidden=True, name=name))
        shown = hit.end()
    if shown < len(text):
        pieces.append(Piece(text[shown:]))
    return pieces


def has_hidden(text: str) -> bool:
    """The text holds a character that would not be seen or that changes the order of others."""
    return _hidden().search(text) is not None


def escape_hidden(text: str) -> str:
    """JSON text with each hidden character in its strings written as an escape: it parses to the same value."""
    return _hidden().sub(_escape, text)


def mixed_scripts(text: str) -> bool:
    """A word mixes Latin letters with Cyrillic or Greek ones, as look-alike names do."""
    if text.isascii():
        return False
    return any(_mixes(word) for word in _WORD.findall(text) if not word.isascii())


def _escape(hit: re.Match[str]) -> str:
    units = hit.group().encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def _mixes(word: str) -> bool:
    scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in word}
    return "LATIN" in scripts and any(script in scripts for script in _LOOKALIKES)


def _name(character: str) -> str:
    point = ord(character)
    if point < len(_C0):
        return _C0[point]
    if unicodedata.category(character) == "Cs":
        return "LONE SURROGATE"
    return unicodedata.name(character, "DELETE" if point == 0x7F else "CONTROL" if point < 0xA0 else "UNNAMED")  # noqa: PLR2004 - the bounds of C1
