"""Automatic retention: what the environment says is kept so long and then removed; without a word all is kept."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from agentflow.errors import InvalidSetting
from agentflow.requests import RunFilter
from agentflow.worker import retention as module
from agentflow.worker.retention import Retention, retention
from tests.support.stores import a_decision, a_gated_run, a_trigger, claimed, completed

if TYPE_CHECKING:
    from agentflow.store import Store
    from agentflow.testing import FakeClock

DAY = timedelta(days=1)


async def finished(store: Store, count: int) -> None:
    for _ in range(count):
        made = await store.trigger(a_trigger())
        await completed(store, made.id, "review")


async def left(store: Store) -> int:
    return len((await store.runs(RunFilter(limit=100))).items)


def test_the_environment_says_for_how_long_what_is_kept() -> None:
    given = {"AGENTFLOW_KEEP_RUNS": "90d", "AGENTFLOW_KEEP_LOGS": "2w", "AGENTFLOW_KEEP_EVENTS": "", "OTHER": "1d"}
    assert retention(given) == {"runs": 90 * DAY, "logs": 14 * DAY, "usage": 400 * DAY}
    given = {"AGENTFLOW_KEEP_USAGE": "forever", "AGENTFLOW_KEEP_THREADS": "1d"}
    assert retention(given) == {"threads": DAY}


def test_a_span_that_cannot_be_read_names_its_variable() -> None:
    with pytest.raises(InvalidSetting, match="AGENTFLOW_KEEP_RUNS"):
        retention({"AGENTFLOW_KEEP_RUNS": "three months"})


async def test_without_a_word_all_is_kept(store: Store, clock: FakeClock) -> None:
    await finished(store, 3)
    await clock.advance(10_000 * DAY)
    assert await Retention(store, retention({})).round() == 0
    assert await left(store) == 3


async def test_each_round_removes_a_part_and_the_rest_follows(
    store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGES", 1)
    await finished(store, 130)
    await clock.advance(8 * DAY)
    keeper = Retention(store, {"runs": 7 * DAY})
    assert [await keeper.round() for _ in range(3)] == [100, 30, 0]
    await finished(store, 1)
    await clock.advance(8 * DAY)
    assert await keeper.round() == 1


async def test_having_looked_at_everything_it_rests(store: Store, clock: FakeClock) -> None:
    keeper = Retention(store, {"runs": timedelta(minutes=1)})
    assert await keeper.round() == 0
    await finished(store, 1)
    await clock.advance(module.REST - timedelta(minutes=1))
    assert await keeper.round() == 0
    await clock.advance(timedelta(minutes=2))
    assert await keeper.round() == 1


async def test_approvals_are_kept_for_a_time_of_their_own(store: Store, clock: FakeClock) -> None:
    approval = await a_gated_run(store)
    await store.decide(a_decision(approval.id))
    assert await claimed(store) != []
    await store.cancel(approval.run_id, by="mia", reason="")
    keeper = Retention(store, {"runs": 7 * DAY, "approvals": 70 * DAY})
    await clock.advance(8 * DAY)
    assert await keeper.round() == 1
    assert (await store.approval(approval.id)).decided_by == "mia"
    await clock.advance(61 * DAY)
    assert await keeper.round() == 0
    await clock.advance(2 * DAY)
    assert await keeper.round() == 1
    assert await left(store) == 0


async def test_approvals_alone_take_no_run_with_them(store: Store, clock: FakeClock) -> None:
    await finished(store, 1)
    approval = await a_gated_run(store)
    await store.cancel(approval.run_id, by="mia", reason="")
    await clock.advance(100 * DAY)
    assert await Retention(store, {"approvals": DAY}).round() == 0
    assert await left(store) == 2
