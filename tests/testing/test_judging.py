"""The judge of a crash test, shown histories that no run has; and the store under which workers die."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import step, task, wait_for_approval
from agentflow.errors import LeaseLost
from agentflow.events import OperationSucceeded, RunFinished, WaitSatisfied
from agentflow.requests import Completed, Lease, NewEntry
from agentflow.states import EntryKind, RunStatus
from agentflow.testing import FakeClock, Harness, Reviewer, open_test_store
from agentflow.testing.crash.judging import breaches, effects_breached
from agentflow.testing.crash.mortal import Fate, MortalStore, Place
from tests.testing.verbs import claimed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.events import Event
    from agentflow.records import Run


@step
async def add(n: int) -> int:
    return n + 1


@task
async def adding() -> int:
    await wait_for_approval(1, key="gate")
    return await add(await add(1))


@pytest.fixture
async def told(tmp_path: Path) -> tuple[Run, Sequence[Event]]:
    async with Harness(adding, path=tmp_path / "runs.db", reviewer=Reviewer().approve()) as h:
        run = await h.trigger(adding)
        await h.result(run)
        return await h.client.run(run.id), await h.history(run)


def renumbered(events: Sequence[Event]) -> list[Event]:
    return [replace(event, seq=seq) for seq, event in enumerate(events, start=1)]


def place(events: Sequence[Event], kind: type[Event]) -> int:
    return next(index for index, event in enumerate(events) if isinstance(event, kind))


async def test_a_real_run_breaks_nothing(told: tuple[Run, Sequence[Event]]) -> None:
    assert list(breaches(*told)) == []


async def test_a_gap_and_an_older_epoch_are_seen(told: tuple[Run, Sequence[Event]]) -> None:
    run, events = told
    gap = [*events[:3], *events[4:]]
    assert "gaps or doubles" in next(breaches(run, gap))
    back = [*events[:-1], replace(events[-1], epoch=1)]
    assert [one for one in breaches(run, back) if "epochs go back" in one]


async def test_two_ends_no_end_and_another_end_are_seen(told: tuple[Run, Sequence[Event]]) -> None:
    run, events = told
    for wrong in ([*events, events[-1]], events[:-1]):
        assert "its ends are" in next(breaches(run, renumbered(wrong)))
    assert "its ends are" in next(breaches(replace(run, status=RunStatus.FAILED), events))
    open_run = replace(run, status=RunStatus.WAITING)
    assert "its ends are: completed" in next(breaches(open_run, events))
    assert isinstance(events[-1], RunFinished)


async def test_two_results_and_two_answers_are_seen(told: tuple[Run, Sequence[Event]]) -> None:
    run, events = told
    for kind, said in ((OperationSucceeded, "add#1 has 2 results"), (WaitSatisfied, "gate#1 was answered more often")):
        at = place(events, kind)
        doubled = renumbered([*events[: at + 1], replace(events[at], epoch=events[at].epoch), *events[at + 1 :]])
        assert [one for one in breaches(run, doubled) if said in one]


DONE = ("pay", "charge#1", "charge")
NOBODY: Counter[tuple[str, str]] = Counter()


@pytest.mark.parametrize(
    ("times", "cut_off", "is_lenient", "is_breach"),
    [
        (1, False, False, False),
        (0, False, False, True),
        (2, False, False, True),
        (2, True, False, False),
        (3, True, False, True),
        (0, False, True, False),
        (2, False, True, True),
    ],
)
def test_an_effect_happens_once_unless_its_operation_was_cut_off(
    times: int, cut_off: bool, is_lenient: bool, is_breach: bool
) -> None:
    cut = Counter({DONE[:2]: 1}) if cut_off else NOBODY
    found = list(effects_breached(Counter({DONE: times}), Counter({DONE: 1}), cut, is_lenient=is_lenient))
    assert bool(found) is is_breach


# -- death


@pytest.mark.parametrize("where", list(Place))
async def test_a_write_of_the_dead_is_there_only_if_it_was_committed(tmp_path: Path, where: Place) -> None:
    async with open_test_store(tmp_path / "runs.db", FakeClock()) as store:
        lease = (await claimed(store)).lease
        fate = Fate(1, where)
        mortal: Any = MortalStore(store, fate)  # type: ignore[arg-type]
        writing = asyncio.create_task(mortal.append(lease, NewEntry(EntryKind.SUCCEEDED, "add#1", "step", output="2")))
        await fate.died.wait()
        kinds = [entry.kind for entry in await store.entries(lease.run_id)]
        assert kinds == [EntryKind.TRIGGERED, *([EntryKind.SUCCEEDED] if where is Place.AFTER else [])]
        late = asyncio.create_task(mortal.finish(lease, Completed("2")))
        await asyncio.wait({late, writing}, timeout=0.05)
        assert not late.done(), "the dead write nothing more"
        assert not writing.done(), "and hear nothing"
        assert (await store.run(lease.run_id)).status is RunStatus.RUNNING
        for one in (writing, late):
            one.cancel()
            with suppress(asyncio.CancelledError):
                await one


async def test_what_happens_inside_a_cut_off_write_really_happened(tmp_path: Path) -> None:
    """The verb runs whole in its transaction: one that would be refused is refused, and kills nobody."""
    async with open_test_store(tmp_path / "runs.db", FakeClock()) as store:
        lease = (await claimed(store)).lease
        fate = Fate(1, Place.INSIDE)
        mortal: Any = MortalStore(store, fate)  # type: ignore[arg-type]
        stale = Lease(lease.run_id, lease.epoch + 1, lease.worker_id)
        with pytest.raises(LeaseLost):
            await mortal.append(stale, NewEntry(EntryKind.SUCCEEDED, "add#1", "step", output="2"))
        assert not fate.died.is_set()
        assert fate.writes == ["append (succeeded add#1)"]
