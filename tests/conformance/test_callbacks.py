"""A callback has one answer: what the other system says, a time-out or the end of its run, whichever is first."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from agentflow.errors import CallbackLapsed, CallbackNotFound, CallbackResolved, LeaseLost
from agentflow.failures import Failure
from agentflow.ids import CALLBACK, new_id, new_token
from agentflow.payloads import digest
from agentflow.records import Callback
from agentflow.requests import Completed, Failed, Lease, NewCallback, NewEntry, OpenWait, ResolveCallback
from agentflow.states import CallbackStatus, EntryKind, RunStatus, WaitKind
from agentflow.store import Store
from agentflow.testing import FakeClock
from tests.support.stores import Database, a_turn, a_worker, claimed, everything_of, kinds_of

MINUTE = timedelta(minutes=1)


async def a_callback(
    store: Store, lease: Lease, *, timeout: timedelta | None = None, heartbeat_for: timedelta | None = None
) -> tuple[Callback, str]:
    """A pending callback of the lease's run, and the digest of its token."""
    named = digest(new_token())
    made = new_id(CALLBACK, store.now())
    new = NewCallback(id=made, key="callback#1", token_digest=named, timeout=timeout, heartbeat_for=heartbeat_for)
    entry = NewEntry(EntryKind.SUCCEEDED, "callback#1", "callback", output=json.dumps({"id": made}))
    return await store.create_callback(lease, new, entry), named


def a_wait_for(callback: Callback, key: str = "callback.result#1") -> OpenWait:
    return OpenWait(key=key, kind=WaitKind.CALLBACK, subject=callback.id)


async def answers(store: Store, run_id: str) -> list[tuple[str | None, str | None, str]]:
    """Key, result and outcome of every answer the run got, in order."""
    found = [one for one in await store.entries(run_id) if one.kind is EntryKind.WAIT_RESOLVED]
    return [(one.key, one.output, json.loads(one.detail or "{}")["outcome"]) for one in found]


async def a_waiting_run(store: Store, **limits: Any) -> tuple[Lease, Callback, str]:
    lease = await a_turn(store)
    made, named = await a_callback(store, lease, **limits)
    wait = a_wait_for(made)
    assert await store.park(lease, [wait], [wait.key]) is RunStatus.WAITING
    return lease, made, named


async def test_a_callback_is_made_together_with_the_entry_that_records_it(store: Store) -> None:
    lease = await a_turn(store)

    made, named = await a_callback(store, lease, timeout=MINUTE)

    assert (made.run_id, made.key, made.status) == (lease.run_id, "callback#1", CallbackStatus.PENDING)
    assert made.lapses_at == made.due_at == store.now() + MINUTE
    assert await store.callback(named) == made
    assert await store.callbacks(lease.run_id) == [made]
    assert await kinds_of(store, lease.run_id) == [EntryKind.TRIGGERED, EntryKind.SUCCEEDED]


async def test_a_superseded_turn_makes_no_callback(store: Store) -> None:
    lease = await a_turn(store)
    before = await everything_of(store, lease.run_id)

    with pytest.raises(LeaseLost):
        await a_callback(store, Lease(lease.run_id, lease.epoch - 1, lease.worker_id))

    assert await store.callbacks(lease.run_id) == []
    assert await everything_of(store, lease.run_id) == before


async def test_an_answer_wakes_the_run_that_waits_for_it(store: Store) -> None:
    lease, made, named = await a_waiting_run(store)

    told = await store.resolve_callback(ResolveCallback(token_digest=named, output='{"paid":true}'))

    assert (told.status, told.output, told.resolved_at) == (CallbackStatus.COMPLETED, '{"paid":true}', store.now())
    assert (await store.run(lease.run_id)).status is RunStatus.QUEUED
    assert await answers(store, lease.run_id) == [("callback.result#1", '{"paid":true}', "completed")]
    assert (await store.callbacks(made.run_id))[0] == told


async def test_an_answer_before_anybody_waits_is_found_by_however_many_waits(store: Store) -> None:
    lease = await a_turn(store)
    made, named = await a_callback(store, lease)
    await store.resolve_callback(ResolveCallback(token_digest=named, output="1"))
    waits = [a_wait_for(made, f"callback.result#{n}") for n in (1, 2)]

    assert await store.is_answered(lease.run_id, waits[0])
    assert await store.park(lease, waits, [one.key for one in waits]) is RunStatus.QUEUED

    assert [payload for _, payload, _ in await answers(store, lease.run_id)] == ["1", "1"]


async def test_a_failure_is_told_with_its_text(store: Store) -> None:
    lease, _, named = await a_waiting_run(store)

    told = await store.resolve_callback(ResolveCallback(token_digest=named, error="no such account"))

    assert (told.status, told.error) == (CallbackStatus.FAILED, "no such account")
    assert await answers(store, lease.run_id) == [("callback.result#1", None, "failed")]
    failure = next(one.error for one in await store.entries(lease.run_id) if one.error)
    assert Failure.from_json(failure).message == "no such account"


async def test_the_same_answer_again_is_no_error_and_changes_nothing(store: Store, clock: FakeClock) -> None:
    lease, _, named = await a_waiting_run(store)
    first = await store.resolve_callback(ResolveCallback(token_digest=named, output='{"a":1,"b":2}'))
    before = await everything_of(store, lease.run_id)
    clock.advance("1h")

    again = await store.resolve_callback(ResolveCallback(token_digest=named, output='{"b": 2.0, "a": 1}'))

    assert again == first
    assert await everything_of(store, lease.run_id) == before


@pytest.mark.parametrize("other", [{"output": "2"}, {"output": None, "error": "broken"}, {"output": "null"}])
async def test_another_answer_is_refused_and_the_first_stands(store: Store, other: dict[str, Any]) -> None:
    lease, made, named = await a_waiting_run(store)
    first = await store.resolve_callback(ResolveCallback(token_digest=named, output="1"))

    with pytest.raises(CallbackResolved, match=f"callback {made.id} is completed") as caught:
        await store.resolve_callback(ResolveCallback(token_digest=named, **other))

    assert not isinstance(caught.value, CallbackLapsed)
    assert await store.callback(named) == first
    assert len(await answers(store, lease.run_id)) == 1


async def test_nobody_answers_with_a_token_that_is_none(store: Store) -> None:
    await a_waiting_run(store)
    wrong = digest(new_token())

    for said in (
        store.resolve_callback(ResolveCallback(token_digest=wrong, output="1")),
        store.beat_callback(wrong, None),
        store.callback(wrong),
    ):
        with pytest.raises(CallbackNotFound):
            await said


async def test_a_callback_times_out_at_its_instant_once(store: Store, clock: FakeClock) -> None:
    lease, made, named = await a_waiting_run(store, timeout=MINUTE)
    assert await store.next_due_at() == made.due_at
    clock.advance(MINUTE - timedelta(microseconds=1))
    assert await store.expire(limit=10) == 0

    clock.advance(timedelta(microseconds=1))
    assert await store.expire(limit=10) == 1
    assert await store.expire(limit=10) == 0

    assert await answers(store, lease.run_id) == [("callback.result#1", None, "timed_out")]
    assert await store.next_due_at() is None
    with pytest.raises(CallbackLapsed, match="timed_out"):
        await store.resolve_callback(ResolveCallback(token_digest=named, output="1"))


async def test_an_answer_at_the_instant_of_the_time_out_is_too_late(store: Store, clock: FakeClock) -> None:
    """Whether or not anybody has looked at the clock by then: the time-out is recorded with the refusal."""
    lease, _, named = await a_waiting_run(store, timeout=MINUTE)
    clock.advance(MINUTE)

    with pytest.raises(CallbackLapsed):
        await store.resolve_callback(ResolveCallback(token_digest=named, output="1"))

    assert await answers(store, lease.run_id) == [("callback.result#1", None, "timed_out")]
    assert (await store.callback(named)).status is CallbackStatus.TIMED_OUT


async def test_a_callback_that_nobody_awaits_times_out_too(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    made, _ = await a_callback(store, lease, timeout=timedelta(0))

    assert await store.next_due_at() == made.created_at
    assert await store.expire(limit=10) == 1

    await store.open_waits(lease, [a_wait_for(made)])
    assert await answers(store, lease.run_id) == [("callback.result#1", None, "timed_out")]


async def test_signs_of_life_put_the_time_out_off_but_not_past_the_deadline(store: Store, clock: FakeClock) -> None:
    lease, made, named = await a_waiting_run(store, timeout=3 * MINUTE, heartbeat_for=2 * MINUTE)
    assert made.lapses_at == made.created_at + 2 * MINUTE
    (wait,) = await store.waits(lease.run_id)
    assert wait.due_at == made.lapses_at
    clock.advance("90s")

    told = await store.beat_callback(named, '{"done":50}')

    assert (told.details, told.lapses_at) == ('{"done":50}', made.created_at + 3 * MINUTE)
    (wait,) = await store.waits(lease.run_id)
    assert await store.next_due_at() == told.lapses_at == wait.due_at
    clock.advance("89s")
    assert await store.expire(limit=10) == 0
    clock.advance("1s")
    assert await store.expire(limit=10) == 1


async def test_silence_times_a_callback_out_long_before_its_deadline(store: Store, clock: FakeClock) -> None:
    lease, _, named = await a_waiting_run(store, timeout=60 * MINUTE, heartbeat_for=MINUTE)
    clock.advance(MINUTE)

    with pytest.raises(CallbackLapsed):
        await store.beat_callback(named, None)

    assert await answers(store, lease.run_id) == [("callback.result#1", None, "timed_out")]


async def test_a_sign_of_life_writes_nothing_into_the_journal(store: Store) -> None:
    lease, _, named = await a_waiting_run(store, heartbeat_for=MINUTE)
    before = await kinds_of(store, lease.run_id)

    await store.beat_callback(named, "1")

    assert await kinds_of(store, lease.run_id) == before


@pytest.mark.parametrize("end", ["complete", "fail", "cancel"])
async def test_the_end_of_its_run_withdraws_a_callback(store: Store, end: str) -> None:
    lease = await a_turn(store)
    _, named = await a_callback(store, lease, timeout=MINUTE)

    if end == "cancel":
        await store.cancel(lease.run_id, by="mia", reason="")
    else:
        await store.finish(lease, Completed("1") if end == "complete" else Failed('{"type":"E"}'))

    assert (await store.callback(named)).status is CallbackStatus.CANCELLED
    assert await store.next_due_at() is None
    with pytest.raises(CallbackLapsed, match="cancelled"):
        await store.resolve_callback(ResolveCallback(token_digest=named, output="1"))
    with pytest.raises(CallbackLapsed, match="cancelled"):
        await store.beat_callback(named, None)


async def test_a_run_that_is_tried_again_can_still_be_called_back(store: Store) -> None:
    lease = await a_turn(store)
    _, answered = await a_callback(store, lease)
    await store.resolve_callback(ResolveCallback(token_digest=answered, output="1"))
    _, named = await a_callback(store, lease)
    await store.finish(lease, Failed('{"type":"E"}'))

    await store.retry(lease.run_id, by="mia", reason="")

    assert (await store.callback(named)).status is CallbackStatus.PENDING
    told = await store.resolve_callback(ResolveCallback(token_digest=named, output="2"))
    assert told.output == "2"
    assert (await store.callback(answered)).output == "1"


async def test_another_run_that_waits_for_it_hears_of_its_end(store: Store) -> None:
    """A fork has the callback of the run it is a fork of."""
    owner = await a_turn(store)
    made, _ = await a_callback(store, owner)
    other = await a_turn(store, task="other")
    await store.park(other, [a_wait_for(made)], ["callback.result#1"])

    await store.finish(owner, Completed("1"))

    assert (await store.run(other.run_id)).status is RunStatus.QUEUED
    assert await answers(store, other.run_id) == [("callback.result#1", None, "cancelled")]


async def test_racing_answers_time_outs_and_parking_give_one_answer(database: Database) -> None:
    store, other = await database.open(), await database.open()
    worker, chance = await a_worker(store), Random(1)
    for _ in range(60):
        lease = await a_turn(store, worker=worker)
        made, named = await a_callback(store, lease, timeout=MINUTE)
        wait = a_wait_for(made)
        database.clock.advance(chance.choice([MINUTE, MINUTE - timedelta(microseconds=1)]))
        racing = [
            store.park(lease, [wait], [wait.key]),
            other.resolve_callback(ResolveCallback(token_digest=named, output="1")),
            other.resolve_callback(ResolveCallback(token_digest=named, error="broken")),
            other.expire(limit=10),
        ]
        chance.shuffle(racing)
        await asyncio.gather(*racing, return_exceptions=True)

        assert len(await answers(store, lease.run_id)) == 1
        assert (await store.run(lease.run_id)).status is RunStatus.QUEUED
        assert len(await claimed(store, worker=worker)) == 1
