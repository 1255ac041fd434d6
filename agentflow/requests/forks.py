"""What a fork begins with: as much of a run's journal as it goes on from, some results replaced."""

from __future__ import annotations

import difflib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agentflow.errors import ForkRefused, KeyNotRecorded
from agentflow.states import EntryKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentflow.records import Entry
    from agentflow.requests.runs import ForkRun

ENDS: Final = frozenset({EntryKind.SUCCEEDED, EntryKind.FAILED})
BEGINS: Final = frozenset({EntryKind.STARTED, EntryKind.WAIT_OPENED})
CLOSES: Final = ENDS | {EntryKind.ATTEMPT_FAILED, EntryKind.WAIT_RESOLVED}
COPIED: Final = (
    BEGINS | CLOSES | {EntryKind.INPUT_CHANGED, EntryKind.NOTED, EntryKind.PATCHED, EntryKind.RUN_ATTEMPT_FAILED}
)
UNDOABLE: Final = "undo:"
UNDOES: Final = "undoes:"
"""How the details of an operation that can be undone begin, and of one that has undone another."""


def forked(entries: Sequence[Entry], request: ForkRun) -> Sequence[Entry]:
    """The entries that a fork begins with, in order, as they are in the run's journal but for what is patched.

    What was begun and has no end is left out, and begins anew. A failure that ended the run, or an attempt of it, is
    copied as that of an attempt, so that the fork goes on from it. What the original did is not the fork's to undo.
    Raises `KeyNotRecorded` or `ForkRefused`.
    """
    until = _until(entries, request)
    copied = [_as_attempt(one) for one in entries if one.seq < until]
    copied = [one for one in copied if one.kind in COPIED and one.operation != "undo"]
    kept = _without_unfinished(copied)
    for key in request.patch:
        _check_patch(kept, entries, key, request)
    return [_patched(one, request) for one in kept]


def said(request: ForkRun) -> str:
    """The fork in a sentence, for its journal."""
    where = f" before {request.from_key}" if request.from_key else ""
    patched = f", with another result of {', '.join(request.patch)}" if request.patch else ""
    reason = f": {request.reason}" if request.reason else ""
    return f"forked by {request.by}{where}{patched}{reason} (from run {request.run_id})"


def corrections(entries: Iterable[Entry], request: ForkRun) -> str | None:
    """What the patch changes, as JSON for the journal: the result that was and the one that is, by key."""
    was = {one.key: one.output for one in entries if one.kind is EntryKind.SUCCEEDED and one.key in request.patch}
    changed = {
        key: {"was": json.loads(was[key] or "null"), "is": json.loads(now)} for key, now in request.patch.items()
    }
    return json.dumps(changed, ensure_ascii=False) if changed else None


def _until(entries: Sequence[Entry], request: ForkRun) -> int:
    """The place in the journal up to which it is copied."""
    undone = {(one.detail or "").removeprefix(UNDOES) for one in entries if _has_undone(one)}
    first_undone = min((_place(entries, key) or 0 for key in undone), default=None)
    if request.from_key is None:
        return first_undone or len(entries) + 1
    until = _place(entries, request.from_key)
    if until is None:
        raise _not_recorded(entries, request.from_key, request)
    if first_undone is not None and until > first_undone:
        key = next(one.key for one in entries if one.seq == first_undone)
        raise ForkRefused(f"run {request.run_id} has undone {key}; fork it from there or from before. No run was made")
    return until


def _has_undone(one: Entry) -> bool:
    return one.kind is EntryKind.SUCCEEDED and one.operation == "undo" and (one.detail or "").startswith(UNDOES)


def _place(entries: Iterable[Entry], key: str) -> int | None:
    """Where an operation, or the first one inside it, begins."""
    within = (f"{key}/", f"{key}[")
    return next(
        (one.seq for one in entries if one.key is not None and (one.key == key or one.key.startswith(within))), None
    )


def _not_recorded(entries: Iterable[Entry], key: str, request: ForkRun) -> KeyNotRecorded:
    known = list(dict.fromkeys(one.key for one in entries if one.key is not None))
    near = difflib.get_close_matches(key, known, n=3) or known[:5]
    remedy = f"the nearest are {', '.join(near)}" if near else "it has recorded nothing"
    return KeyNotRecorded(f"run {request.run_id} has no operation {key!r}; {remedy}. No run was made")


def _as_attempt(one: Entry) -> Entry:
    if one.kind is not EntryKind.RUN_FAILED:
        return one
    detail = one.detail or ""
    key = json.loads(detail).get("retry") if detail.startswith("{") else None
    return replace(one, kind=EntryKind.RUN_ATTEMPT_FAILED, detail=key)


def _without_unfinished(entries: Sequence[Entry]) -> list[Entry]:
    """What was begun and has no end left out; with a call in doubt, what has been asked and said about it."""
    begun: dict[str, list[Entry]] = {}
    for one in entries:
        if one.kind in BEGINS:
            begun.setdefault(one.key or "", []).append(one)
        elif one.kind in CLOSES:
            begun.pop(one.key or "", None)
    unfinished = {one.seq for some in begun.values() for one in some}
    in_doubt = tuple(f"{one.key}/" for some in begun.values() for one in some if one.kind is EntryKind.STARTED)
    return [one for one in entries if one.seq not in unfinished and not (one.key or "").startswith(in_doubt)]


def _check_patch(kept: Sequence[Entry], entries: Sequence[Entry], key: str, request: ForkRun) -> None:
    """Raise for a patch of what has no result before the fork's place, or whose result the fork would not look at."""
    if _place(entries, key) is None:
        raise _not_recorded(entries, key, request)
    ended = {one.key: one.kind for one in kept if one.kind in ENDS}
    if ended.get(key) is not EntryKind.SUCCEEDED:
        where = f" before {request.from_key}" if request.from_key else ""
        raise ForkRefused(f"{key} has no result{where} that could be patched. No run was made")
    around = next(
        (one for one in ended if one is not None and one != key and key.startswith((f"{one}/", f"{one}["))), None
    )
    if around is not None:
        raise ForkRefused(f"{key} is not asked for again, since {around} has its result: patch that. No run was made")


def _patched(one: Entry, request: ForkRun) -> Entry:
    detail = None if (one.detail or "").startswith(UNDOABLE) else one.detail
    if one.kind is EntryKind.SUCCEEDED and one.key is not None and one.key in request.patch:
        return replace(one, detail=detail, output=request.patch[one.key])
    return one if detail == one.detail else replace(one, detail=detail)
