"""What was spent, granted and said moves with the runs, and goes on there with the numbers it had."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.requests import CostsFilter, GrantBudget, TakeRate
from agentflow.store.keeping.checking import check
from agentflow.store.keeping.moving import move
from agentflow.store.keeping.places import place_of
from tests.support.spending import a_chunk, a_part, a_use, bounded, extended, used
from tests.support.stores import a_turn, claimed, database_of

if TYPE_CHECKING:
    from pathlib import Path

    from agentflow.requests import Lease
    from agentflow.store import Store

LARGE = json.dumps(["x" * 200_000])
WAYS = [("sqlite", "postgres"), ("postgres", "sqlite"), ("postgres", "postgres")]


@dataclass
class Books:
    """All that is kept of one run's spending, as the store's verbs tell it."""

    store: Store
    lease: Lease

    async def told(self) -> list[Any]:
        run_id, now = self.lease.run_id, self.store.now()
        return [
            await self.store.usage(run_id),
            await self.store.budgets(run_id),
            await self.store.thread("customer-7"),
            await self.store.chunks(run_id),
            await self.store.costs(CostsFilter(since=now - timedelta(days=1), until=now + timedelta(days=1))),
            await self.store.take_rate(TakeRate(key="k", amount=1, per=timedelta(hours=2))),
            await self.store.take_rate(TakeRate(key="other", amount=1, per=timedelta(hours=2))),
        ]

    async def go_on(self) -> list[Any]:
        """What further calls are given: numbers that follow those before."""
        await used(self.store, self.lease, "model#3")
        await self.store.keep_chunks([a_chunk(self.lease.run_id, 7, "more")])
        part = await extended(self.store, self.lease, a_part(key="thread#9"))
        again = GrantBudget(id="g", run_id=self.lease.run_id, key="", by="mia", tokens=5)
        granted = await self.store.grant_budget(again)
        ids = [one.id for one in await self.store.usage(self.lease.run_id)]
        pieces = [one.id for one in await self.store.chunks(self.lease.run_id)]
        return [part.seq, granted.tokens, ids == sorted(ids), pieces == sorted(pieces), len(ids), len(pieces)]


async def kept(store: Store) -> Lease:
    lease = await a_turn(store)
    await used(store, lease, "model#1", a_use(cost=Decimal("0.000000001")), a_use(cost=None))
    await bounded(store, lease, cost=Decimal("0.1"), warn_at=0.7)
    await store.grant_budget(GrantBudget(id="g", run_id=lease.run_id, key="", by="mia", tokens=5))
    await extended(store, lease, a_part(messages=LARGE))
    await store.keep_chunks([a_chunk(lease.run_id)])
    await store.take_rate(TakeRate(key="k", amount=1, per=timedelta(hours=2)))
    await store.hold_off("other", timedelta(hours=1))
    return lease


@pytest.mark.parametrize(("kind", "other"), WAYS, ids=str)
async def test_it_is_there_afterwards_and_goes_on(tmp_path: Path, kind: str, other: str) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    async with database_of(kind, tmp_path / "a") as source, database_of(other, tmp_path / "b") as destination:
        store = await source.open()
        lease = await kept(store)
        before = await Books(store, lease).told()
        await store.retire_worker(lease.worker_id)
        with place_of(source.url) as here, place_of(destination.url) as there:
            rows = move(here, there, lambda _: None, dead=[one.id for one in await store.workers()]).rows
            assert list(check(there, lambda _: None)) == []

        found = Books(await destination.open(), lease)
        assert rows["agentflow_usage"] == 2
        assert rows["agentflow_run_budget"] == rows["agentflow_run_budget_grant"] == rows["agentflow_rate_hold"] == 1
        assert await found.told() == before
        (again,) = await claimed(found.store)
        assert await Books(found.store, again).go_on() == [2, 1005, True, True, 3, 2]
