"""The verbs about spending, conversations and words on their way, each as one call of `write`, `read` or `glance`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.store.spending import budgets, costs, outlook, rates, threads, usage
from agentflow.store.spending.chunks import chunks as chunks_of
from agentflow.store.spending.chunks import keep_chunks
from agentflow.store.ways import Ways

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from agentflow import records as r
    from agentflow import requests as q


class SpendingVerbs(Ways):
    """What `Spending` promises."""

    async def grant_budget(self, request: q.GrantBudget) -> r.BudgetState:
        return await self.write(budgets.grant_budget, request)

    async def before_call(self, request: q.BeforeCall) -> r.CallOutlook:
        return await self.glance(outlook.before_call, request)

    async def budgets(self, run_id: str) -> Sequence[r.BudgetState]:
        return await self.read(budgets.budgets, run_id)

    async def usage(self, run_id: str) -> Sequence[r.UsageLine]:
        return await self.read(usage.of_run, run_id)

    async def spent(self, run_id: str) -> r.Spent:
        return await self.read(usage.spent, run_id)

    async def costs(self, which: q.CostsFilter) -> Sequence[r.CostsRow]:
        return await self.read(costs.costs, which)

    async def thread(self, thread: str, *, upto: int | None = None) -> Sequence[r.ThreadPart]:
        return await self.read(threads.thread, thread, upto)

    async def keep_chunks(self, chunks: Sequence[q.NewChunk]) -> None:
        await self.write(keep_chunks, chunks)

    async def chunks(self, run_id: str, *, after: int = 0, limit: int = 1000) -> Sequence[r.Chunk]:
        return await self.read(chunks_of, run_id, after, limit)

    async def take_rate(self, request: q.TakeRate) -> datetime | None:
        return await self.write(rates.take_rate, request)

    async def hold_off(self, key: str, delay: timedelta) -> None:
        await self.write(rates.hold_off, key, delay)
