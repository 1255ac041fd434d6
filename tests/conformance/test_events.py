"""An event is stored first and matched afterwards: whoever waits, before or after, on time, gets it once."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from agentflow.errors import IdempotencyMismatch, LeaseLost
from agentflow.records import Event
from agentflow.requests import Completed, Lease, NewEntry, OpenWait, ReceiveEvents, SendEvent, event_subject
from agentflow.states import EntryKind, RunStatus, WaitKind
from agentflow.store import Store
from agentflow.testing import FakeClock
from tests.support.stores import Database, a_timer, a_turn, a_worker, an_entry, claimed, everything_of, last_entry

NAME, KEY = "paid", "order-17"


def an_event(id: str = "evt_1", *, name: str = NAME, key: str = KEY, payload: Any = None) -> SendEvent:
    text = json.dumps({"id": id} if payload is None else payload)
    return SendEvent(id=id, name=name, key=key, payload=text, sent_by="tests")


def a_wait(
    store: Store,
    at: str = "event.paid#1",
    *,
    kind: WaitKind = WaitKind.EVENT,
    name: str = NAME,
    key: str = KEY,
    timeout: timedelta | None = None,
    look_back: timedelta = timedelta(hours=1),
) -> OpenWait:
    """A wait for an event, or with `kind` for a message, sent at most an hour ago."""
    now = store.now()
    due_at = None if timeout is None else now + timeout
    return OpenWait(key=at, kind=kind, subject=event_subject(name, key), due_at=due_at, since=now - look_back)


async def answers(store: Store, run_id: str) -> list[tuple[str | None, str | None, str]]:
    """Key, payload and outcome of every answer the run got, in order."""
    found = [one for one in await store.entries(run_id) if one.kind is EntryKind.WAIT_RESOLVED]
    return [(one.key, one.output, json.loads(one.detail or "{}")["outcome"]) for one in found]


async def parked_on(store: Store, wait: OpenWait, *, worker: str | None = None) -> Lease:
    lease = await a_turn(store, worker=worker)
    assert await store.park(lease, [wait], [wait.key]) is RunStatus.WAITING
    return lease


async def test_an_event_wakes_the_run_that_waits_for_it_with_its_payload(store: Store) -> None:
    lease = await parked_on(store, a_wait(store))

    sent = await store.send_event(an_event())

    assert (sent.name, sent.key, sent.seq, sent.repeated) == (NAME, KEY, 1, False)
    assert (await store.run(lease.run_id)).status is RunStatus.QUEUED
    assert await answers(store, lease.run_id) == [("event.paid#1", '{"id": "evt_1"}', "received")]
    assert await store.waits(lease.run_id) == []
    assert json.loads((await last_entry(store, lease.run_id)).detail or "")["event"] == sent.id


async def test_an_event_that_was_sent_before_the_run_waits_is_found(store: Store) -> None:
    await store.send_event(an_event())
    lease = await a_turn(store)
    wait = a_wait(store)

    assert await store.is_answered(lease.run_id, wait)
    assert await store.park(lease, [wait], [wait.key]) is RunStatus.QUEUED

    assert await answers(store, lease.run_id) == [("event.paid#1", '{"id": "evt_1"}', "received")]


async def test_racing_an_event_with_parking_never_leaves_the_run_asleep(database: Database) -> None:
    """Two processes, both orders, whether the wait is opened before or by parking: 300 times it ends up queued."""
    store, other = await database.open(), await database.open()
    worker, chance = await a_worker(store), Random(64)
    for count in range(300):
        key, kind = f"order-{count}", chance.choice([WaitKind.EVENT, WaitKind.MESSAGE])
        lease, wait = await a_turn(store, worker=worker), a_wait(store, kind=kind, key=key)
        is_open = chance.random() < 0.5
        if is_open:
            await store.open_waits(lease, [wait])
        both = [
            store.park(lease, [] if is_open else [wait], [wait.key]),
            other.send_event(an_event(f"evt_{count}", key=key)),
        ]
        chance.shuffle(both)
        await asyncio.gather(*both)

        assert (await store.run(lease.run_id)).status is RunStatus.QUEUED
        assert len(await answers(store, lease.run_id)) == 1
        assert len(await claimed(store, worker=worker)) == 1


async def test_only_the_name_and_key_that_are_waited_for_count(store: Store) -> None:
    lease = await parked_on(store, a_wait(store))

    await store.send_event(an_event("evt_1", key="order-18"))
    await store.send_event(an_event("evt_2", name="refunded"))
    await store.send_event(an_event("evt_3", key=""))

    assert (await store.run(lease.run_id)).status is RunStatus.WAITING


async def test_every_run_that_waits_gets_the_event(store: Store) -> None:
    leases = [await parked_on(store, a_wait(store)) for _ in range(3)]

    await store.send_event(an_event())

    for lease in leases:
        assert len(await answers(store, lease.run_id)) == 1


async def test_the_first_event_counts_and_what_comes_after_changes_nothing(store: Store) -> None:
    lease = await parked_on(store, a_wait(store))
    for count in (1, 2):
        await store.send_event(an_event(f"evt_{count}"))
    (again,) = await claimed(store)

    await store.park(again, [a_wait(store, "event.paid#2")], ["event.paid#2"])

    first = '{"id": "evt_1"}'
    assert await answers(store, lease.run_id) == [
        ("event.paid#1", first, "received"),
        ("event.paid#2", first, "received"),
    ]


async def test_an_event_counts_from_the_very_instant_one_looks_back_to(store: Store, clock: FakeClock) -> None:
    await store.send_event(an_event())
    clock.advance("1h")
    lease = await a_turn(store)
    just_not = a_wait(store, "event.paid#1", look_back=timedelta(hours=1) - timedelta(microseconds=1))
    just = a_wait(store, "event.paid#2", look_back=timedelta(hours=1))

    assert not await store.is_answered(lease.run_id, just_not)
    await store.park(lease, [just_not, just], [just_not.key, just.key])

    assert [key for key, _, _ in await answers(store, lease.run_id)] == ["event.paid#2"]


async def test_looking_back_passes_over_what_is_too_old(store: Store, clock: FakeClock) -> None:
    await store.send_event(an_event("evt_old"))
    clock.advance("2h")
    await store.send_event(an_event("evt_new"))

    lease, wait = await a_turn(store), a_wait(store)
    await store.park(lease, [wait], [wait.key])

    assert await answers(store, lease.run_id) == [(wait.key, '{"id": "evt_new"}', "received")]


# -- ids


async def test_the_same_id_again_is_the_same_event(store: Store) -> None:
    lease = await parked_on(store, a_wait(store, kind=WaitKind.MESSAGE))
    first = await store.send_event(an_event(payload={"a": 1, "b": 2.0}))
    (again,) = await claimed(store)
    second = a_wait(store, "event.paid#2", kind=WaitKind.MESSAGE)
    await store.park(again, [second], [second.key])
    before = await everything_of(store, lease.run_id)

    repeated = await store.send_event(an_event(payload={"b": 2, "a": 1}))

    assert (repeated.id, repeated.seq, repeated.payload, repeated.repeated) == (first.id, 1, first.payload, True)
    assert await everything_of(store, lease.run_id) == before
    assert len(await store.events()) == 1


@pytest.mark.parametrize("other", [{"payload": {"n": 2}}, {"key": "order-18"}, {"name": "refunded"}])
async def test_the_same_id_with_other_content_is_refused(store: Store, other: dict[str, Any]) -> None:
    await store.send_event(an_event(payload={"n": 1}))

    with pytest.raises(IdempotencyMismatch, match="evt_1 was sent before as 'paid' of 'order-17'"):
        await store.send_event(an_event(**{"payload": {"n": 1}} | other))

    assert [one.payload for one in await store.events()] == ['{"n": 1}']


async def test_events_of_one_name_and_key_are_counted_without_gaps_by_however_many_senders(database: Database) -> None:
    stores = [await database.open() for _ in range(3)]

    sent = await asyncio.gather(*(stores[n % 3].send_event(an_event(f"evt_{n}")) for n in range(30)))

    assert sorted(one.seq for one in sent) == list(range(1, 31))


async def test_events_are_listed_newest_first(store: Store, clock: FakeClock) -> None:
    for count, name in enumerate(["paid", "refunded", "paid"]):
        await store.send_event(an_event(f"evt_{count}", name=name))
        clock.advance(1)

    assert [one.id for one in await store.events()] == ["evt_2", "evt_1", "evt_0"]
    assert [one.id for one in await store.events(name="paid", limit=1)] == ["evt_2"]


# -- time


async def test_a_wait_that_is_due_times_out_once(store: Store, clock: FakeClock) -> None:
    wait = a_wait(store, timeout=timedelta(minutes=5))
    lease = await parked_on(store, wait)
    assert await store.next_due_at() == wait.due_at

    clock.advance(timedelta(minutes=5) - timedelta(microseconds=1))
    assert await store.expire(limit=10) == 0
    clock.advance(timedelta(microseconds=1))
    assert await store.expire(limit=10) == 1
    assert await store.expire(limit=10) == 0

    assert (await store.run(lease.run_id)).status is RunStatus.QUEUED
    assert await answers(store, lease.run_id) == [(wait.key, None, "timed_out")]
    assert await store.next_due_at() is None


@pytest.mark.parametrize("kind", [WaitKind.EVENT, WaitKind.MESSAGE])
async def test_an_event_at_the_instant_of_the_time_out_is_too_late(
    store: Store, clock: FakeClock, kind: WaitKind
) -> None:
    """Whether or not anybody has looked at the clock by then; and it is there for the next wait."""
    lease = await parked_on(store, a_wait(store, kind=kind, timeout=timedelta(minutes=5)))
    clock.advance("5m")

    await store.send_event(an_event())

    assert await store.expire(limit=10) == 0
    assert await answers(store, lease.run_id) == [("event.paid#1", None, "timed_out")]
    (again,) = await claimed(store)
    await store.open_waits(again, [a_wait(store, "event.paid#2", kind=kind)])
    assert (await answers(store, lease.run_id))[1:] == [("event.paid#2", '{"id": "evt_1"}', "received")]


async def test_an_event_just_before_the_time_out_is_in_time(store: Store, clock: FakeClock) -> None:
    lease = await parked_on(store, a_wait(store, timeout=timedelta(minutes=5)))
    clock.advance(timedelta(minutes=5) - timedelta(microseconds=1))

    await store.send_event(an_event())
    clock.advance("1h")

    assert await store.expire(limit=10) == 0
    assert [outcome for _, _, outcome in await answers(store, lease.run_id)] == ["received"]


async def test_racing_an_event_with_a_time_out_gives_one_answer(database: Database) -> None:
    store, other = await database.open(), await database.open()
    worker, chance = await a_worker(store), Random(5)
    for count in range(40):
        key = f"order-{count}"
        lease = await parked_on(store, a_wait(store, key=key, timeout=timedelta(seconds=1)), worker=worker)
        database.clock.advance(chance.choice([timedelta(seconds=1), timedelta(milliseconds=999)]))
        both = [store.expire(limit=10), other.send_event(an_event(f"evt_{count}", key=key))]
        chance.shuffle(both)
        await asyncio.gather(*both)

        assert len(await answers(store, lease.run_id)) == 1
        assert len(await claimed(store, worker=worker)) == 1


async def test_a_wait_for_no_time_finds_what_is_there_or_times_out_at_once(store: Store) -> None:
    lease = await a_turn(store)
    at_once = timedelta(0)

    assert await store.park(lease, [a_wait(store, timeout=at_once)], ["event.paid#1"]) is RunStatus.QUEUED
    await store.send_event(an_event())
    (again,) = await claimed(store)
    await store.park(again, [a_wait(store, "event.paid#2", timeout=at_once)], ["event.paid#2"])

    outcomes = [outcome for _, _, outcome in await answers(store, lease.run_id)]
    assert outcomes == ["timed_out", "received"]


async def test_a_paused_run_keeps_its_waits_and_their_time(store: Store, clock: FakeClock) -> None:
    lease = await parked_on(store, a_wait(store, timeout=timedelta(minutes=5)))
    await store.pause(lease.run_id, by="mia", reason="")
    clock.advance("5m")

    await store.expire(limit=10)

    assert (await store.run(lease.run_id)).status is RunStatus.PAUSED
    assert [outcome for _, _, outcome in await answers(store, lease.run_id)] == ["timed_out"]


# -- messages


async def test_messages_come_one_by_one_in_the_order_they_were_sent(store: Store) -> None:
    lease = await a_turn(store)
    for count in range(1, 4):
        await store.send_event(an_event(f"evt_{count}", payload=count))

    for count in range(1, 4):
        await store.open_waits(lease, [a_wait(store, f"event.paid#{count}", kind=WaitKind.MESSAGE)])

    assert [payload for _, payload, _ in await answers(store, lease.run_id)] == ["1", "2", "3"]
    fourth = a_wait(store, "event.paid#4", kind=WaitKind.MESSAGE)
    assert not await store.is_answered(lease.run_id, fourth)
    assert await store.park(lease, [fourth], [fourth.key]) is RunStatus.WAITING


async def test_of_two_waits_of_one_run_the_older_gets_the_first_message(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    await store.open_waits(lease, [a_wait(store, "event.paid#9", kind=WaitKind.MESSAGE)])
    clock.advance(1)
    await store.open_waits(lease, [a_wait(store, "event.paid#1", kind=WaitKind.MESSAGE)])

    for count in (1, 2, 3):
        await store.send_event(an_event(f"evt_{count}", payload=count))

    assert [(key, payload) for key, payload, _ in await answers(store, lease.run_id)] == [
        ("event.paid#9", "1"),
        ("event.paid#1", "2"),
    ]
    assert [one.seq for one in await receive(store, lease, "receive#1")] == [3]


async def test_each_run_reads_the_stream_by_itself(store: Store) -> None:
    first = await parked_on(store, a_wait(store, kind=WaitKind.MESSAGE))
    await store.send_event(an_event("evt_1", payload=1))
    await store.send_event(an_event("evt_2", payload=2))
    second = await a_turn(store, task="other")

    await store.open_waits(second, [a_wait(store, f"event.paid#{n}", kind=WaitKind.MESSAGE) for n in (1, 2)])

    assert [payload for _, payload, _ in await answers(store, first.run_id)] == ["1"]
    assert [payload for _, payload, _ in await answers(store, second.run_id)] == ["1", "2"]


async def receive(store: Store, lease: Lease, key: str, *, limit: int = 100) -> list[Event]:
    request = ReceiveEvents(name=NAME, key=KEY, limit=limit, since=store.now() - timedelta(hours=1))
    entry = NewEntry(EntryKind.SUCCEEDED, key, "receive")
    return list(await store.receive_events(lease, request, entry))


async def test_receiving_takes_what_is_there_and_records_it_with_the_cursor(store: Store) -> None:
    lease = await a_turn(store)
    assert await receive(store, lease, "receive#1") == []
    for count in range(1, 6):
        await store.send_event(an_event(f"evt_{count}", payload=count))

    assert [one.seq for one in await receive(store, lease, "receive#2", limit=3)] == [1, 2, 3]
    await store.open_waits(lease, [a_wait(store, "event.paid#1", kind=WaitKind.MESSAGE)])
    assert [one.seq for one in await receive(store, lease, "receive#3")] == [5]

    recorded = [one.output for one in await store.entries(lease.run_id) if one.operation == "receive"]
    assert recorded == ["[]", "[1,2,3]", "[5]"]


async def test_a_superseded_turn_takes_no_messages(store: Store) -> None:
    lease = await a_turn(store)
    await store.send_event(an_event())
    stale = Lease(lease.run_id, lease.epoch - 1, lease.worker_id)

    with pytest.raises(LeaseLost):
        await receive(store, stale, "receive#1")

    assert len(await receive(store, lease, "receive#1")) == 1


async def test_messages_that_make_a_large_entry_come_in_several(store: Store) -> None:
    lease = await a_turn(store)
    for count in range(4):
        await store.send_event(an_event(f"evt_{count}", payload="x" * 600_000))

    counts = [len(await receive(store, lease, f"receive#{n}")) for n in range(1, 6)]

    assert counts == [1, 1, 1, 1, 0]


# -- withdrawing


async def test_a_run_that_has_ended_waits_for_nothing(store: Store) -> None:
    lease = await a_turn(store)
    await store.open_waits(lease, [a_wait(store, timeout=timedelta(hours=1)), a_timer(store)])

    await store.finish(lease, Completed("1"))
    await store.send_event(an_event())

    assert await store.waits(lease.run_id) == []
    assert await answers(store, lease.run_id) == []
    assert await store.next_due_at() is None


async def test_a_settled_scope_leaves_its_messages_to_whoever_waits_next(store: Store) -> None:
    lease = await a_turn(store)
    await store.open_waits(lease, [a_wait(store, "gather#1[0]/event.paid#1", kind=WaitKind.MESSAGE)])
    await store.settle(lease, an_entry("gather#1", EntryKind.FAILED), "gather#1")

    await store.send_event(an_event())
    await store.open_waits(lease, [a_wait(store, "event.paid#1", kind=WaitKind.MESSAGE)])

    assert [key for key, _, _ in await answers(store, lease.run_id)] == ["event.paid#1"]
