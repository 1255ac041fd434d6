"""Conversations that go on from run to run: every part once, in one order, whoever adds it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agentflow.errors import LeaseLost
from tests.support.spending import a_part, extended
from tests.support.stores import Database, a_turn

if TYPE_CHECKING:
    from agentflow.store import Store


async def test_parts_are_read_in_the_order_in_which_they_were_added(store: Store) -> None:
    first, second = await a_turn(store), await a_turn(store)
    one = await extended(store, first, a_part(messages='["hello"]'))
    other = await extended(store, second, a_part(messages='["again"]'))
    await extended(store, second, a_part("customer-8", "thread#2"))
    third = await extended(store, first, a_part(key="thread#2", messages='["bye"]'))

    assert (one.seq, one.run_id, one.key, one.messages, one.count) == (1, first.run_id, "thread#1", '["hello"]', 1)
    assert await store.thread("customer-7") == [one, other, third]
    assert [part.seq for part in await store.thread("customer-7", upto=2)] == [1, 2]
    assert await store.thread("customer-7", upto=0) == []
    assert await store.thread("nobody") == []


async def test_an_operation_adds_its_part_once(store: Store) -> None:
    """As when the run is cut off before it has recorded that it did, and goes on."""
    lease = await a_turn(store)
    first = await extended(store, lease, a_part())
    await extended(store, await a_turn(store), a_part())
    assert await extended(store, lease, a_part(messages='["other"]')) == first
    assert len(await store.thread("customer-7")) == 2


async def test_a_turn_that_lost_its_lease_adds_nothing(store: Store) -> None:
    lease = await a_turn(store)
    with pytest.raises(LeaseLost):
        await extended(store, replace(lease, epoch=9), a_part())
    assert await store.thread("customer-7") == []


async def test_a_large_part_is_read_as_it_was_added(store: Store) -> None:
    messages = json.dumps(["ü" * 300_000])
    part = await extended(store, await a_turn(store), a_part(messages=messages))
    assert part.messages == messages
    assert (await store.thread("customer-7"))[0].messages == messages


async def test_workers_that_add_at_once_leave_no_gap(database: Database) -> None:
    stores = [await database.open() for _ in range(2)]
    leases = [await a_turn(stores[0]) for _ in range(6)]
    await asyncio.gather(
        *(
            extended(stores[(n + lap) % 2], lease, a_part(f"t{lap % 2}", f"thread#{lap}"))
            for n, lease in enumerate(leases)
            for lap in range(4)
        )
    )
    for name in ("t0", "t1"):
        parts = await stores[0].thread(name)
        assert [part.seq for part in parts] == list(range(1, 13))
        assert len({(part.run_id, part.key) for part in parts}) == 12
