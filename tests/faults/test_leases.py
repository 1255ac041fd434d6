"""Fifty changes of hands, in order and by loss: the fence only ever grows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from agentflow.errors import LeaseLost
from agentflow.requests import HandedBack
from tests.support.stores import LEASE, Database, a_turn, an_entry, claimed, database_of


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with database_of("sqlite", tmp_path) as database:
        yield database


async def test_over_fifty_changes_of_hands_epochs_count_up_and_no_earlier_one_writes(database: Database) -> None:
    store = await database.open()
    lease = await a_turn(store)
    leases = [lease]
    for cycle in range(50):
        if cycle % 2:
            await store.finish(lease, HandedBack())
        else:
            database.clock.advance(LEASE + timedelta(seconds=1))
            assert await store.sweep(limit=10, max_recoveries=100) == 1
        (lease,) = await claimed(store)
        leases.append(lease)
        for stale in leases[:-1]:
            with pytest.raises(LeaseLost):
                await store.append(stale, an_entry("late#1"))

    assert [one.epoch for one in leases] == list(range(1, 52))
    assert not [one for one in await store.entries(lease.run_id) if one.key == "late#1"]
