"""The store by its verbs alone, as somebody else's conformance suite drives it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from agentflow.errors import LeaseLost
from agentflow.events import RunFinished, TurnEnd, TurnEnded, history
from agentflow.requests import Completed, NewEntry, OpenWait
from agentflow.states import EntryKind, RunStatus, WaitKind
from agentflow.testing import FakeClock, open_test_store
from tests.testing.verbs import LEASE, claimed

if TYPE_CHECKING:
    from pathlib import Path

RESULT = NewEntry(EntryKind.SUCCEEDED, "add#1", "step", output="1")


async def test_an_older_epoch_changes_nothing_once_its_lease_has_run_out(tmp_path: Path) -> None:
    clock = FakeClock()
    async with open_test_store(tmp_path / "runs.db", clock) as store:
        first = await claimed(store, "first")
        await store.append(first.lease, RESULT)
        clock.advance(LEASE + timedelta(seconds=1))
        assert await store.sweep(limit=10, max_recoveries=5) == 1
        second = await claimed(store, "second", trigger=False)
        assert (first.lease.epoch, second.lease.epoch) == (1, 2)
        for act in (store.append(first.lease, RESULT), store.finish(first.lease, Completed("1"))):
            with pytest.raises(LeaseLost):
                await act
        await store.finish(second.lease, Completed("1"))
        events = list(history(await store.entries(first.run.id)))
        assert [event.type for event in events] == [
            "run_triggered",
            "operation_succeeded",
            "turn_ended",
            "run_finished",
        ]
        assert isinstance(events[2], TurnEnded)
        assert events[2].how is TurnEnd.RECOVERED
        assert isinstance(events[3], RunFinished)


async def test_timers_are_due_by_the_clock_that_is_given(tmp_path: Path) -> None:
    clock = FakeClock()
    async with open_test_store(tmp_path / "runs.db", clock) as store:
        held = await claimed(store)
        due_at = clock.now() + timedelta(days=3)
        wait = OpenWait(key="sleep#1", kind=WaitKind.TIMER, due_at=due_at)
        assert await store.park(held.lease, [wait], ["sleep#1"]) is RunStatus.WAITING
        assert await store.next_due_at() == due_at
        clock.advance_to(due_at)
        again = await claimed(store, "another", trigger=False)
        assert (again.run.id, again.lease.epoch) == (held.run.id, 2)


async def test_what_was_stored_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    async with open_test_store(tmp_path / "runs.db") as store:
        held = await claimed(store)
        await store.append(held.lease, RESULT)
    async with open_test_store(str(tmp_path / "runs.db")) as store:
        assert [entry.key for entry in await store.entries(held.run.id)] == [None, "add#1"]
