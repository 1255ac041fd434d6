"""Words on their way: read in order by those who follow along, and gone when nobody needs them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from agentflow.requests import Completed
from tests.support.spending import a_chunk
from tests.support.stores import Database, a_turn, until

if TYPE_CHECKING:
    from agentflow.store import Store
    from agentflow.testing import FakeClock


async def texts(store: Store, run_id: str, after: int = 0) -> list[str]:
    return [one.text for one in await store.chunks(run_id, after=after)]


async def swept(store: Store) -> None:
    await store.sweep(limit=100, max_recoveries=5)


async def test_pieces_are_read_in_their_order_from_anywhere_on(store: Store) -> None:
    await store.keep_chunks([a_chunk("run_1", 0, "Hel"), a_chunk("run_2", 0, "other"), a_chunk("run_1", 1, "lo")])
    await store.keep_chunks([a_chunk("run_1", 0, "again", key="model#2", attempt=2)])

    first, second, third = await store.chunks("run_1")

    assert [one.text for one in (first, second, third)] == ["Hel", "lo", "again"]
    assert (third.run_id, third.key, third.attempt, third.place) == ("run_1", "model#2", 2, 0)
    assert first.id < second.id < third.id
    assert await store.chunks("run_1", after=first.id) == [second, third]
    assert await store.chunks("run_1", limit=1) == [first]
    assert await store.chunks("run_1", after=third.id) == []


async def test_nothing_to_keep_is_kept_without_a_word(store: Store) -> None:
    await store.keep_chunks([])
    assert await store.chunks("run_1") == []


async def test_those_who_follow_the_run_hear_of_it(store: Store) -> None:
    heard: list[tuple[str, bool]] = []
    stop = store.watch(lambda run_id, moved: heard.append((run_id, moved)), run_id="run_1")
    await store.keep_chunks([a_chunk("run_1")])
    await until(lambda: ("run_1", False) in heard)
    stop()


async def test_they_go_when_the_run_has_ended(store: Store) -> None:
    lease, other = await a_turn(store), await a_turn(store)
    await store.keep_chunks([a_chunk(lease.run_id), a_chunk(other.run_id), a_chunk("run_gone")])
    await store.finish(lease, Completed('"done"'))
    await swept(store)
    assert await texts(store, lease.run_id) == await texts(store, "run_gone") == []
    assert await texts(store, other.run_id) == ["Hel"]


async def test_of_a_run_that_goes_on_for_long_the_old_ones_go(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    await store.keep_chunks([a_chunk(lease.run_id, 0, "old")])
    await clock.advance(timedelta(minutes=59))
    await store.keep_chunks([a_chunk(lease.run_id, 1, "new")])
    await swept(store)
    assert await texts(store, lease.run_id) == ["old", "new"]
    await clock.advance(timedelta(minutes=2))
    await swept(store)
    assert await texts(store, lease.run_id) == ["new"]


async def test_a_reader_that_goes_by_ids_misses_none_of_two_writers(database: Database) -> None:
    """As when a turn that has lost its lease, and does not know it yet, speaks while the next one does."""
    stores = [await database.open() for _ in range(3)]
    seen: list[int] = []

    async def speak(store: Store, epoch: int) -> None:
        for place in range(40):
            await store.keep_chunks([a_chunk("run_1", place, epoch=epoch), a_chunk(f"run_{epoch}x", place)])

    async def follow() -> None:
        while len(seen) < 80:
            seen.extend(one.id for one in await stores[2].chunks("run_1", after=seen[-1] if seen else 0))

    await asyncio.wait_for(asyncio.gather(speak(stores[0], 1), speak(stores[1], 2), follow()), 120)
    assert [one.id for one in await stores[2].chunks("run_1")] == seen
