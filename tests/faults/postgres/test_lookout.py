"""What other programs commit is noticed by looking, though their hints are lost and their entries come out of order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg

from agentflow.store import open_store
from agentflow.store.postgres.lookout import Lookout
from tests.support.stores import a_trigger
from tests.support.tasks import LONGEST, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.support.clusters import Cluster

COLUMNS = (
    "SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns "
    "WHERE table_name = 'agentflow_journal' AND column_name NOT IN ('id', 'seq')"
)


async def test_an_entry_that_is_committed_late_without_a_hint_is_noticed_though_a_higher_one_was_seen(
    database: str, server: Cluster
) -> None:
    """Its transaction began first, so that its number is the lower one."""
    url = server.url(database)
    store, other = await open_store(url), await open_store(url)
    run = await other.trigger(a_trigger())
    told = []
    stop = store.watch(lambda _run_id, _moved: told.append(1))
    with psycopg.connect(url) as slow:
        row = slow.execute(COLUMNS).fetchone()
        assert row is not None
        insert = f"INSERT INTO agentflow_journal (seq, {row[0]}) SELECT seq + 1, {row[0]} FROM agentflow_journal"
        slow.execute(insert.encode())
        await other.trigger(a_trigger())
        await eventually(lambda: seen_at_rest(told))
        before = len(told)
        slow.commit()
    assert len(await store.entries(run.id)) == 2
    async with asyncio.timeout(LONGEST):
        while len(told) == before:  # noqa: ASYNC110  the store tells whom it tells
            await asyncio.sleep(0.01)
    stop()
    for one in (store, other):
        await one.close()


async def seen_at_rest(told: list[int]) -> bool:
    """Whether the store was told, and has looked since."""
    await asyncio.sleep(0.6)
    return bool(told)


async def test_looks_that_find_nothing_new_leave_the_event_loop_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, looks, told, called = asyncio.get_running_loop(), [], [], []
    newest = [7]

    def look() -> tuple[int, int]:
        looks.append(newest[0])
        return newest[0], newest[0]

    def call(callback: Callable[..., object], *args: object) -> asyncio.Handle:
        called.append(callback)
        return real(callback, *args)

    real = loop.call_soon_threadsafe
    monkeypatch.setattr(loop, "call_soon_threadsafe", call)
    lookout = Lookout(look, are_heard=lambda: False, commits=lambda: 3, announce=lambda: told.append(newest[0]))
    await reached(looks, 4)
    assert (told, len(called)) == ([7], 1)
    newest[0] = 8
    await reached(told, 2)
    lookout.heard()
    assert told == [7, 8, 8]
    await lookout.close()


async def reached(found: list[int], count: int) -> None:
    """Return when a thread has found so many."""

    async def are_there() -> bool:
        await asyncio.sleep(0.01)
        return len(found) >= count

    await eventually(are_there)
