"""Which row of one list is which of another: by a key, else by what is equal in the same order, else by place."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import TYPE_CHECKING

from agentflow.payloads import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.approvals.pointers import Json

_EFFORT = 4_000_000
"""Comparisons beyond which rows between the common ends are paired by place."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """Places in the old and the new list. `kept` rows are in the same order in both, `moved` ones are not."""

    kept: tuple[tuple[int, int], ...]
    moved: tuple[tuple[int, int], ...]
    removed: tuple[int, ...]
    added: tuple[int, ...]

    def without_moves(self) -> Pairing:
        """The same with each move as a removal and an addition."""
        removed = tuple(sorted([*self.removed, *(source for source, _ in self.moved)]))
        added = tuple(sorted([*self.added, *(place for _, place in self.moved)]))
        return Pairing(self.kept, (), removed, added)


def aligned(old: Sequence[Json], new: Sequence[Json], *, key: str | None = None) -> Pairing:
    """Pair the rows of two lists; `key` names the member that says which row is which, if all rows have it once."""
    by_key = key is not None and _identifies(key, old) and _identifies(key, new)
    before, after = ([_name(row, key if by_key else None) for row in rows] for rows in (old, new))
    same = _in_order(before, after)
    left = sorted(set(range(len(old))) - {source for source, _ in same})
    right = sorted(set(range(len(new))) - {place for _, place in same})
    moved = _moved(left, right, before, after)
    left = [source for source in left if source not in {pair[0] for pair in moved}]
    right = [place for place in right if place not in {pair[1] for pair in moved}]
    changed = [] if by_key else _alike(left, right, same, old, new)
    gone = [source for source in left if source not in {pair[0] for pair in changed}]
    come = [place for place in right if place not in {pair[1] for pair in changed}]
    return Pairing(tuple(sorted([*same, *changed])), tuple(moved), tuple(gone), tuple(come))


def _identifies(key: str, rows: Sequence[Json]) -> bool:
    found = [canonical(row[key]) for row in rows if isinstance(row, dict) and key in row]
    return len(found) == len(rows) == len(set(found))


def _name(row: Json, key: str | None) -> str:
    return canonical(row if key is None else row[key])


def _in_order(before: list[str], after: list[str]) -> list[tuple[int, int]]:
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    pairs = [(place, place) for place in range(start)]
    middle_before, middle_after = before[start : len(before) - end], after[start : len(after) - end]
    if len(middle_before) * len(middle_after) <= _EFFORT:
        matcher = SequenceMatcher(None, middle_before, middle_after, autojunk=False)
        for block in matcher.get_matching_blocks():
            pairs += [(start + block.a + step, start + block.b + step) for step in range(block.size)]
    pairs += [(len(before) - end + step, len(after) - end + step) for step in range(end)]
    return pairs


def _moved(left: list[int], right: list[int], before: list[str], after: list[str]) -> list[tuple[int, int]]:
    """Rows that are in both lists exactly once among the unpaired, at another place."""
    sources, places = Counter(before[place] for place in left), Counter(after[place] for place in right)
    where = {before[place]: place for place in left if sources[before[place]] == 1}
    return [(where[after[place]], place) for place in right if places[after[place]] == 1 and after[place] in where]


def _alike(
    left: list[int], right: list[int], same: list[tuple[int, int]], old: Sequence[Json], new: Sequence[Json]
) -> list[tuple[int, int]]:
    """Unpaired rows between the same neighbours, of the same type, taken as one row that was changed."""
    gaps = [(-1, -1), *sorted(same), (len(old), len(new))]
    pairs: list[tuple[int, int]] = []
    for (first_old, first_new), (last_old, last_new) in pairwise(gaps):
        sources = [place for place in left if first_old < place < last_old]
        places = [place for place in right if first_new < place < last_new]
        pairs += [
            (source, place)
            for source, place in zip(sources, places, strict=False)
            if type(old[source]) is type(new[place])
        ]
    return pairs
