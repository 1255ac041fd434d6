"""Where large payloads are kept: once, apart, checked when they are read, and never half."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from agentflow.errors import LeaseLost, StoreUnusable
from agentflow.requests import ClaimRuns, HandedBack, RunFilter
from agentflow.states import RunStatus
from agentflow.store import blobs, journal
from agentflow.store.blobs import INLINE
from agentflow.store.sqlite.file import driver
from agentflow.store.sqlite.store import SqliteStore
from agentflow.store.sqlite.transaction import SqliteTransaction
from tests.support.stores import a_trigger, a_turn, a_worker, an_entry

if TYPE_CHECKING:
    from sqlite3 import Connection

    from agentflow.requests import Lease

MEGABYTE = 1024 * 1024


def a_large(word: str = "x", size: int = MEGABYTE) -> str:
    return json.dumps(word * (size // len(word)))


def count(outside: Connection) -> int:
    return int(outside.execute("SELECT count(*) FROM agentflow_blob").fetchone()[0])


async def a_turn_to_replay(store: SqliteStore, **given: str) -> Lease:
    """A run that is queued again after it recorded a large result."""
    lease = await a_turn(store)
    await store.append(lease, an_entry(**{"output": a_large()} | given))
    await store.finish(lease, HandedBack())
    return lease


async def test_a_hundred_recordings_of_a_megabyte_cost_one(store: SqliteStore, outside: Connection) -> None:
    lease = await a_turn(store)
    for n in range(100):
        await store.append(lease, an_entry(f"fetch#{n}", output=a_large()))

    assert count(outside) == 1
    outside.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert store.path.stat().st_size < 2 * MEGABYTE
    assert {one.output for one in await store.entries(lease.run_id) if one.key} == {a_large()}


async def test_what_is_small_is_kept_in_its_row_by_one_statement(store: SqliteStore, outside: Connection) -> None:
    lease = await a_turn(store, input=json.dumps("x" * (INLINE - 2)))
    await store.append(lease, an_entry(output=json.dumps("x" * (INLINE - 2))))

    assert count(outside) == 0
    done = []
    outside.set_trace_callback(done.append)
    tx = SqliteTransaction(outside, 0)
    journal.append(tx, lease, an_entry("fetch#2", output='"small"'))
    assert len(done) == 1


async def test_the_text_column_names_the_blob(store: SqliteStore, outside: Connection) -> None:
    lease = await a_turn(store)
    await store.append(lease, an_entry(output=a_large()))

    (stored,) = outside.execute("SELECT output FROM agentflow_journal WHERE key = 'fetch#1'").fetchone()
    digest, content, size = outside.execute("SELECT digest, content, size FROM agentflow_blob").fetchone()
    assert stored == f"blob:{digest}:{size}"
    assert (content, size) == (a_large(), MEGABYTE + 2)


async def test_a_superseded_turn_leaves_no_blob(store: SqliteStore, outside: Connection) -> None:
    lease = await a_turn(store)
    await store.cancel(lease.run_id, by="mia", reason="")
    with pytest.raises(LeaseLost):
        await store.append(lease, an_entry(output=a_large()))

    assert count(outside) == 0


async def test_a_row_that_is_refused_leaves_no_blob(store: SqliteStore, outside: Connection) -> None:
    await store.trigger(a_trigger())
    outside.execute("PRAGMA foreign_keys=ON")
    outside.execute("BEGIN IMMEDIATE")
    tx = SqliteTransaction(outside, 0)
    with pytest.raises(driver.IntegrityError):
        journal.enter(tx, "run_none", an_entry(output=a_large()))
    outside.execute("COMMIT")

    assert count(outside) == 0


async def test_all_entries_of_a_journal_are_resolved_by_one_query(store: SqliteStore, outside: Connection) -> None:
    lease = await a_turn(store)
    for n in range(20):
        await store.append(lease, an_entry(f"fetch#{n}", output=a_large(f"{n:02}", 2 * INLINE)))
    done: list[str] = []
    outside.set_trace_callback(done.append)

    journal.entries(SqliteTransaction(outside, 0), lease.run_id)

    assert len([statement for statement in done if "agentflow_blob" in statement]) == 1


async def test_more_blobs_than_one_query_names_are_resolved(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "MOST_AT_ONCE", 3)
    lease = await a_turn(store)
    wanted = [a_large(f"{n:02}", 2 * INLINE) for n in range(10)]
    for n, text in enumerate(wanted):
        await store.append(lease, an_entry(f"fetch#{n}", output=text))

    assert [one.output for one in await store.entries(lease.run_id) if one.key] == wanted


DAMAGES = {
    "missing": "DELETE FROM agentflow_blob",
    "changed": "UPDATE agentflow_blob SET content = replace(content, 'xx', 'xy')",
    "cut off": "UPDATE agentflow_blob SET content = substr(content, 1, 1000)",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_a_damaged_blob_is_named_and_not_given(store: SqliteStore, outside: Connection, damage: str) -> None:
    lease = await a_turn_to_replay(store)
    (digest,) = outside.execute("SELECT digest FROM agentflow_blob").fetchone()
    outside.execute(damage)

    with pytest.raises(StoreUnusable) as refused:
        await store.entries(lease.run_id)

    said = str(refused.value)
    assert f"the output of run {lease.run_id}, key fetch#1, is kept" in said
    assert digest in said


async def test_a_run_with_a_damaged_blob_needs_attention_and_others_are_claimed(
    store: SqliteStore, outside: Connection
) -> None:
    damaged = await a_turn_to_replay(store)
    sound = await store.trigger(a_trigger())
    outside.execute("DELETE FROM agentflow_blob")

    claimed = await store.claim(ClaimRuns(worker_id=await a_worker(store), tasks=("review",), limit=10))

    assert [one.run.id for one in claimed] == [sound.id]
    left = await store.run(damaged.run_id)
    assert left.status is RunStatus.NEEDS_ATTENTION
    assert "missing or damaged" in (left.error or "")


async def test_a_run_with_a_damaged_input_needs_attention_and_is_listed(
    store: SqliteStore, outside: Connection
) -> None:
    made = await store.trigger(a_trigger(input=a_large()))
    outside.execute("DELETE FROM agentflow_blob")

    assert not await store.claim(ClaimRuns(worker_id=await a_worker(store), tasks=("review",), limit=10))

    (listed,) = (await store.runs(RunFilter())).items
    assert (listed.id, listed.status) == (made.id, RunStatus.NEEDS_ATTENTION)
    with pytest.raises(StoreUnusable, match=f"the input of {made.id} is kept"):
        await store.run(made.id)
