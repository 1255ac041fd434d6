"""Subscriptions and dispatches: each event once a subscription, each attempt one sender's, whoever dies or races."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.errors import DispatchNotFound, SubscriptionDisabled, SubscriptionNotFound
from agentflow.ids import DISPATCH, SUBSCRIPTION, new_id
from agentflow.requests import (
    ChangeSubscription,
    ClaimDispatches,
    Completed,
    DispatchFilter,
    Kept,
    NewDispatch,
    NewSubscription,
    Ping,
    Prune,
    RotateSecret,
    SettleDispatch,
    Tell,
)
from agentflow.states import DispatchStatus, EntryKind
from tests.support.stores import a_gated_run, a_trigger, a_turn, approvals_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import Dispatch, Subscription
    from agentflow.store import Store
    from agentflow.testing import FakeClock
    from tests.support.stores import Database

HOLD = timedelta(minutes=1)


async def a_subscription(store: Store, **given: Any) -> Subscription:
    values: dict[str, Any] = {
        "id": new_id(SUBSCRIPTION, store.now()),
        "url": "https://example.com/hook",
        "events": '["*"]',
        "tasks": "[]",
        "description": "",
        "secret": "whsec_a",
        "by": "mia",
    }
    return await store.add_subscription(NewSubscription(**values | given))


def a_dispatch(store: Store, entry_id: int = 1, **given: Any) -> NewDispatch:
    values: dict[str, Any] = {
        "id": new_id(DISPATCH, store.now()),
        "event": "run.completed",
        "key": str(entry_id),
        "run_id": "run_1",
        "entry_id": entry_id,
        "payload": '{"type":"run.completed"}',
    }
    return NewDispatch(**values | given)


async def told(store: Store, to: Subscription, *made: NewDispatch) -> Subscription:
    """The subscription with its cursor one further, and these on their way."""
    request = Tell(subscription_id=to.id, cursor=to.cursor, until=to.cursor + 1, dispatches=made)
    assert await store.tell(request)
    return await store.subscription(to.id)


async def told_up_to(store: Store, to: Subscription, until: int) -> Subscription:
    """The subscription with its cursor there, and nothing to be told of."""
    assert await store.tell(Tell(subscription_id=to.id, cursor=to.cursor, until=until))
    return await store.subscription(to.id)


async def claimed(store: Store, to: Subscription, limit: int = 100) -> Sequence[Dispatch]:
    return await store.claim_dispatches(ClaimDispatches(subscription_id=to.id, limit=limit, hold_for=HOLD))


def settled(one: Dispatch, outcome: DispatchStatus = DispatchStatus.DELIVERED, **given: Any) -> SettleDispatch:
    assert one.next_at is not None
    return SettleDispatch(id=one.id, held_until=one.next_at, outcome=outcome, took=timedelta(seconds=0.25), **given)


async def listed(store: Store, **which: Any) -> list[Dispatch]:
    return list((await store.dispatches(DispatchFilter(**which))).items)


async def test_what_is_made_is_what_is_read(store: Store) -> None:
    await a_turn(store)
    made = await a_subscription(store, description="Finance")

    assert made == await store.subscription(made.id)
    assert [made] == await store.subscriptions()
    assert made.cursor == await store.head() > 0
    assert (made.secret, made.previous_secret, made.disabled_at) == ("whsec_a", None, None)
    assert await a_subscription(store, id=made.id, url="https://other.example") == made
    assert "whsec_a" not in repr(made)


async def test_a_change_leaves_what_it_does_not_name(store: Store, clock: FakeClock) -> None:
    made = await a_subscription(store)
    await store.change_subscription(ChangeSubscription(id=made.id, events='["run.*"]'))
    after = await store.rotate_secret(RotateSecret(id=made.id, secret="whsec_b", keep_for=timedelta(hours=1)))

    assert (after.url, after.events) == (made.url, '["run.*"]')
    assert (after.secret, after.previous_secret) == ("whsec_b", "whsec_a")
    assert after.previous_until == clock.now() + timedelta(hours=1)


async def test_what_is_not_there_is_said(store: Store) -> None:
    for verb in (store.subscription, store.enable_subscription, store.remove_subscription):
        with pytest.raises(SubscriptionNotFound):
            await verb("sub_none")  # type: ignore[operator]
    with pytest.raises(SubscriptionNotFound):
        await store.change_subscription(ChangeSubscription(id="sub_none"))
    with pytest.raises(SubscriptionNotFound):
        await store.ping(Ping(id="msg_1", subscription_id="sub_none", payload="{}", by="mia"))
    for read in (store.dispatch("msg_none"), store.resend("msg_none", by="mia")):
        with pytest.raises(DispatchNotFound):
            await read


async def test_a_cursor_moves_once_however_many_move_it(database: Database, store: Store) -> None:
    """Tellers in two processes find the same events: one of them stores them, and nothing is stored twice."""
    made, other = await a_subscription(store), await database.open()
    for turn in range(10):
        now = await store.subscription(made.id)
        requests = [
            Tell(subscription_id=made.id, cursor=now.cursor, until=now.cursor + 5, dispatches=[a_dispatch(one, turn)])
            for one in (store, other, store, other)
        ]
        won = await asyncio.gather(*(one.tell(each) for one, each in zip((store, other) * 2, requests, strict=True)))
        assert sum(won) == 1

    assert len(await listed(store)) == 10
    assert (await store.subscription(made.id)).cursor == made.cursor + 50


async def test_what_was_told_is_not_told_again_by_another_entry(store: Store) -> None:
    made = await a_subscription(store)
    after = await told(store, made, a_dispatch(store, 7, key="apr_1.resolved"))
    await told(store, after, a_dispatch(store, 8, key="apr_1.resolved"))

    assert [one.entry_id for one in await listed(store)] == [7]


async def test_a_disabled_subscription_is_told_nothing_and_drops_what_waits(store: Store) -> None:
    made = await a_subscription(store)
    await told(store, made, a_dispatch(store))
    disabled = await store.disable_subscription(made.id, by="ana", reason="moved")

    assert (disabled.disabled_by, disabled.disabled_reason) == ("ana", "moved")
    assert not await store.tell(Tell(subscription_id=made.id, cursor=disabled.cursor, until=disabled.cursor + 1))
    (dropped,) = await listed(store)
    assert (dropped.status, dropped.next_at) == (DispatchStatus.DISCARDED, None)
    assert await store.subscribers() == []
    for verb in (
        store.resend(dropped.id, by="mia"),
        store.ping(Ping(id="msg_2", subscription_id=made.id, payload="{}", by="mia")),
    ):
        with pytest.raises(SubscriptionDisabled, match="moved"):
            await verb

    await a_turn(store)
    enabled = await store.enable_subscription(made.id)
    assert (enabled.disabled_at, enabled.cursor) == (None, await store.head())


async def test_no_dispatch_is_claimed_twice(database: Database, store: Store) -> None:
    made, other = await a_subscription(store), await database.open()
    await told(store, made, *(a_dispatch(store, n) for n in range(40)))
    batches = await asyncio.gather(*(claimed(one, made, 7) for one in (store, other) * 4))

    found = [one.id for batch in batches for one in batch]
    assert len(found) == len(set(found)) == 40
    assert {one.attempts for batch in batches for one in batch} == {1}


async def test_dispatches_are_claimed_in_the_order_of_what_happened(store: Store) -> None:
    made = await a_subscription(store)
    await told(store, made, *(a_dispatch(store, n) for n in (3, 1, 2)))

    assert [one.entry_id for one in await claimed(store, made, 2)] == [1, 2]
    assert [one.entry_id for one in await claimed(store, made, 2)] == [3]


async def test_one_whose_sender_died_is_another_s_when_the_hold_is_over(store: Store, clock: FakeClock) -> None:
    made = await a_subscription(store)
    await told(store, made, a_dispatch(store))
    (first,) = await claimed(store, made)
    assert await claimed(store, made) == []
    await clock.advance(HOLD)
    (second,) = await claimed(store, made)

    assert (second.id, second.attempts) == (first.id, 2)
    assert not await store.settle_dispatch(settled(first)), "the first one is late: the attempt is not its own"
    assert (await store.dispatch(first.id)).status is DispatchStatus.PENDING
    assert await store.settle_dispatch(settled(second))
    assert not await store.settle_dispatch(settled(second))


async def test_an_attempt_is_kept_with_what_came_of_it(store: Store, clock: FakeClock) -> None:
    made = await a_subscription(store)
    await told(store, made, a_dispatch(store))
    (first,) = await claimed(store, made)
    again = timedelta(minutes=5)
    await store.settle_dispatch(
        settled(first, DispatchStatus.PENDING, status=503, error="answered 503", again_in=again)
    )
    (waiting,) = await store.subscribers()
    assert waiting.next_at == clock.now() + again
    await clock.advance(again)
    (second,) = await claimed(store, made)
    await store.settle_dispatch(settled(second, status=204))

    after = await store.dispatch(first.id)
    assert (after.status, after.attempts, after.delivered_at) == (DispatchStatus.DELIVERED, 2, clock.now())
    assert [(one["status"], one["error"], one["took"]) for one in json.loads(after.log)] == [
        (503, "answered 503", 0.25),
        (204, "", 0.25),
    ]


async def test_a_subscriber_that_is_gone_is_disabled_with_all_that_waits(store: Store) -> None:
    made = await a_subscription(store)
    await told(store, made, a_dispatch(store, 1), a_dispatch(store, 2))
    (one,) = await claimed(store, made, 1)
    await store.settle_dispatch(settled(one, DispatchStatus.DISCARDED, status=410, is_gone=True))

    assert {each.status for each in await listed(store)} == {DispatchStatus.DISCARDED}
    assert "410" in str((await store.subscription(made.id)).disabled_reason)


async def test_a_person_sends_one_again_with_all_its_attempts(store: Store) -> None:
    made = await a_subscription(store)
    await told(store, made, a_dispatch(store))
    (one,) = await claimed(store, made)
    await store.settle_dispatch(settled(one, DispatchStatus.FAILED, error="no"))
    again = await store.resend(one.id, by="ana")

    assert (again.status, again.attempts, again.requested_by) == (DispatchStatus.PENDING, 0, "ana")
    assert [each.id for each in await claimed(store, made)] == [one.id]


async def test_pings_are_as_many_as_are_asked_for(store: Store) -> None:
    made = await a_subscription(store)
    for number in ("1", "2"):
        await store.ping(Ping(id=f"msg_{number}", subscription_id=made.id, payload="{}", by="mia"))

    assert {(one.event, one.requested_by) for one in await claimed(store, made)} == {("ping", "mia")}
    assert len(await listed(store)) == 2


async def test_removing_takes_what_was_sent_and_its_blobs_bit_by_bit(store: Store) -> None:
    made, kept = await a_subscription(store), await a_subscription(store)
    large = json.dumps("x" * 200_000)
    await told(store, made, *(a_dispatch(store, n, payload=large) for n in range(5)))
    await told(store, kept, a_dispatch(store, 9, payload=large))

    answers = [await store.remove_subscription(made.id, limit=2) for _ in range(3)]
    assert answers == [False, False, True]
    assert [one.id for one in await store.subscriptions()] == [kept.id]
    (left,) = await listed(store)
    assert (await store.dispatch(left.id)).payload == large


async def test_dispatches_are_listed_page_by_page(store: Store, clock: FakeClock) -> None:
    one, other = await a_subscription(store), await a_subscription(store)
    for number in range(6):
        one = await told(store, one, a_dispatch(store, number))
        await clock.advance(timedelta(seconds=1))
    await told(store, other, a_dispatch(store, 99))
    for dispatch in (await claimed(store, one))[:2]:
        await store.settle_dispatch(settled(dispatch))

    assert [each.entry_id for each in await listed(store)] == [99, 5, 4, 3, 2, 1, 0]
    assert [each.entry_id for each in await listed(store, status=DispatchStatus.DELIVERED)] == [1, 0]
    assert [each.entry_id for each in await listed(store, status=DispatchStatus.PENDING, subscription_id=other.id)] == [
        99
    ]
    first = await store.dispatches(DispatchFilter(subscription_id=one.id, limit=4))
    second = await store.dispatches(DispatchFilter(subscription_id=one.id, limit=4, cursor=first.next_cursor))
    assert [each.entry_id for each in (*first.items, *second.items)] == [5, 4, 3, 2, 1, 0]
    assert second.next_cursor is None


async def test_the_unread_is_what_subscribers_may_be_told_of(store: Store) -> None:
    before = await store.head()
    approval = await a_gated_run(store)
    lease = await a_turn(store, task="other")
    await store.finish(lease, Completed('"done"'))
    unread = await store.unread(after=before, limit=100)

    kinds = [(entry.kind, task) for entry, task in unread.entries]
    assert (EntryKind.TRIGGERED, "review") in kinds
    assert (EntryKind.WAIT_OPENED, "review") in kinds
    assert kinds[-1] == (EntryKind.RUN_COMPLETED, "other")
    assert unread.until == await store.head()
    assert [entry.id for entry, _ in unread.entries] == sorted(entry.id for entry, _ in unread.entries)
    rest = await store.unread(after=unread.entries[1][0].id, limit=2)
    assert [entry for entry, _ in rest.entries] == [entry for entry, _ in unread.entries[2:4]]
    assert rest.until == rest.entries[-1][0].id
    assert (await store.approvals_at(approval.run_id, approval.created_at)) == [approval]


async def test_a_withdrawn_approval_is_found_at_the_moment_its_run_ended(store: Store) -> None:
    before, approval = await store.head(), await a_gated_run(store)
    await store.cancel(approval.run_id, by="mia", reason="")
    (after,) = await approvals_of(store, approval.run_id)
    cancelled = [entry for entry, _ in (await store.unread(after=before, limit=100)).entries][-1]

    assert cancelled.kind is EntryKind.RUN_CANCELLED
    assert await store.approvals_at(approval.run_id, cancelled.at) == [after]


async def test_a_run_is_kept_until_every_subscriber_was_told_of_it(store: Store, clock: FakeClock) -> None:
    made, other = await a_subscription(store), await a_subscription(store)
    run_id = (await a_turn(store, task="quick")).run_id
    await store.cancel(run_id, by="mia", reason="")
    await clock.advance(timedelta(days=1))
    request = Prune(kind=Kept.RUNS, before=clock.now())
    assert (await store.prune(request)).removed == 0

    await store.tell(Tell(subscription_id=made.id, cursor=made.cursor, until=await store.head()))
    assert (await store.prune(request)).removed == 0
    await store.disable_subscription(other.id, by="mia", reason="")
    assert (await store.prune(request)).removed == 0  # the newest entry of all, whose number is not given out again
    await store.trigger(a_trigger())
    assert (await store.prune(request)).removed == 1


async def test_a_number_a_subscriber_has_come_to_is_never_given_out_again(store: Store, clock: FakeClock) -> None:
    """Or what comes next would seem to be told already."""
    made = await a_subscription(store)
    for _ in range(3):
        await store.cancel((await a_turn(store, task="quick")).run_id, by="mia", reason="")
    head = await store.head()
    made = await told_up_to(store, made, head)
    await clock.advance(timedelta(days=1))
    assert (await store.prune(Prune(kind=Kept.RUNS, before=clock.now()))).removed == 2

    await store.trigger(a_trigger())

    assert [entry.id > head for entry, _ in (await store.unread(after=made.cursor, limit=9)).entries] == [True]


async def test_what_was_sent_grows_old_and_what_waits_does_not(store: Store, clock: FakeClock) -> None:
    made = await a_subscription(store)
    await told(store, made, *(a_dispatch(store, n, payload=json.dumps("y" * 200_000)) for n in range(3)))
    for one in await claimed(store, made, 2):
        await store.settle_dispatch(settled(one))
    await clock.advance(timedelta(days=2))
    request = Prune(kind=Kept.DISPATCHES, before=clock.now() - timedelta(days=1), limit=1)

    removed, after = 0, ""
    while after is not None:
        found = await store.prune(Prune(kind=request.kind, before=request.before, limit=1, after=after))
        removed, after = removed + found.removed, found.after  # type: ignore[assignment]
    assert removed == 2
    (left,) = await listed(store)
    assert (await store.dispatch(left.id)).payload.startswith('"y')
