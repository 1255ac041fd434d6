"""A task that writes alone is not sent through the event loop for each write, and is no different otherwise."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agentflow.errors import LeaseLost, StoreUnavailable
from agentflow.store.sqlite import writer as sqlite_writer
from agentflow.store.sqlite.store import SqliteStore
from tests.store.programs import HOLD_THE_LOCK, programs
from tests.support.stores import a_trigger, a_turn, an_entry, until

if TYPE_CHECKING:
    from sqlite3 import Connection

    from agentflow.requests import Lease

LONG = 3600.0
LARGE = f'"{"x" * 200_000}"'


@pytest.fixture
async def lease(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> Lease:
    """Of a turn that may keep the loop to itself for as long as it likes."""
    monkeypatch.setattr(sqlite_writer, "IN_A_ROW", LONG)
    return await a_turn(store)


def seen_by(outside: Connection) -> list[str]:
    return [key for (key,) in outside.execute("SELECT key FROM agentflow_journal WHERE key IS NOT NULL ORDER BY id")]


async def append_some(store: SqliteStore, lease: Lease, count: int, name: str = "fetch") -> None:
    for number in range(count):
        await store.append(lease, an_entry(f"{name}#{number + 1}"))


async def turns_of_the_loop(store: SqliteStore, lease: Lease, count: int) -> int:
    """How often the event loop came round while this task appended."""
    loop, turns = asyncio.get_running_loop(), 0

    def turn() -> None:
        nonlocal turns, ticking
        turns += 1
        ticking = loop.call_soon(turn)

    ticking = loop.call_soon(turn)
    await append_some(store, lease, count)
    ticking.cancel()
    return turns


async def test_it_is_not_sent_through_the_loop_and_each_write_is_a_commit(
    store: SqliteStore, lease: Lease, outside: Connection
) -> None:
    await append_some(store, lease, 1, "first")
    before = store.commits

    assert await turns_of_the_loop(store, lease, 10) == 0

    assert store.commits == before + 10
    assert seen_by(outside) == ["first#1", *(f"fetch#{number}" for number in range(1, 11))]


async def test_the_loop_has_its_turn_when_the_time_is_over(
    store: SqliteStore, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "IN_A_ROW", 0.0)
    await append_some(store, lease, 1)

    assert await turns_of_the_loop(store, lease, 10) >= 10


async def test_tasks_that_write_side_by_side_share_their_commits(store: SqliteStore, lease: Lease) -> None:
    before = store.commits

    await asyncio.gather(*(append_some(store, lease, 20, f"fetch{number}") for number in range(10)))

    assert store.commits <= before + 25
    assert len(await store.entries(lease.run_id)) == 201


async def test_a_lost_lease_is_told_and_nothing_is_kept(store: SqliteStore, lease: Lease, outside: Connection) -> None:
    await append_some(store, lease, 2)
    await store.cancel(lease.run_id, by="ada", reason="enough")
    kept = seen_by(outside)

    for _ in range(3):
        with pytest.raises(LeaseLost):
            await store.append(lease, an_entry("late#1"))

    assert seen_by(outside) == kept


async def test_a_large_payload_is_kept_whole(store: SqliteStore, lease: Lease) -> None:
    await append_some(store, lease, 1)
    await store.append(lease, an_entry("large#1", output=LARGE))

    assert [entry.output for entry in await store.entries(lease.run_id)][-1] == LARGE


async def test_watchers_hear_of_it(store: SqliteStore, lease: Lease) -> None:
    heard: list[str] = []
    stop = store.watch(lambda run_id, _moved: heard.append(run_id), run_id=lease.run_id)

    await append_some(store, lease, 3)

    stop()
    assert heard == [lease.run_id] * 3


async def test_a_full_database_is_said_not_to_be_sure_and_got_over(store: SqliteStore, lease: Lease) -> None:
    await append_some(store, lease, 1)
    connection = store._writer._connection
    assert connection is not None
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")

    with pytest.raises(StoreUnavailable, match="full") as refused:
        await append_some(store, lease, 1000, "more")

    assert refused.value.may_be_stored
    await store.append(lease, an_entry("after#1"))


async def test_it_waits_while_another_program_holds_the_lock(store: SqliteStore, lease: Lease) -> None:
    await append_some(store, lease, 2)
    with programs(HOLD_THE_LOCK, (store.path,)) as (program,):
        assert await program.line() == "held"
        waiting = asyncio.ensure_future(append_some(store, lease, 3, "late"))
        await until(lambda: store._writer._handed_over is not None)
        also = asyncio.ensure_future(store.trigger(a_trigger()))
        program.go_on()
        await asyncio.gather(waiting, also)

    assert [entry.key for entry in await store.entries(lease.run_id)][-3:] == ["late#1", "late#2", "late#3"]


async def test_a_closed_store_takes_nothing(store: SqliteStore, lease: Lease) -> None:
    await append_some(store, lease, 2)
    await store.close()

    with pytest.raises(StoreUnavailable, match="closed"):
        await store.append(lease, an_entry("late#1"))
