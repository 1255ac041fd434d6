"""A run's journal as replay needs it: what is recorded under each key, and in which order within each scope."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agentflow.clock import from_micros
from agentflow.states import EntryKind, WaitKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from agentflow.records import Entry

PARALLEL: Final = frozenset({"gather", "map"})
UNDO: Final = "undo#0"
"""The scope in which a run's steps are undone; the operations of code count from 1."""


@dataclass(slots=True)
class Recorded:
    """What the journal holds of one operation."""

    key: str
    final: Entry | None = None
    started: Entry | None = None
    opened: Entry | None = None
    resolved: Entry | None = None
    failures: list[Entry] = field(default_factory=list)
    operation: str | None = None
    asked_again: int = 0
    is_spent: bool = False
    input_noted: bool = False
    noted: bool = False

    @property
    def failed_in(self) -> str:
        """The innermost operation that the recorded failure came from: this one, or one inside it."""
        detail = None if self.final is None else self.final.detail
        return self.key if detail is None else str(json.loads(detail).get("retry", self.key))

    @property
    def failed_branches(self) -> Sequence[str]:
        """For a `gather` or `map` that failed, the operations that its branches failed in."""
        detail = None if self.final is None else self.final.detail
        if detail is None or self.final is None or self.final.operation not in PARALLEL:
            return ()
        return tuple(json.loads(detail).get("failed_in", ()))

    def forget(self) -> None:
        """The operation is to run again: a task-level retry chose it."""
        self.final = self.started = self.opened = self.resolved = None
        self.failures = []


class Index:
    """Everything recorded of a run, by key and by scope."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.by_key: dict[str, Recorded] = {}
        self.order: dict[str, list[Recorded]] = {}
        self.widths: dict[str, int] = {}
        self.last_seq = 0
        self.patches: set[str] = set()
        self.asks: list[Recorded] = []
        self._in_doubt: str | None = None
        self._failed_in: str | None = None
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> Recorded | None:
        """Take in one more entry; what is now recorded of its operation."""
        self.last_seq = max(self.last_seq, entry.seq)
        if entry.kind is EntryKind.RUN_ATTEMPT_FAILED:
            self._retry(entry.detail)
        if entry.key is None:
            self._attend(entry)
            return None
        recorded = self._concerned(entry, entry.key)
        match entry.kind:
            case EntryKind.SUCCEEDED | EntryKind.FAILED:
                recorded.final = entry
            case EntryKind.ATTEMPT_FAILED:
                recorded.failures.append(entry)
                recorded.started = recorded.opened = None
                self._retry(json.loads(entry.detail or "{}").get("retry"), within=entry.key)
            case EntryKind.STARTED:
                recorded.started = entry
            case EntryKind.WAIT_OPENED:
                recorded.asked_again += recorded.opened is not None
                recorded.opened, recorded.resolved = entry, None
            case EntryKind.WAIT_RESOLVED:
                recorded.resolved = entry
            case EntryKind.INPUT_CHANGED:
                recorded.input_noted = True
            case EntryKind.NOTED:
                recorded.noted = True
            case _:
                pass
        return recorded

    def _concerned(self, entry: Entry, key: str) -> Recorded:
        """The operation an entry is about.

        What is to become of a failed attempt is asked outside the task's own operations: its key is used up.
        """
        if entry.kind is EntryKind.WAIT_OPENED and _asks_after_failure(entry):
            self.asks.append(self.by_key.setdefault(key, Recorded(key, is_spent=True)))
        recorded = self._known(key)
        recorded.operation = recorded.operation or entry.operation
        return recorded

    def _known(self, key: str) -> Recorded:
        """The record of this key; with a new one, the operations it happened inside of come into being too."""
        known = self.by_key.get(key)
        if known is None:
            outer = enclosing(key)
            if outer is not None:
                self._known(outer)
            known = self.by_key[key] = Recorded(key)
            scope = scope_of(key)
            if scope not in self.order:
                self._widen(scope)
            if key != UNDO:  # no code of the task asks for it
                self.order.setdefault(scope, []).append(known)
        return known

    def _widen(self, scope: str) -> None:
        """Note how many branches a `gather` or `map` is known to have."""
        if scope.endswith("]"):
            outer, _, number = scope[:-1].rpartition("[")
            self.widths[outer] = max(self.widths.get(outer, 0), int(number) + 1)

    def _attend(self, entry: Entry) -> None:
        """An entry about the run. Who resumes it says that the operation it stopped at, and no other, runs again."""
        if entry.kind is EntryKind.PATCHED:
            self.patches.add(entry.detail or "")
        elif entry.kind is EntryKind.DIVERGED:
            self._in_doubt = json.loads(entry.detail or "{}").get("key")
        elif entry.kind is EntryKind.RESUMED:
            self._resume()
        elif entry.kind is EntryKind.RUN_FAILED:
            detail = entry.detail or ""
            self._failed_in = json.loads(detail).get("retry") if detail.startswith("{") else None
        elif entry.kind is EntryKind.RETRIED:
            self._retry(self._failed_in)
            self._failed_in = None
            self._reopen_all()

    def _resume(self) -> None:
        """Begin what the run stopped at anew, once; an undo that failed is tried from its first attempt on."""
        doubtful = self.by_key.get(self._in_doubt or "")
        self._in_doubt = None
        if doubtful is None:
            return
        doubtful.started = None
        if doubtful.operation == "undo" and doubtful.final is not None and doubtful.final.kind is EntryKind.FAILED:
            doubtful.forget()

    def _reopen_all(self) -> None:
        """The end of the run withdrew what it waited for: it is waited for anew."""
        for one in self.by_key.values():
            if one.opened is not None and one.resolved is None and one.final is None:
                one.opened = None

    def _retry(self, key: str | None, *, within: str | None = None) -> None:
        """A new attempt (of the run, or of the operation `within`): what failed and ended the last one runs again.

        What came after it in its scope was the handling of that failure. It belongs to the attempt that is over: its
        keys are used up, and what the new attempt asks for, even by the same name, is another operation.
        """
        if within is None:
            self.asks.clear()
        outermost = self._run_again(key, within)
        if outermost is not None:
            self._reopen_within(outermost)

    def _run_again(self, key: str | None, within: str | None) -> str | None:
        """Forget what failed, from the inside out, and every branch that failed beside it; the outermost of it."""
        self._trigger_again(key)
        outermost = None
        while key is not None and key != within and key in self.by_key:
            failed, outermost = self.by_key[key], key
            for inner in self._failed_beside(failed):
                self._run_again(inner, within=key)
            failed.forget()
            order = self.order[scope_of(key)]
            after = order.index(failed) + 1
            for later in order[after:]:
                later.is_spent = True
            del order[after:]
            key = enclosing(key)
        return outermost

    def _failed_beside(self, failed: Recorded) -> Iterator[str]:
        """Where the branches of a failed `gather` or `map` failed: those it heard of, and those it had stopped."""
        yield from failed.failed_branches
        for number in range(self.widths.get(failed.key, 0)):
            asked = self.order.get(f"{failed.key}[{number}]")
            final = asked[-1].final if asked else None
            if asked and final is not None and final.kind is EntryKind.FAILED:
                yield asked[-1].failed_in

    def _trigger_again(self, key: str | None) -> None:
        """A child run that failed has ended: waiting for it anew would hear the same, so another one is started.

        Not for a child of a batch, whose other runs were started with it.
        """
        failed = self.by_key.get(key or "")
        if failed is None or failed.operation != WaitKind.CHILD or failed.opened is None:
            return
        only = json.dumps([failed.opened.detail])
        for one in self.by_key.values():
            if one.operation == "trigger" and one.final is not None and one.final.output == only:
                one.forget()

    def _reopen_within(self, key: str) -> None:
        """What the failure withdrew (a gate in another branch, a timer) is waited for anew."""
        for one in self.by_key.values():
            if one.opened is not None and one.resolved is None and one.key.startswith((f"{key}/", f"{key}[")):
                one.opened = None


def scope_of(key: str) -> str:
    """The scope a key belongs to: `gather#1[0]` for `gather#1[0]/fetch#2`, "" for a key of the task itself."""
    return key.rpartition("/")[0]


def enclosing(key: str) -> str | None:
    """The operation inside which a key happened: `gather#1` for `gather#1[0]/fetch#2`; None at the top."""
    scope = scope_of(key)
    if not scope:
        return None
    return scope[: scope.rindex("[")] if scope.endswith("]") else scope


def _asks_after_failure(opened: Entry) -> bool:
    detail = opened.detail or ""
    return opened.operation == WaitKind.APPROVAL and '"exhausted"' in detail and "exhausted" in json.loads(detail)


def first_attempt_at(recorded: Recorded) -> datetime | None:
    """When the first attempt of an operation began, as far as it is recorded."""
    if not recorded.failures:
        return None if recorded.started is None else recorded.started.at
    first = recorded.failures[0]
    known = json.loads(first.detail or "{}").get("first_at")
    return first.at if known is None else from_micros(known)


def due_after(failure: Entry) -> int | None:
    """When the attempt after this failed one is due, in microseconds; None if it was the last."""
    if failure.detail is None:
        return None
    found: int | None = json.loads(failure.detail).get("next_at")
    return found
