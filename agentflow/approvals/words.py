"""The difference of two texts word by word, with the spaces shown where only they differ."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, Literal

_LONG: Final = 40
_EFFORT: Final = 4_000_000
_WORD: Final = re.compile(r"\w+|\s+|[^\w\s]")
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_MARKS: Final = str.maketrans({" ": "␠", "\t": "⇥", "\n": "⏎\n", "\r": "␍", "\u00a0": "⍽"})


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a difference: the same in both, inserted, or deleted."""

    kind: Literal["same", "ins", "del"]
    text: str


def words_between(old: str, new: str) -> tuple[Segment, ...] | None:
    """The segments from one text to another; None for short texts, which are clearer one after the other."""
    only_spaces = "".join(old.split()) == "".join(new.split())
    if not only_spaces and max(len(old), len(new)) <= _LONG:
        return None
    segments = _segments(old, new)
    if not only_spaces:
        return segments
    return tuple(one if one.kind == "same" else Segment(one.kind, one.text.translate(_MARKS)) for one in segments)


def looks_the_same(old: str, new: str) -> str:
    """A note when the eye can't tell the texts apart, else ""."""
    if unicodedata.normalize("NFC", old) == unicodedata.normalize("NFC", new):
        return "looks the same: only the Unicode form differs"
    return "only spaces or line ends differ" if "".join(old.split()) == "".join(new.split()) else ""


def _segments(old: str, new: str) -> tuple[Segment, ...]:
    before, after = _WORD.findall(old), _WORD.findall(new)
    if len(before) * len(after) > _EFFORT:
        before, after = _LINE.findall(old), _LINE.findall(new)
    if len(before) * len(after) > _EFFORT:
        return (Segment("del", old), Segment("ins", new))
    segments: list[Segment] = []
    for tag, first, last, start, end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            segments.append(Segment("same", "".join(before[first:last])))
            continue
        segments += [Segment("del", "".join(before[first:last]))] if last > first else []
        segments += [Segment("ins", "".join(after[start:end]))] if end > start else []
    return tuple(segments)
