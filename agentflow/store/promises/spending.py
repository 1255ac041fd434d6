"""Promises about what runs spend on models, what they may spend, conversations, and words on their way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from agentflow.records import BudgetState, CallOutlook, Chunk, CostsRow, Spent, ThreadPart, UsageLine
    from agentflow.requests import (
        BeforeCall,
        CostsFilter,
        GrantBudget,
        NewChunk,
        TakeRate,
    )


class Spending(Protocol):
    """What language models cost, and what agents keep beside their journals.

    What a call used, budgets that runs hold and what they add to conversations are kept by `append` and `settle`, with
    the entry that records them and in its transaction (`NewEntry.usage`, `NewEntry.kept`).
    """

    async def grant_budget(self, request: GrantBudget) -> BudgetState:
        """The budget with more in it; limits that are none stay none. Raises `RunNotFound` where there is no such
        budget; nothing was granted then.
        """
        ...

    async def before_call(self, request: BeforeCall) -> CallOutlook:
        """The budgets over an operation, its run's and those of the runs above, and whether mail waits for the run."""
        ...

    async def budgets(self, run_id: str) -> Sequence[BudgetState]:
        """The budgets a run holds, in the order in which they were made."""
        ...

    async def usage(self, run_id: str) -> Sequence[UsageLine]:
        """What the recorded attempts of this very run used, in their order."""
        ...

    async def spent(self, run_id: str) -> Spent:
        """What the run and all runs below it have spent."""
        ...

    async def costs(self, which: CostsFilter) -> Sequence[CostsRow]:
        """What was spent, by day, task and model, the newest day first. It outlives the runs."""
        ...

    async def thread(self, thread: str, *, upto: int | None = None) -> Sequence[ThreadPart]:
        """The parts of a conversation, in order, up to the one with this `seq`; none if nobody has said anything."""
        ...

    async def keep_chunks(self, chunks: Sequence[NewChunk]) -> None:
        """Keep pieces of what operations are saying, for those who follow along.

        They go in the sweep after the end of the run, or when they are an hour old; a turn that lost its lease may
        still keep some.
        """
        ...

    async def chunks(self, run_id: str, *, after: int = 0, limit: int = 1000) -> Sequence[Chunk]:
        """The pieces of a run with ids past `after`, in order; none is ever added before one that was given."""
        ...

    async def take_rate(self, request: TakeRate) -> datetime | None:
        """None if the call may be made, which counts from now on; else from when on it may be tried again."""
        ...

    async def hold_off(self, key: str, delay: timedelta) -> None:
        """Let no call of this rate key pass for `delay`; a longer one that stands is not shortened."""
        ...
