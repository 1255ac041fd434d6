"""A run's journal as replay needs it: what is recorded under each key, and in which order within each scope."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentflow.states import EntryKind, WaitKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentflow.records import Entry


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

    def forget(self) -> None:
        """The operation is to run again: a task-level retry chose it."""
        self.final = self.started = self.opened = self.resolved = None
        self.failures = []


class Index:
    """Everything recorded of a run, by key and by scope."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.by_key: dict[str, Recorded] = {}
        self.order: dict[str, list[Recorded]] = {}
        self.last_seq = 0
        self._in_doubt: str | None = None
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
        recorded = self._known(entry.key)
        recorded.operation = recorded.operation or entry.operation
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

    def _known(self, key: str) -> Recorded:
        """The record of this key; with a new one, the operations it happened inside of come into being too."""
        known = self.by_key.get(key)
        if known is None:
            outer = enclosing(key)
            if outer is not None:
                self._known(outer)
            known = self.by_key[key] = Recorded(key)
            self.order.setdefault(scope_of(key), []).append(known)
        return known

    def _attend(self, entry: Entry) -> None:
        """An operator who resumes a run says that the operation it stopped at, and no other in doubt, runs again."""
        if entry.kind is EntryKind.DIVERGED:
            self._in_doubt = json.loads(entry.detail or "{}").get("key")
        elif entry.kind is EntryKind.RESUMED and self._in_doubt in self.by_key:
            self.by_key[self._in_doubt].started = None

    def _retry(self, key: str | None, *, within: str | None = None) -> None:
        """A new attempt (of the run, or of the operation `within`): what failed and ended the last one runs again.

        What came after it in its scope was the handling of that failure. It belongs to the attempt that is over: its
        keys are used up, and what the new attempt asks for, even by the same name, is another operation.
        """
        self._trigger_again(key)
        while key is not None and key != within and key in self.by_key:
            failed = self.by_key[key]
            failed.forget()
            self._reopen_within(key)
            order = self.order[scope_of(key)]
            after = order.index(failed) + 1
            for later in order[after:]:
                later.is_spent = True
            del order[after:]
            key = enclosing(key)

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


def due_after(failure: Entry) -> int | None:
    """When the attempt after this failed one is due, in microseconds; None if it was the last."""
    if failure.detail is None:
        return None
    found: int | None = json.loads(failure.detail).get("next_at")
    return found
