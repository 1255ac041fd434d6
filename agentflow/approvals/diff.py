"""What a person changed: a list to read, a patch to apply (RFC 6902), and whether anything was changed at all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from agentflow.approvals.alignment import Pairing, aligned
from agentflow.approvals.pointers import Json, Schema, child, trail
from agentflow.approvals.refs import settled
from agentflow.approvals.words import Segment, looks_the_same, words_between
from agentflow.payloads import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator


class ChangeKind(StrEnum):
    """What happened to a part."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference. `pointer` is a place in the final value; for a removed part, in the original."""

    pointer: str
    label: str
    kind: ChangeKind
    old: Json = None
    new: Json = None
    words: tuple[Segment, ...] | None = None
    """For long texts, and for texts that differ only in spaces: what stayed, went and came."""
    note: str = ""
    """What the eye would miss, such as "looks the same: only the Unicode form differs"."""
    moved_from: str = ""


def outcome_of(original: Json, final: Json) -> Literal["approved", "corrected"]:
    """Whether an approval of `final` is a correction: by canonical JSON, so 1.0 typed as 1 is none."""
    return "approved" if canonical(original) == canonical(final) else "corrected"


def changes(original: Json, final: Json, *, schema: Schema | None = None) -> list[Change]:
    """The differences in the order of the original, none when the canonical texts are the same.

    Rows of a list are aligned by what they share, or by the member its schema names as `x-key`.
    """
    return list(_changes(original, final, "", schema or {}, schema or {}))


def patch(original: Json, final: Json) -> list[dict[str, Any]]:
    """RFC 6902 operations that turn `original` into `final`, in the order to apply them."""
    return list(_operations(original, final, ""))


def _changes(old: Json, new: Json, pointer: str, schema: Json, root: Schema) -> Iterator[Change]:
    if canonical(old) == canonical(new):
        return
    flat = settled(schema, new, root) or {}
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _member_changes(old, new, pointer, flat, root)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _row_changes(old, new, pointer, flat, root)
    else:
        texts = isinstance(old, str) and isinstance(new, str)
        words = words_between(old, new) if texts else None
        note = looks_the_same(old, new) if texts else ""
        yield Change(
            pointer=pointer, label=trail(pointer), kind=ChangeKind.CHANGED, old=old, new=new, words=words, note=note
        )


def _member_changes(
    old: dict[str, Json], new: dict[str, Json], pointer: str, flat: Schema, root: Schema
) -> Iterator[Change]:
    properties = flat.get("properties", {})
    for name in dict.fromkeys([*old, *new]):
        place = child(pointer, name)
        if name not in new:
            yield Change(pointer=place, label=trail(place), kind=ChangeKind.REMOVED, old=old[name])
        elif name not in old:
            yield Change(pointer=place, label=trail(place), kind=ChangeKind.ADDED, new=new[name])
        else:
            yield from _changes(old[name], new[name], place, properties.get(name, {}), root)


def _row_changes(old: list[Json], new: list[Json], pointer: str, flat: Schema, root: Schema) -> Iterator[Change]:
    pairing = aligned(old, new, key=flat.get("x-key"))
    for place in pairing.removed:
        where = child(pointer, place)
        yield Change(pointer=where, label=trail(where), kind=ChangeKind.REMOVED, old=old[place])
    for source, place in pairing.moved:
        where, before = child(pointer, place), child(pointer, source)
        change = Change(
            pointer=where, label=trail(where), kind=ChangeKind.MOVED, old=old[source], new=new[place], moved_from=before
        )
        yield change
        yield from _changes(old[source], new[place], where, flat.get("items", {}), root)
    for source, place in pairing.kept:
        yield from _changes(old[source], new[place], child(pointer, place), flat.get("items", {}), root)
    for place in pairing.added:
        where = child(pointer, place)
        yield Change(pointer=where, label=trail(where), kind=ChangeKind.ADDED, new=new[place])


def _operations(old: Json, new: Json, pointer: str) -> Iterator[dict[str, Any]]:
    if canonical(old) == canonical(new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in old:
            if name in new:
                yield from _operations(old[name], new[name], child(pointer, name))
            else:
                yield {"op": "remove", "path": child(pointer, name)}
        for name in new:
            if name not in old:
                yield {"op": "add", "path": child(pointer, name), "value": new[name]}
    elif isinstance(old, list) and isinstance(new, list):
        yield from _row_operations(aligned(old, new).without_moves(), old, new, pointer)
    else:
        yield {"op": "replace", "path": pointer, "value": new}


def _row_operations(pairing: Pairing, old: list[Json], new: list[Json], pointer: str) -> Iterator[dict[str, Any]]:
    """Removals from the end, then additions from the start: after these every kept row is at its final place."""
    for place in sorted(pairing.removed, reverse=True):
        yield {"op": "remove", "path": child(pointer, place)}
    for place in sorted(pairing.added):
        yield {"op": "add", "path": child(pointer, place), "value": new[place]}
    for source, place in pairing.kept:
        yield from _operations(old[source], new[place], child(pointer, place))
