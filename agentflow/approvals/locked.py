"""What a person may not change: parts whose schema is `readOnly`, compared with the original."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from agentflow.approvals.pointers import ABSENT, Absent, Json, Schema, child, member
from agentflow.approvals.problems import Problem
from agentflow.approvals.refs import parts, resolve, settled
from agentflow.approvals.sentences import quote
from agentflow.payloads import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator


def locked_changes(schema: Schema, original: Json, final: Json) -> list[Problem]:
    """Each locked part that `final` has otherwise than `original`. Rows may move or go with their locked parts.

    A part that holds locked ones may be emptied as a whole; a locked field of something added must not be sent.
    """
    if canonical(original) == canonical(final):
        return []
    return list(_compared(schema, original, final, "", schema))


def _compared(
    schema: Json, before: Json | Absent, after: Json | Absent, pointer: str, root: Schema
) -> Iterator[Problem]:
    if _is_locked(schema, root):
        if _text(before) != _text(after):
            found = "nothing" if after is ABSENT else quote(after)
            yield Problem(pointer=pointer, message=f"cannot be changed; found {found}", found=found, tampered=True)
        return
    flat = settled(schema, after, root)
    if flat is None:
        return
    if isinstance(after, list) and "prefixItems" not in flat:
        yield from _compared_rows(flat, before if isinstance(before, list) else [], after, pointer, root)
    elif isinstance(after, dict | list):
        for token, part, inner in parts(flat, after):
            yield from _compared(part, member(before, token), inner, child(pointer, token), root)


def _compared_rows(
    flat: Schema, before: list[Json], after: list[Json], pointer: str, root: Schema
) -> Iterator[Problem]:
    """Each row against the original row with the same locked parts, the one at the same place first."""
    item = flat.get("items", True)
    by_locks: dict[str, list[int]] = defaultdict(list)
    for number, known in enumerate(before):
        by_locks[_locks(item, known, root)].append(number)
    for place, row in enumerate(after):
        locks = _locks(item, row, root)
        same = by_locks[locks]
        source = place if place in same else same[0] if same else None
        if source is not None:
            same.remove(source)
        elif locks != _NO_LOCKS and place < len(before):
            source = place
        was = ABSENT if source is None else before[source]
        yield from _compared(item, was, row, child(pointer, place), root)


_NO_LOCKS = canonical([])


def _locks(schema: Json, value: Json | Absent, root: Schema) -> str:
    """The locked parts of a row as one text; lists inside it are compared by themselves."""
    return canonical([[pointer, found] for pointer, found in _locked_parts(schema, value, "", root)])


def _locked_parts(schema: Json, value: Json | Absent, pointer: str, root: Schema) -> Iterator[tuple[str, Json]]:
    if value is ABSENT:
        return
    if _is_locked(schema, root):
        yield pointer, value
        return
    flat = settled(schema, value, root)
    if flat is not None and isinstance(value, dict):
        for token, part, found in parts(flat, value):
            yield from _locked_parts(part, found, child(pointer, token), root)


def _is_locked(schema: Json, root: Schema) -> bool:
    if isinstance(schema, dict) and schema.get("readOnly") is True:
        return True
    flat = resolve(schema, root)
    return flat is not None and flat.get("readOnly") is True


def _text(value: Json | Absent) -> str | None:
    return None if value is ABSENT else canonical(value)
