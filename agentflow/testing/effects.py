"""A ledger of what tasks do to the world, kept outside their runs, as the world is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agentflow.runtime.operations.values import operation
from agentflow.states import EntryKind
from agentflow.tasks.calling import current_caller

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from agentflow.records import Entry

RESULTS: Final = frozenset({EntryKind.SUCCEEDED, EntryKind.FAILED})


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that was done, by which operation of which run, on which attempt; `key` is "" outside of one."""

    name: str
    run_id: str
    task: str
    key: str
    attempt: int
    epoch: int

    @property
    def idempotency_key(self) -> str:
        """What the operation would give to a system that takes an idempotency key."""
        return f"{self.run_id}:{self.key}"


class Effects:
    """A ledger: a step calls `effects.record("charge")` where it acts on the world.

    It outlives workers and their crashes, so that a test can count what really happened. Each effect knows the
    operation it belongs to, and with it the idempotency key that makes a repetition harmless.
    """

    def __init__(self) -> None:
        self._all: list[Effect] = []

    def record(self, name: str) -> str:
        """Note that this is happening now; the idempotency key of the operation it happens in."""
        caller: Any = current_caller.get()
        found = operation()
        key, attempt = ("", 1) if found is None else (found.key, found.attempt)
        run_id, task, epoch = ("", "", 0)
        if caller is not None:
            run_id, task, epoch = caller.turn.run.id, caller.turn.run.task, caller.turn.lease.epoch
        noted = Effect(name, run_id, task, key, attempt, epoch)
        self._all.append(noted)
        return noted.idempotency_key

    def __iter__(self) -> Iterator[Effect]:
        return iter(tuple(self._all))

    def __len__(self) -> int:
        return len(self._all)

    def count(self, name: str) -> int:
        """How often this was done, repetitions included."""
        return sum(one.name == name for one in self._all)

    def distinct(self, name: str) -> int:
        """How often this was done as a system sees it that honours idempotency keys."""
        return len({one.idempotency_key for one in self._all if one.name == name})

    def begin(self) -> None:
        """Start over with an empty ledger."""
        self._all.clear()

    def check(self) -> None:
        """A ledger expects nothing by itself."""

    def totals(self) -> Counter[tuple[str, str, str]]:
        """How often each was done, by task, operation and name."""
        return Counter((one.task, one.key, one.name) for one in self._all)

    def cut_off(self, epochs: Mapping[str, int], recorded: Iterable[Entry]) -> Counter[tuple[str, str]]:
        """In how many runs each operation, by task and key, was begun by the turn of this epoch and has no result."""
        ended = {(entry.run_id, entry.key) for entry in recorded if entry.kind in RESULTS}
        mine = [one for one in self._all if one.key and one.epoch == epochs.get(one.run_id)]
        begun = {(one.run_id, one.task, one.key) for one in mine}
        return Counter((task, key) for run_id, task, key in begun if (run_id, key) not in ended)
