"""Journals, the feed of all of them, logs, and hints that something was committed."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from agentflow.clock import to_micros
from agentflow.requests import Completed, NewLogLine
from agentflow.states import EntryKind
from agentflow.store import Store
from agentflow.testing import FakeClock
from tests.support.stores import Database, a_gated_run, a_trigger, a_turn, an_entry, until


def a_line(store: Store, run_id: str, message: str, *, key: str | None = None) -> NewLogLine:
    at = to_micros(store.now())
    return NewLogLine(run_id=run_id, at=at, level="INFO", logger="app", message=message, key=key, epoch=1)


async def test_an_entry_is_kept_as_it_was_given(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    clock.advance("3s")
    texts = {"input": '["ä"]', "output": '{"n":1}', "error": "{}", "detail": "d"}

    await store.append(lease, an_entry("fetch#1", EntryKind.ATTEMPT_FAILED, attempt=2, took=1500, **texts))

    entry = (await store.entries(lease.run_id))[-1]
    assert (entry.kind, entry.key, entry.operation) == (EntryKind.ATTEMPT_FAILED, "fetch#1", "step")
    assert (entry.attempt, entry.took, entry.at) == (2, timedelta(microseconds=1500), store.now())
    assert {name: getattr(entry, name) for name in texts} == texts
    assert (entry.epoch, entry.seq) == (1, 2)


async def test_a_journal_counts_from_one_without_gaps_whoever_writes(database: Database) -> None:
    store, other = await database.open(), await database.open()
    leases = [await a_turn(store) for _ in range(3)]

    await asyncio.gather(
        *((store, other)[n % 2].append(leases[n % 3], an_entry(f"fetch#{n}")) for n in range(60)),
    )

    for lease in leases:
        assert [entry.seq for entry in await store.entries(lease.run_id)] == list(range(1, 22))


async def test_a_refused_append_leaves_no_gap(store: Store) -> None:
    lease = await a_turn(store)
    await asyncio.gather(store.append(lease, an_entry()), store.cancel(lease.run_id, by="mia", reason=""))
    await asyncio.gather(store.append(lease, an_entry()), store.finish(lease, Completed("1")), return_exceptions=True)

    assert [entry.seq for entry in await store.entries(lease.run_id)] == [1, 2, 3]


async def test_entries_are_read_from_anywhere_on(store: Store) -> None:
    lease = await a_turn(store)
    for n in range(5):
        await store.append(lease, an_entry(f"fetch#{n}"))

    assert [entry.seq for entry in await store.entries(lease.run_id, after=2)] == [3, 4, 5, 6]
    assert [entry.seq for entry in await store.entries(lease.run_id, after=2, limit=2)] == [3, 4]
    assert await store.entries(lease.run_id, after=99) == []
    assert await store.entries("run_none") == []


async def test_the_feed_has_the_entries_of_all_runs_in_the_order_of_their_commits(store: Store) -> None:
    assert (await store.head(), await store.feed(after=0, limit=10)) == (0, [])
    one, other = await a_turn(store), await a_turn(store)
    head = await store.head()
    await store.append(one, an_entry("a#1"))
    await store.append(other, an_entry("b#1"))
    await store.append(one, an_entry("a#2"))

    feed = await store.feed(after=head, limit=10)

    assert [(entry.run_id, entry.key) for entry in feed] == [
        (one.run_id, "a#1"),
        (other.run_id, "b#1"),
        (one.run_id, "a#2"),
    ]
    assert await store.head() == feed[-1].id
    assert list(await store.feed(after=feed[0].id, limit=1)) == [feed[1]]


async def test_a_follower_of_the_feed_misses_nothing_and_sees_nothing_twice(database: Database) -> None:
    """While three processes write."""
    stores = [await database.open() for _ in range(3)]
    writing = [asyncio.create_task(stores[n % 3].trigger(a_trigger(input=f'{{"n":{n}}}'))) for n in range(90)]
    seen: list[int] = []
    after = 0
    while len(seen) < 90:
        for entry in await stores[0].feed(after=after, limit=7):
            seen.append(entry.id)
            after = entry.id
    await asyncio.gather(*writing)

    assert seen == sorted(set(seen))
    assert {entry.id for entry in await stores[1].feed(after=0, limit=1000)} == set(seen)


async def test_log_lines_are_kept_in_their_order(store: Store) -> None:
    lease = await a_turn(store)
    await store.keep_logs([a_line(store, lease.run_id, f"line {n}", key="fetch#1") for n in range(5)])
    await store.keep_logs([a_line(store, lease.run_id, "later Ünïcode\nwith a break")])
    await store.keep_logs([])

    lines = await store.logs(lease.run_id)

    assert [line.message for line in lines] == [*(f"line {n}" for n in range(5)), "later Ünïcode\nwith a break"]
    assert [line.key for line in lines] == ["fetch#1"] * 5 + [None]
    assert {(line.level, line.logger, line.at) for line in lines} == {("INFO", "app", store.now())}
    assert await store.logs("run_none") == []


async def test_log_lines_of_a_superseded_turn_are_true_and_kept(store: Store) -> None:
    lease = await a_turn(store)
    await store.cancel(lease.run_id, by="mia", reason="")

    await store.keep_logs([a_line(store, lease.run_id, "still here")])

    assert [line.message for line in await store.logs(lease.run_id)] == ["still here"]


async def test_a_watcher_hears_of_each_run_that_was_written_to(store: Store) -> None:
    heard: list[str] = []
    stop = store.watch(lambda run_id, _moved: heard.append(run_id))
    approval = await a_gated_run(store)
    assert approval.run_id in heard
    heard.clear()

    made = await store.trigger(a_trigger())
    assert heard == [made.id]

    stop()
    stop()
    await store.trigger(a_trigger())
    assert heard == [made.id]


async def test_who_watches_one_run_hears_of_no_other(store: Store) -> None:
    first, second = await store.trigger(a_trigger()), await store.trigger(a_trigger())
    heard: list[tuple[str, bool]] = []
    stop = store.watch(lambda run_id, moved: heard.append((run_id, moved)), run_id=first.id)

    await store.cancel(second.id, by="mia", reason="")
    await store.cancel(first.id, by="mia", reason="")
    assert heard == [(first.id, True)]

    stop()
    await store.trigger(a_trigger())
    assert heard == [(first.id, True)]


async def test_a_watcher_hears_only_of_what_is_committed(store: Store) -> None:
    """Whoever looks again because of a hint finds what it was about."""
    found: list[asyncio.Task[object]] = []
    store.watch(lambda run_id, _moved: found.append(asyncio.ensure_future(store.run(run_id))) if run_id else None)

    made = await store.trigger(a_trigger())

    assert await asyncio.gather(*found) == [made]


async def test_changes_come_at_once_and_then_after_each_burst(store: Store) -> None:
    changes = store.changes()
    await anext(changes)
    waiting = asyncio.ensure_future(anext(changes))
    await asyncio.gather(*(store.trigger(a_trigger()) for _ in range(10)))
    await waiting

    again = asyncio.ensure_future(anext(changes))
    await store.counts()
    assert not again.done()
    await store.trigger(a_trigger())
    await again
    await changes.aclose()


async def test_changes_of_another_store_on_the_same_database_are_noticed(database: Database) -> None:
    store, other = await database.open(), await database.open()
    changes = store.changes()
    await anext(changes)
    waiting = asyncio.ensure_future(anext(changes))

    await other.trigger(a_trigger())

    await until(waiting.done)
    await changes.aclose()
