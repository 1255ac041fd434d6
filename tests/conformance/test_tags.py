"""Runs are found by their tags, and keep what was said of them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from agentflow.requests import ForkRun, Prune, RunFilter, TriggerRun
from agentflow.requests.keeping import Kept
from tests.support.stores import a_gated_run, a_trigger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.store import Store
    from agentflow.testing import FakeClock

MOMENT = timedelta(seconds=1)


async def tagged(store: Store, *tags: str, metadata: str | None = None) -> str:
    run = await store.trigger(TriggerRun(task="t", version="1", input="{}", tags=tags, metadata=metadata))
    return run.id


async def found(store: Store, *tags: str, cursor: str | None = None, limit: int = 50) -> Sequence[str]:
    page = await store.runs(RunFilter(tags=tags, cursor=cursor, limit=limit))
    return [one.id for one in page.items]


async def test_a_run_has_the_tags_and_metadata_it_was_given(store: Store) -> None:
    run = await store.run(await tagged(store, "eu", "büro", metadata='{"order":7}'))
    assert json.loads(run.tags or "") == ["eu", "büro"]
    assert run.metadata == '{"order":7}'
    plain = await store.trigger(a_trigger())
    assert (plain.tags, plain.metadata) == (None, None)


async def test_runs_are_found_by_all_of_the_tags_asked_for(store: Store, clock: FakeClock) -> None:
    both = await tagged(store, "eu", "urgent")
    await clock.advance(MOMENT)
    europe = await tagged(store, "eu")
    await tagged(store, "us", "urgent")
    assert await found(store, "eu") == [europe, both]
    assert await found(store, "urgent", "eu") == [both]
    assert await found(store, "asia") == []


async def test_pages_of_a_tag_follow_each_other(store: Store) -> None:
    made = [await tagged(store, "eu", "all") for _ in range(5)]
    await tagged(store, "us")
    first = await found(store, "eu", "all", limit=2)
    second = await found(store, "eu", "all", cursor=first[-1], limit=2)
    assert [*first, *second] == sorted(made, reverse=True)[:4]


async def test_a_tag_goes_together_with_the_other_conditions(store: Store) -> None:
    one = await tagged(store, "eu")
    page = await store.runs(RunFilter(tags=["eu"], task="other"))
    assert page.items == []
    page = await store.runs(RunFilter(tags=["eu"], task="t", origin="api", statuses=["queued"]))
    assert [run.id for run in page.items] == [one]


async def test_a_fork_is_found_by_the_tags_of_its_original(store: Store) -> None:
    original = await tagged(store, "eu", metadata="{}")
    fork = await store.fork(ForkRun(run_id=original, by="ada"))
    assert set(await found(store, "eu")) == {fork.id, original}
    assert fork.metadata == "{}"


async def test_a_run_that_is_removed_leaves_no_tags(store: Store, clock: FakeClock) -> None:
    run_id = await tagged(store, "eu")
    ended = await store.cancel(run_id, by="ada", reason="")
    assert ended.finished_at is not None
    await clock.advance(MOMENT)
    pruned = await store.prune(Prune(kind=Kept.RUNS, before=store.now()))
    assert pruned.removed == 1
    assert await found(store, "eu") == []


async def test_a_run_that_leaves_only_its_approvals_is_found_by_no_tag(store: Store, clock: FakeClock) -> None:
    asked = await a_gated_run(store, trigger={"tags": ("eu",), "metadata": '{"order":7}'})
    await store.cancel(asked.run_id, by="ada", reason="")
    await clock.advance(MOMENT)

    assert (await store.prune(Prune(kind=Kept.RUNS, before=store.now()))).reduced == 1

    left = await store.run(asked.run_id)
    assert (left.tags, left.metadata) == (None, None)
    assert await found(store, "eu") == []
