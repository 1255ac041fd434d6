"""What tests say of usage, budgets and conversations."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from agentflow.requests import BeforeCall, NewBudget, NewChunk, NewThreadPart
from agentflow.usage import Usage
from tests.support.stores import an_entry

if TYPE_CHECKING:
    from agentflow.records import BudgetState, ThreadPart
    from agentflow.requests import Lease
    from agentflow.requests.spending import Kept
    from agentflow.store import Store

SMALL = "openai:gpt-5-mini"
LARGE = "anthropic:claude-sonnet-4-5"


def a_use(model: str = SMALL, **given: Any) -> Usage:
    """A hundred tokens in, ten out, for a tenth of a cent, but for what is given."""
    values: dict[str, Any] = {"input_tokens": 100, "output_tokens": 10, "cost": Decimal("0.001")}
    return Usage(model=model, **values | given)


async def used(store: Store, lease: Lease, key: str = "model#1/small#1", *uses: Usage, **given: Any) -> None:
    """Record an attempt of the operation that used this, `a_use()` unless it is given."""
    await store.append(lease, an_entry(key, usage=uses or (a_use(),), **given))


async def bounded(store: Store, lease: Lease, key: str = "", **given: Any) -> None:
    """Hold a budget of 1000 tokens, but for what is given."""
    await kept(store, lease, NewBudget(key=key, **({"tokens": 1000} | given)))


async def kept(store: Store, lease: Lease, one: Kept) -> None:
    """Record an operation that keeps this."""
    await store.append(lease, an_entry("keeping#1", kept=(one,)))


async def extended(store: Store, lease: Lease, part: NewThreadPart) -> ThreadPart:
    """What the conversation has of this run and key, once an operation has added it."""
    await kept(store, lease, part)
    parts = await store.thread(part.thread)
    return next(one for one in parts if (one.run_id, one.key) == (lease.run_id, part.key))


async def over(store: Store, run_id: str, key: str = "model#9/small#1") -> list[BudgetState]:
    """The budgets that a call of this operation finds."""
    return list((await store.before_call(BeforeCall(run_id=run_id, key=key))).budgets)


def a_part(thread: str = "customer-7", key: str = "thread#1", messages: str = '["hello"]') -> NewThreadPart:
    return NewThreadPart(thread=thread, key=key, messages=messages, count=1)


def a_chunk(run_id: str, place: int = 0, text: str = "Hel", **given: Any) -> NewChunk:
    values: dict[str, Any] = {"epoch": 1, "key": "model#1/small#1", "attempt": 1}
    return NewChunk(run_id=run_id, place=place, text=text, **values | given)
