"""Well-known licences by the phrases only their texts have."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

CERTAIN: Final = 0.9
WORDY: Final = 1.8  # a file this much longer than the licence holds something else as well
LONG_FILE: Final = 0.8
_WORD: Final = re.compile(r"[a-z0-9]+")
_QUOTED_LINES: Final = 3


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells a licence's text: its phrases, those that would make it another licence, and its length in words."""

    expression: str
    words: int
    phrases: tuple[str, ...]
    without: tuple[str, ...] = ()
    certain: float = CERTAIN


@dataclass(frozen=True, slots=True)
class Match:
    """A licence recognised in a text, how surely, and the lines that gave it away."""

    expression: str
    confidence: float
    lines: str


_MIT_GRANT = (
    "permission is hereby granted free of charge to any person obtaining a copy of this software and associated"
)
_MIT_NOTICE = "the above copyright notice and this permission notice shall be included in all copies"
_BSD = (
    "redistribution and use in source and binary forms with or without modification are permitted provided that",
    "redistributions of source code must retain the above copyright notice",
    "redistributions in binary form must reproduce the above copyright notice",
)
_ENDORSE = "endorse or promote products derived from this software without specific prior written permission"
_ADVERTISING = "all advertising materials mentioning features or use of this software must display"
_ISC_GRANT = "distribute this software for any purpose with or without fee is hereby granted"
_ISC_NOTICE = "provided that the above copyright notice and this permission notice appear in all copies"
_PSF = (
    "python software foundation license version 2",
    "psf hereby grants licensee a nonexclusive royalty free world wide",
)
_APACHE, _MPL = "apache license version 2 0 january 2004", "means covered software of a particular contributor"
_CNRI, _BEOPEN = "cnri license agreement", "beopen com license agreement for python 2 0"
_NOTICE = 0.7  # a notice that names a licence, without its text
_OR_LATER = 0.6  # the text of a GNU licence does not say whether later versions may be used

FINGERPRINTS: Final = (
    Fingerprint("MIT", 170, (_MIT_GRANT, _MIT_NOTICE, "the software is provided as is without warranty of any kind")),
    Fingerprint(
        "MIT-0", 140, (_MIT_GRANT, "the software is provided as is without warranty of any kind"), (_MIT_NOTICE,)
    ),
    Fingerprint("BSD-2-Clause", 200, _BSD, (_ENDORSE, _ADVERTISING)),
    Fingerprint("BSD-3-Clause", 230, (*_BSD, _ENDORSE), (_ADVERTISING,)),
    Fingerprint("BSD-4-Clause", 250, (*_BSD, _ENDORSE, _ADVERTISING)),
    Fingerprint("ISC", 130, (_ISC_GRANT, _ISC_NOTICE)),
    Fingerprint("0BSD", 110, (_ISC_GRANT, "the software is provided as is and the author disclaims"), (_ISC_NOTICE,)),
    Fingerprint(
        "Apache-2.0",
        1700,
        (_APACHE, "grant of copyright license subject to", "grant of patent license subject to"),
    ),
    Fingerprint(
        "Zlib",
        150,
        (
            "this software is provided as is without any express or implied warranty",
            "altered source versions must be plainly marked as such",
            "this notice may not be removed or altered from any source distribution",
        ),
    ),
    Fingerprint("Unlicense", 220, ("this is free and unencumbered software released into the public domain",)),
    Fingerprint("BSL-1.0", 230, ("boost software license version 1 0 august 17th 2003",)),
    Fingerprint("CC0-1.0", 1100, ("cc0 1 0 universal", "waiver to the greatest extent permitted by")),
    Fingerprint("MPL-2.0", 2700, ("mozilla public license version 2 0", _MPL)),
    Fingerprint("PSF-2.0", 450, _PSF, (_CNRI, _BEOPEN)),
    Fingerprint("Python-2.0", 2200, (*_PSF, _CNRI, _BEOPEN)),
    Fingerprint(
        "Apache-2.0",
        130,
        ("licensed under the apache license version 2 0", "you may not use this file except in"),
        (_APACHE,),
        _NOTICE,
    ),
    Fingerprint("MPL-2.0", 120, ("subject to the terms of the mozilla public license v 2 0",), (_MPL,), _NOTICE),
    Fingerprint("ZPL-2.1", 400, ("zope public license zpl version 2 1",)),
    Fingerprint("EPL-2.0", 2500, ("eclipse public license v 2 0", "means eclipse foundation inc")),
    Fingerprint("GPL-2.0-only", 3100, ("gnu general public license version 2 june 1991",), certain=_OR_LATER),
    Fingerprint("GPL-3.0-only", 5800, ("gnu general public license version 3 29 june 2007",), certain=_OR_LATER),
    Fingerprint(
        "LGPL-2.1-only", 4500, ("gnu lesser general public license version 2 1 february 1999",), certain=_OR_LATER
    ),
    Fingerprint(
        "LGPL-3.0-only", 1300, ("gnu lesser general public license version 3 29 june 2007",), certain=_OR_LATER
    ),
    Fingerprint(
        "AGPL-3.0-only", 5700, ("gnu affero general public license version 3 19 november 2007",), certain=_OR_LATER
    ),
)


def recognise(text: str) -> list[Match]:
    """The licences whose whole fingerprint is in the text; when there is none, the one most of whose phrases are.

    Two or more recognised in one text lower none of their confidences: joining them is the caller's question.
    """
    words = _words(text)
    joined = " ".join(word for word, _ in words)
    whole = [one for one in FINGERPRINTS if _share(one, joined) == 1.0]
    if whole:
        return [_match(one, 1.0, text, words, joined) for one in whole]
    share, nearest = max(((_share(one, joined), one) for one in FINGERPRINTS), key=lambda pair: pair[0])
    return [_match(nearest, share, text, words, joined)] if share > 0.5 else []  # noqa: PLR2004  most of its phrases


def _share(fingerprint: Fingerprint, joined: str) -> float:
    if any(phrase in joined for phrase in fingerprint.without):
        return 0.0
    return sum(phrase in joined for phrase in fingerprint.phrases) / len(fingerprint.phrases)


def _words(text: str) -> list[tuple[str, int]]:
    """The words of a text, in lower case and without punctuation, each with the number of its line."""
    return [(word, number) for number, line in enumerate(text.splitlines()) for word in _WORD.findall(line.lower())]


def _match(one: Fingerprint, share: float, text: str, words: list[tuple[str, int]], joined: str) -> Match:
    length = LONG_FILE if len(words) > one.words * WORDY else 1.0
    first = next(phrase for phrase in one.phrases if phrase in joined)
    start = joined[: joined.index(first)].count(" ")
    number = words[start][1]
    lines = [line.strip() for line in text.splitlines()[number : number + _QUOTED_LINES]]
    return Match(one.expression, round(one.certain * share * length, 2), "\n".join(lines).strip())
