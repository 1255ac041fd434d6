"""An event starts a run of each task that listens for it: matched when it is sent, settled once, whoever does it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.errors import (
    EventNotFound,
    ListenerNotFound,
    MatchNotFound,
    MatchSettled,
    QueueFull,
)
from agentflow.limits import Limits
from agentflow.requests import (
    DeclareListener,
    DeclareQueue,
    Kept,
    MatchFilter,
    OpenWait,
    Prune,
    RunFilter,
    SendEvent,
    SettleMatch,
    Singleton,
    event_subject,
)
from agentflow.states import MatchStatus, RunStatus, WaitKind
from tests.support.stores import Database, a_trigger, a_turn

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from agentflow.records import Match
    from agentflow.store import Store
    from agentflow.testing import FakeClock

BOOK = DeclareListener(id="book", task="book", pattern="invoice.*")
TELL = DeclareListener(id="tell", task="tell", pattern="*")
PAID = DeclareListener(id="paid", task="book", pattern="invoice.paid")
TEN_MINUTES = timedelta(minutes=10)


def an_event(id: str = "evt_1", name: str = "invoice.paid", payload: str = '{"n":1}', key: str = "") -> SendEvent:
    return SendEvent(id=id, name=name, key=key, payload=payload, sent_by="tests")


def started(event_id: str = "evt_1", listener_id: str = "book", **given: Any) -> SettleMatch:
    run = a_trigger(task="book", input='{"n":1}', origin="event invoice.paid", **given)
    return SettleMatch(event_id=event_id, listener_id=listener_id, status=MatchStatus.STARTED, run=run)


def failed(event_id: str = "evt_1", listener_id: str = "book", reason: str = "where= raised") -> SettleMatch:
    return SettleMatch(event_id=event_id, listener_id=listener_id, status=MatchStatus.FAILED, reason=reason)


async def listening(store: Store, *declared: DeclareListener, begins: bool = True) -> None:
    tasks = {one.task for one in declared or (BOOK,)}
    await store.declare_listeners(declared or (BOOK,), tasks, begins=begins)


async def said(store: Store, event_id: str = "evt_1") -> list[tuple[str, str]]:
    return [(one.listener_id, one.status.value) for one in await store.matches([event_id])]


async def runs_of(store: Store, *tasks: str) -> int:
    return len((await store.runs(RunFilter(limit=1000))).items)


async def the_match(store: Store, event_id: str = "evt_1", listener_id: str = "book") -> Match:
    return next(one for one in await store.matches([event_id]) if one.listener_id == listener_id)


# -- matching


async def test_an_event_is_matched_with_each_listener_whose_pattern_its_name_fits(store: Store) -> None:
    await listening(store, BOOK, TELL, DeclareListener(id="other", task="other", pattern="order.*"))

    await store.send_event(an_event())

    assert await said(store) == [("book", "pending"), ("tell", "pending")]
    [first, second] = await store.pending_matches(["book", "tell", "other"], limit=10)
    assert {first.listener_id, second.listener_id} == {"book", "tell"}
    assert first.event == await store.event("evt_1")
    assert first.event.payload == '{"n":1}'


async def test_a_listener_hears_what_is_sent_after_it_was_declared(store: Store) -> None:
    await store.send_event(an_event("evt_0"))
    await listening(store)
    await store.send_event(an_event("evt_1"))

    assert await said(store, "evt_0") == []
    assert await said(store, "evt_1") == [("book", "pending")]


async def test_the_same_event_again_is_matched_no_second_time(store: Store) -> None:
    await listening(store)
    await store.send_event(an_event())
    await store.settle_match(started())

    await store.send_event(an_event())

    assert await said(store) == [("book", "started")]
    assert await store.pending_matches(["book"], limit=10) == []


async def test_pending_matches_come_oldest_first_and_only_those_asked_for(store: Store, clock: FakeClock) -> None:
    await listening(store, BOOK, TELL)
    for count in (3, 1, 2):
        await store.send_event(an_event(f"evt_{count}"))
        await clock.advance(timedelta(seconds=1))

    found = await store.pending_matches(["book"], limit=2)

    assert [(one.listener_id, one.event.id) for one in found] == [("book", "evt_3"), ("book", "evt_1")]
    assert await store.pending_by_listener() == {"book": 3, "tell": 3}
    assert await store.pending_matches([], limit=2) == []


async def test_a_payload_that_is_kept_apart_comes_whole(store: Store) -> None:
    await listening(store)
    payload = '"' + "x" * 300_000 + '"'
    await store.send_event(an_event(payload=payload))

    [found] = await store.pending_matches(["book"], limit=1)

    assert found.event.payload == payload


async def test_an_event_names_the_runs_that_waited_for_it(store: Store) -> None:
    lease = await a_turn(store)
    wait = OpenWait(key="event#1", kind=WaitKind.EVENT, subject=event_subject("invoice.paid", ""))
    await store.park(lease, [wait], [wait.key])
    await listening(store)

    await store.send_event(an_event())

    assert (await store.event("evt_1")).woken == f'["{lease.run_id}"]'
    assert (await store.run(lease.run_id)).status is RunStatus.QUEUED
    assert await said(store) == [("book", "pending")]


async def test_who_settles_matches_hears_of_a_new_one(database: Database) -> None:
    store, other = await database.open(), await database.open()
    await listening(store)
    heard, from_afar = asyncio.Event(), asyncio.Event()
    store.watch(lambda _run, _moved: heard.set(), run_id="matches")
    other.watch(lambda _run, _moved: from_afar.set(), run_id="matches")

    await store.send_event(an_event())

    async with asyncio.timeout(10):
        await heard.wait()
        await from_afar.wait()


# -- settling


async def test_a_match_is_settled_with_the_run_it_starts(store: Store) -> None:
    await listening(store)
    await store.send_event(an_event())

    match = await store.settle_match(started())

    assert match is not None
    assert match.status is MatchStatus.STARTED
    assert match.settled_at is not None
    assert match.run_id is not None
    run = await store.run(match.run_id)
    assert (run.task, run.origin, run.input) == ("book", "event invoice.paid", '{"n":1}')


async def test_two_who_settle_one_match_make_one_run(database: Database) -> None:
    stores = [await database.open() for _ in range(4)]
    await listening(stores[0])
    for count in range(25):
        await stores[0].send_event(an_event(f"evt_{count}"))

    answers = await asyncio.gather(
        *(store.settle_match(started(f"evt_{count}")) for count in range(25) for store in stores)
    )

    assert sum(one is not None for one in answers) == 25
    assert await runs_of(stores[0]) == 25


async def test_a_match_that_failed_or_was_ignored_makes_no_run(store: Store) -> None:
    await listening(store, BOOK, TELL)
    await store.send_event(an_event())

    await store.settle_match(failed())
    await store.settle_match(replace(failed(listener_id="tell"), status=MatchStatus.IGNORED, reason="where= said no"))

    assert await said(store) == [("book", "failed"), ("tell", "ignored")]
    assert (await the_match(store)).reason == "where= raised"
    assert await runs_of(store) == 0


async def test_a_full_queue_leaves_the_match_pending(store: Store) -> None:
    await listening(store)
    await store.declare_queues([DeclareQueue(name="small", limits=Limits(backlog=1))])
    for count in (1, 2):
        await store.send_event(an_event(f"evt_{count}"))
    await store.settle_match(started("evt_1", queue="small"))

    with pytest.raises(QueueFull):
        await store.settle_match(started("evt_2", queue="small"))

    assert await said(store, "evt_2") == [("book", "pending")]
    assert await runs_of(store) == 1


async def test_an_open_run_with_the_singleton_key_leaves_the_match_ignored(store: Store) -> None:
    await listening(store)
    for count in (1, 2):
        await store.send_event(an_event(f"evt_{count}"))
    skip = Singleton(key="k", conflict="skip")
    first = await store.settle_match(started("evt_1", singleton=skip))

    second = await store.settle_match(started("evt_2", singleton=skip))

    assert first is not None
    assert second is not None
    assert second.status is MatchStatus.IGNORED
    assert first.run_id is not None
    assert first.run_id in (second.reason or "")
    assert await runs_of(store) == 1


async def test_a_failed_match_is_tried_again_and_one_that_started_is_not(store: Store) -> None:
    await listening(store)
    await store.send_event(an_event())
    await store.settle_match(failed())

    again = await store.retry_match("evt_1", "book", by="mia")

    assert (again.status, again.reason, again.settled_at) == (MatchStatus.PENDING, "tried again by mia", None)
    settled = await store.settle_match(started())
    assert settled is not None
    assert settled.reason is None
    with pytest.raises(MatchSettled, match=str(settled.run_id)):
        await store.retry_match("evt_1", "book", by="mia")
    with pytest.raises(MatchNotFound):
        await store.retry_match("evt_1", "tell", by="mia")
    with pytest.raises(EventNotFound):
        await store.event("evt_9")
    assert await said(store) == [("book", "started")]


async def test_the_latest_matches_are_listed_by_listener_and_status(store: Store, clock: FakeClock) -> None:
    await listening(store, BOOK, TELL)
    for count in range(3):
        await store.send_event(an_event(f"evt_{count}"))
        await store.settle_match(failed(f"evt_{count}"))
        await clock.advance(timedelta(seconds=1))

    async def listed(**which: Any) -> list[tuple[str, str]]:
        return [(one.event_id, one.listener_id) for one in await store.recent_matches(MatchFilter(**which))]

    assert await listed(status=MatchStatus.FAILED) == [("evt_2", "book"), ("evt_1", "book"), ("evt_0", "book")]
    assert await listed(status=MatchStatus.FAILED, listener_id="tell") == []
    assert await listed(listener_id="tell", limit=1) == [("evt_2", "tell")]
    assert len(await listed()) == 6


# -- declaring


async def test_what_is_declared_again_hears_on_from_when_it_was_declared_first(store: Store, clock: FakeClock) -> None:
    await listening(store)
    [first] = await store.listeners()
    await clock.advance(timedelta(minutes=2))

    await listening(store, begins=False)

    [again] = await store.listeners()
    assert again == replace(first, declared_at=store.now())


async def test_declaring_again_within_a_minute_writes_nothing(store: Store, clock: FakeClock) -> None:
    await listening(store)
    before = await store.listeners()
    await clock.advance(timedelta(seconds=59))

    await listening(store, begins=False)

    assert await store.listeners() == before


async def test_a_release_without_a_listener_does_not_silence_the_one_that_has_it(
    store: Store, clock: FakeClock
) -> None:
    """Old and new workers run side by side, and either may restart: what is sent meanwhile is heard for both."""
    await listening(store, BOOK)
    await clock.advance(timedelta(minutes=9))
    await listening(store, PAID)  # the new release, whose `book` listens for less
    await store.send_event(an_event())
    await listening(store, BOOK)  # a worker of the old one starts again
    await store.send_event(an_event("evt_2"))

    assert await said(store) == [("book", "pending"), ("paid", "pending")]
    assert await said(store, "evt_2") == [("book", "pending"), ("paid", "pending")]


async def test_a_listener_that_nobody_declares_any_more_goes_and_what_waited_for_it_is_failed(
    store: Store, clock: FakeClock
) -> None:
    await listening(store, BOOK, TELL)
    await store.send_event(an_event())
    for _ in range(10):
        await clock.advance(timedelta(minutes=1))
        await store.declare_listeners([PAID], {"book"})

    assert [one.id for one in await store.listeners()] == ["paid", "tell"]  # another program's stays
    assert await said(store) == [("book", "failed"), ("tell", "pending")]
    assert "no release" in ((await the_match(store)).reason or "")
    with pytest.raises(ListenerNotFound):
        await store.retry_match("evt_1", "book", by="mia")


async def test_a_listener_is_as_the_release_that_was_started_last_has_it(store: Store, clock: FakeClock) -> None:
    await listening(store)
    changed = replace(BOOK, pattern="bill.*")

    async def pattern() -> str:
        return (await store.listeners())[0].pattern

    await store.declare_listeners([changed], {"book"}, begins=True)
    assert await pattern() == "bill.*"
    for _ in range(12):  # the old one, still there, does not have it back as long as the new one says that it has it
        await clock.advance(timedelta(minutes=1))
        await store.declare_listeners([BOOK], {"book"})
        await store.declare_listeners([changed], {"book"})
    assert await pattern() == "bill.*"
    await clock.advance(TEN_MINUTES)
    await store.declare_listeners([BOOK], {"book"})
    assert await pattern() == "invoice.*"


async def test_the_listener_of_another_programs_task_is_not_taken_over(store: Store) -> None:
    await listening(store)

    await store.declare_listeners([replace(BOOK, task="other")], {"other"}, begins=True)

    assert [one.task for one in await store.listeners()] == ["book"]


async def test_a_listener_is_removed_by_hand(store: Store) -> None:
    await listening(store)
    await store.send_event(an_event())

    assert (await store.remove_listener("book", by="mia")).id == "book"

    assert await store.listeners() == []
    assert (await the_match(store)).reason == "its listener was removed by mia"
    with pytest.raises(ListenerNotFound):
        await store.remove_listener("book", by="mia")


# -- keeping


async def test_an_event_with_a_pending_match_stays_and_others_go_with_theirs(store: Store, clock: FakeClock) -> None:
    await listening(store)
    for count in (1, 2, 3):
        await store.send_event(an_event(f"evt_{count}"))
    await store.settle_match(failed("evt_2"))
    await clock.advance(timedelta(days=2))
    old = Prune(kind=Kept.EVENTS, before=store.now() - timedelta(days=1))

    assert (await store.prunable(old)).removed == 1
    assert (await store.prune(old)).removed == 1

    assert await said(store, "evt_1") == [("book", "pending")]
    assert await _kept(store, ["evt_1", "evt_2", "evt_3"]) == ["evt_1", "evt_3"]


async def _kept(store: Store, event_ids: Sequence[str]) -> Collection[str]:
    return sorted({one.event_id for one in await store.matches(event_ids)})
