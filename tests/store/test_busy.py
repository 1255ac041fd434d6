"""Another process holds the write lock: its waiting is done in a thread, and it ends."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from agentflow.errors import StoreUnavailable
from agentflow.store import triggering
from agentflow.store.sqlite import patience
from agentflow.store.sqlite import store as sqlite
from agentflow.store.sqlite import writer as sqlite_writer
from agentflow.store.sqlite.file import connect
from agentflow.store.sqlite.patience import Patience
from agentflow.store.sqlite.store import SqliteStore
from tests.store.programs import HOLD_THE_LOCK, Program, programs
from tests.support.stores import LEASE, a_trigger, a_turn, a_worker, an_entry, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentflow.store import Store

AGES = 3_600_000.0


@pytest.fixture
async def holder(store: SqliteStore) -> AsyncIterator[Program]:
    """A program that holds the lock on the store's file until told to go on."""
    await store.trigger(a_trigger())
    with programs(HOLD_THE_LOCK, (store.path,)) as (program,):
        assert await program.line() == "held"
        yield program


async def runs_in(store: Store) -> int:
    return sum((await store.counts()).runs.values())


def is_waiting(store: SqliteStore) -> bool:
    return store._writer._handed_over is not None


async def test_the_event_loop_and_the_readers_go_on_while_a_write_waits(store: SqliteStore, holder: Program) -> None:
    waiting = asyncio.ensure_future(store.trigger(a_trigger()))
    await until(lambda: is_waiting(store))

    for _ in range(1_000):
        await asyncio.sleep(0)
    for _ in range(20):
        assert await runs_in(store) == 1

    assert not waiting.done()
    holder.go_on()
    await waiting
    assert await runs_in(store) == 2


async def test_what_queues_up_behind_a_waiting_write_keeps_its_order(store: SqliteStore, holder: Program) -> None:
    made = [asyncio.ensure_future(store.trigger(a_trigger(input=f"[{0}]")))]
    await until(lambda: is_waiting(store))
    made += [asyncio.ensure_future(store.trigger(a_trigger(input=f"[{n}]"))) for n in range(1, 20)]
    commits = store.commits

    holder.go_on()
    await asyncio.gather(*made)

    assert [entry.run_id for entry in await store.feed(after=1, limit=50)] == [one.result().id for one in made]
    assert store.commits == commits + 2


async def test_a_write_that_waits_a_moment_takes_in_what_comes_meanwhile_and_goes_through_no_thread(
    store: SqliteStore, holder: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "INLINE_BUSY_MS", AGES)
    made = []
    for n in range(20):
        made.append(asyncio.ensure_future(store.trigger(a_trigger(input=f"[{n}]"))))
        await asyncio.sleep(0)  # the loop has its turn each time the lock was asked for in vain
    commits = store.commits

    holder.go_on()
    await asyncio.gather(*made)

    assert [entry.run_id for entry in await store.feed(after=1, limit=50)] == [one.result().id for one in made]
    assert store.commits == commits + 1
    assert store._writer._thread is None


async def test_the_lock_is_asked_for_again_soon_and_then_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's own second try comes after two milliseconds: as long as a neighbour leaves the lock alone."""
    now, slept = 0.0, []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        slept.append(seconds)

    monkeypatch.setattr(patience, "perf_counter", lambda: now)
    monkeypatch.setattr(patience, "sleep", sleep)
    waiting = Patience()
    while waiting.rest(1_000):
        pass

    assert sum(one < 0.0005 for one in slept) > 8
    assert slept == sorted(slept)
    assert max(slept) == patience.LONGEST
    assert 1.0 < now < 1.0 + 2 * patience.LONGEST


async def test_waiting_ends_with_an_error_and_nothing_stored(
    store: SqliteStore, holder: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "BUSY_MS", 30)

    with pytest.raises(StoreUnavailable, match="locked by another program") as refused:
        await store.trigger(a_trigger())

    assert not refused.value.may_be_stored
    assert "nothing was stored" in str(refused.value)
    holder.go_on()
    assert await holder.line() == "released"
    assert await runs_in(store) == 1
    await store.trigger(a_trigger())
    assert await runs_in(store) == 2


async def test_closing_waits_for_a_write_that_waits(store: SqliteStore, holder: Program) -> None:
    written = store.write(triggering.trigger, a_trigger())
    await until(lambda: is_waiting(store))
    also = store.write(triggering.trigger, a_trigger())
    closing = asyncio.ensure_future(store.close())
    holder.go_on()

    await closing

    assert written.result().id != also.result().id


async def test_a_heartbeat_that_cannot_write_says_so_in_our_words(
    store: SqliteStore, holder: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is neither renewed nor known to be lost: the heartbeat tries again."""
    monkeypatch.setattr(sqlite, "connect", partial(connect, busy_ms=20))

    with pytest.raises(StoreUnavailable, match="locked by another program"):
        await asyncio.to_thread(store.renew, "wrk_any", LEASE)


async def test_a_heartbeat_goes_on_once_the_lock_is_free(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same thread and so the same connection, which the failure must not have spoilt."""
    worker = await a_worker(store)
    lease = await a_turn(store, worker=worker)
    monkeypatch.setattr(sqlite, "connect", partial(connect, busy_ms=20))
    loop = asyncio.get_running_loop()
    with programs(HOLD_THE_LOCK, (store.path,)) as (program,):
        assert await program.line() == "held"

        def beat_twice() -> dict[str, int] | None:
            with pytest.raises(StoreUnavailable):
                store.renew(worker, LEASE)
            program.go_on()
            asyncio.run_coroutine_threadsafe(program.line(), loop).result()
            return store.renew(worker, LEASE)

        assert await asyncio.to_thread(beat_twice) == {lease.run_id: lease.epoch}
    await store.append(lease, an_entry())
