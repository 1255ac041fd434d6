"""Names that every provider of models takes: letters, digits, `_` and `-`, at most 64 of them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST: Final = 64
_OTHER: Final = re.compile(r"[^A-Za-z0-9_-]+", re.ASCII)


def valid(name: str) -> str:
    """The name with what is not allowed in one made `_`; a name that would be too long ends in its digest."""
    made = _OTHER.sub("_", name).strip("_") or "unnamed"
    return made if len(made) <= LONGEST else f"{made[: LONGEST - 9]}_{_digest(name)}"


def distinct(wanted: Sequence[tuple[str, str]]) -> list[str]:
    """A valid name for each pair of a name and what it stands for.

    Where several come to the same, each gets the digest of what it stands for: none is named by its place in a list,
    which another entry would change.
    """
    names = [valid(name) for name, _ in wanted]
    counts = Counter(names)
    return [
        name if counts[name] == 1 else f"{name[: LONGEST - 9]}_{_digest(meant)}"
        for name, (_, meant) in zip(names, wanted, strict=True)
    ]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
