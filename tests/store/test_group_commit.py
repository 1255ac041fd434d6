"""Verbs queued in one turn of the event loop share one commit; none of them harms, or is answered before, another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.errors import IdempotencyMismatch, LeaseLost, StoreUnavailable
from agentflow.requests import Lease
from agentflow.store import triggering
from agentflow.store.sqlite.store import SqliteStore
from agentflow.store.sqlite.writer import BATCH_LIMIT
from tests.support.stores import a_trigger, a_turn, an_entry

if TYPE_CHECKING:
    from sqlite3 import Connection

    from agentflow.store.sqlite.transaction import SqliteTransaction


async def runs_in(store: SqliteStore) -> int:
    return sum((await store.counts()).runs.values())


def seen_by(outside: Connection) -> int:
    return int(outside.execute("SELECT count(*) FROM agentflow_run").fetchone()[0])


async def written(store: SqliteStore, verb: Any) -> Any:
    """A verb of the test's own, sent as the store sends its own."""
    return await store.write(verb)


def write_and_break(tx: SqliteTransaction) -> None:
    """A verb with a defect in its middle."""
    triggering.trigger(tx, a_trigger())
    raise ZeroDivisionError


def break_at_commit(tx: SqliteTransaction) -> None:
    """Leave what only the commit itself can refuse: an entry of a run that is not there."""
    tx._execute("PRAGMA defer_foreign_keys=ON")
    values = "(run_id, seq, kind, epoch, attempt, at) VALUES ('run_none', 1, 'noted', 0, 1, 0)"
    tx._execute(f"INSERT INTO agentflow_journal {values}")


@pytest.mark.parametrize("count", [1, 2, 100, BATCH_LIMIT])
async def test_appends_of_one_turn_of_the_loop_are_one_commit(store: SqliteStore, count: int) -> None:
    lease = await a_turn(store)
    before = store.commits

    await asyncio.gather(*(store.append(lease, an_entry(f"fetch#{n}")) for n in range(count)))

    assert store.commits == before + 1
    assert len(await store.entries(lease.run_id)) == count + 1


async def test_a_burst_is_committed_in_bounded_batches(store: SqliteStore) -> None:
    lease = await a_turn(store)
    before = store.commits

    await asyncio.gather(*(store.append(lease, an_entry(f"fetch#{n}")) for n in range(2 * BATCH_LIMIT + 1)))

    assert store.commits == before + 3
    assert [entry.key for entry in await store.entries(lease.run_id)][1:] == [
        f"fetch#{n}" for n in range(2 * BATCH_LIMIT + 1)
    ]


async def test_verbs_one_after_the_other_are_commits_of_their_own(store: SqliteStore) -> None:
    before = store.commits
    for _ in range(5):
        await store.trigger(a_trigger())

    assert store.commits == before + 5


async def test_a_verb_that_fails_takes_nothing_of_its_neighbours(store: SqliteStore) -> None:
    lease = await a_turn(store)
    await store.trigger(a_trigger(idempotency_key="taken"))
    gone = Lease("run_none", 1, lease.worker_id)
    before = store.commits

    told = await asyncio.gather(
        store.trigger(a_trigger()),
        store.trigger_many([a_trigger(), a_trigger(), a_trigger(input="[]", idempotency_key="taken")]),
        store.append(lease, an_entry("fetch#1")),
        store.append(gone, an_entry("fetch#1")),
        written(store, write_and_break),
        store.trigger(a_trigger()),
        return_exceptions=True,
    )

    assert [type(one) for one in told[1:5]] == [IdempotencyMismatch, type(None), LeaseLost, ZeroDivisionError]
    assert store.commits == before + 1
    assert await runs_in(store) == 4
    assert [entry.key for entry in await store.entries(lease.run_id)] == [None, "fetch#1"]


async def test_a_statement_the_database_refuses_fails_its_own_verb_only(store: SqliteStore) -> None:
    made = await store.trigger(a_trigger())

    told = await asyncio.gather(
        store.trigger(a_trigger()),
        written(store, lambda tx: tx._execute("INSERT INTO agentflow_run (id) VALUES ('run_half')")),
        store.trigger(a_trigger()),
        return_exceptions=True,
    )

    assert isinstance(told[1], StoreUnavailable)
    assert not told[1].may_be_stored
    assert await runs_in(store) == 3
    assert await store.run(made.id) == made


async def test_nobody_is_answered_before_the_commit(store: SqliteStore, outside: Connection) -> None:
    """Were the process to die in between, an answer given earlier would have been a lie."""
    inside: list[tuple[int, bool]] = []
    answered: list[int] = []
    first: asyncio.Future[Any] = store.write(triggering.trigger, a_trigger())
    first.add_done_callback(lambda _: answered.append(seen_by(outside)))
    second = store.write(lambda _tx: inside.append((seen_by(outside), first.done())))

    await asyncio.gather(first, second)

    assert inside == [(0, False)]
    assert answered == [1]


async def test_a_failed_commit_stores_nothing_says_so_and_is_got_over(store: SqliteStore, outside: Connection) -> None:
    told = await asyncio.gather(
        store.trigger(a_trigger()), written(store, break_at_commit), store.trigger(a_trigger()), return_exceptions=True
    )

    assert [(type(one), getattr(one, "may_be_stored", None)) for one in told] == [(StoreUnavailable, True)] * 3
    assert seen_by(outside) == 0
    await store.trigger(a_trigger())
    assert seen_by(outside) == 1


async def test_a_caller_that_goes_away_leaves_its_verb_and_the_others_whole(store: SqliteStore) -> None:
    impatient: asyncio.Future[Any] = store.write(triggering.trigger, a_trigger())
    patient = store.write(triggering.trigger, a_trigger())
    impatient.cancel()

    await patient

    assert await runs_in(store) == 2


async def test_verbs_of_one_batch_see_what_came_before_them(store: SqliteStore) -> None:
    requests = [a_trigger(idempotency_key="a") for _ in range(10)]

    made = await asyncio.gather(*map(store.trigger, requests))

    assert len({run.id for run in made}) == 1


async def test_closing_flushes_what_is_queued(store: SqliteStore, outside: Connection) -> None:
    queued = [store.write(triggering.trigger, a_trigger()) for _ in range(2 * BATCH_LIMIT)]

    await store.close()

    assert all(future.done() for future in queued)
    assert seen_by(outside) == 2 * BATCH_LIMIT


async def test_a_closed_store_takes_nothing(store: SqliteStore) -> None:
    await store.close()

    with pytest.raises(StoreUnavailable):
        await store.trigger(a_trigger())
    with pytest.raises(StoreUnavailable):
        await store.counts()
