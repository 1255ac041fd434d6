"""What subscribers are told: signed events of runs and approvals, small, of the kinds they want, each once."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from agentflow.failures import Failure
from agentflow.ids import new_token
from agentflow.requests import Completed, EventType, Failed, ForkRun, NeedsAttention, NewEntry
from agentflow.states import DispatchStatus, EntryKind, Verdict
from agentflow.telling.bodies import LARGEST
from tests.support.stores import a_decision, a_gate, a_gated_run, a_timer, a_trigger, a_turn, claimed
from tests.telling.conftest import subscribed, told

if TYPE_CHECKING:
    from agentflow.client import Client
    from agentflow.store import Store
    from agentflow.telling import Teller
    from agentflow.testing import FakeClock
    from tests.telling.receiver import Receiver


def last(receiver: Receiver) -> dict[str, Any]:
    data: dict[str, Any] = receiver.sent[-1].event["data"]
    return data


async def test_a_run_that_completes_is_told_with_its_output(
    store: Store, client: Client, receiver: Receiver, teller: Teller
) -> None:
    await subscribed(client, receiver, "run.completed")
    lease = await a_turn(store, tags=("vip",), metadata='{"customer":"c1"}')
    await store.finish(lease, Completed('{"total":10}'))
    await told(teller)

    (sent,) = receiver.sent
    run, data = await store.run(lease.run_id), sent.event["data"]
    assert set(sent.event) == {"type", "version", "timestamp", "sequence", "data"}
    assert (sent.event["type"], sent.event["version"]) == ("run.completed", 1)
    assert data == {
        "id": run.id,
        "task": "review",
        "status": "completed",
        "origin": run.origin,
        "tags": ["vip"],
        "metadata": {"customer": "c1"},
        "parent_id": None,
        "created_at": run.created_at.isoformat(),
        "started_at": run.started_at.isoformat() if run.started_at else "",
        "finished_at": run.finished_at.isoformat() if run.finished_at else "",
        "output": {"total": 10},
    }
    (dispatch,) = (await client.subscriptions.dispatches()).items
    assert (dispatch.status, dispatch.id, dispatch.attempts) == (DispatchStatus.DELIVERED, sent.id, 1)


async def test_the_signature_is_one_that_an_independent_library_accepts(
    store: Store, client: Client, receiver: Receiver, clock: FakeClock, teller: Teller
) -> None:
    made = await subscribed(client, receiver, "run.started")
    await store.trigger(a_trigger())
    await told(teller)

    (sent,) = receiver.sent
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["webhook-timestamp"] == str(int(clock.now().timestamp()))
    assert sent.verified(made.secret) == sent.event
    with pytest.raises(WebhookVerificationError):
        Webhook(made.secret).verify(sent.body + b" ", sent.headers)


async def test_while_a_secret_is_replaced_both_verify_and_afterwards_the_new_one_alone(
    store: Store, client: Client, receiver: Receiver, clock: FakeClock, teller: Teller
) -> None:
    before = await subscribed(client, receiver, "run.started")
    after = await client.subscriptions.rotate_secret(before.id, by="mia", keep_for="1m")
    await store.trigger(a_trigger())
    await told(teller)
    await clock.advance(timedelta(minutes=1))
    await store.trigger(a_trigger())
    await told(teller)

    during, later = receiver.sent
    assert during.verified(before.secret) == during.verified(after.secret) == during.event
    assert later.verified(after.secret) == later.event
    with pytest.raises(WebhookVerificationError):
        later.verified(before.secret)


async def test_every_end_of_a_run_is_an_event_of_its_own(
    store: Store, client: Client, receiver: Receiver, clock: FakeClock, teller: Teller
) -> None:
    await subscribed(client, receiver, "run.*")
    failure = Failure.of(ValueError("no account 7")).to_json()
    await store.finish(await a_turn(store), Failed(failure))
    await store.finish(await a_turn(store), NeedsAttention(EntryKind.DIVERGED, failure, "{}"))
    lease = await a_turn(store)
    await store.park(lease, [a_timer(store)], ["sleep#1"])
    await store.cancel(lease.run_id, by="mia", reason="")
    await told(teller)

    assert sorted(set(receiver.types)) == [
        "run.cancelled",
        "run.failed",
        "run.needs_attention",
        "run.started",
        "run.waiting",
    ]
    failed = next(one.event["data"] for one in receiver.sent if one.event["type"] == "run.failed")
    assert failed["error"]["message"] == "no account 7"
    assert set(failed["error"]) == {"type", "message"}
    sequence = [one.event["sequence"] for one in receiver.sent]
    assert len(sequence) == len(set(sequence))


async def test_a_decision_is_told_with_who_made_it_and_the_final_data(
    store: Store, client: Client, receiver: Receiver, teller: Teller
) -> None:
    await subscribed(client, receiver, "approval.*")
    approval = await a_gated_run(store)
    await told(teller)
    assert (receiver.types, last(receiver)["data"]) == (["approval.requested"], {"total": 10})
    corrected = a_decision(approval.id, Verdict.CORRECT, final='{"total":12}', comment="two more")
    await store.decide(corrected)
    await told(teller)

    assert receiver.types == ["approval.requested", "approval.decided"]
    told_of = last(receiver)
    assert {name: told_of[name] for name in ("id", "run_id", "task", "title", "outcome", "decided_by", "comment")} == {
        "id": approval.id,
        "run_id": approval.run_id,
        "task": "review",
        "title": "Invoice 17",
        "outcome": "corrected",
        "decided_by": "mia",
        "comment": "two more",
    }
    assert told_of["data"] == {"total": 12}


async def test_a_time_out_is_told_as_one(
    store: Store, client: Client, receiver: Receiver, clock: FakeClock, teller: Teller
) -> None:
    await subscribed(client, receiver, "approval.timed_out")
    await a_gated_run(store, timeout=timedelta(minutes=5))
    await clock.advance(timedelta(minutes=5))
    await store.expire(limit=10)
    await told(teller)

    assert receiver.types == ["approval.timed_out"]
    assert last(receiver)["outcome"] == "timed_out"


async def test_requests_nobody_decides_any_more_are_told_once_each(
    store: Store, client: Client, receiver: Receiver, teller: Teller
) -> None:
    """A run that is cancelled withdraws both of its requests; one that is asked anew withdraws the one before."""
    await subscribed(client, receiver, "approval.cancelled")
    lease = await a_turn(store)
    first = a_gate(store, "approval#1")
    await store.open_waits(lease, [first, a_gate(store, "approval#2")])
    again = a_gate(store, "approval#1", replaces=first.subject, data='{"total":11}')
    await store.open_waits(lease, [again])
    await told(teller)
    assert [one.event["data"]["outcome"] for one in receiver.sent] == ["superseded"]
    assert last(receiver)["id"] == first.subject
    await store.cancel(lease.run_id, by="mia", reason="")
    await told(teller)

    assert sorted(one.event["data"]["outcome"] for one in receiver.sent) == ["cancelled", "cancelled", "superseded"]
    assert len({one.event["data"]["id"] for one in receiver.sent}) == 3


async def test_a_branch_that_ends_withdraws_what_it_asked(
    store: Store, client: Client, receiver: Receiver, teller: Teller
) -> None:
    await subscribed(client, receiver, "approval.cancelled")
    lease = await a_turn(store)
    await store.open_waits(lease, [a_gate(store, "race#1[0]/approval#1")])
    await store.settle(lease, NewEntry(EntryKind.SUCCEEDED, "race#1", "gather", output="[]"), "race#1")
    await told(teller)

    assert receiver.types == ["approval.cancelled"]


async def test_a_fork_tells_nothing_of_what_its_original_was_asked(
    store: Store, client: Client, receiver: Receiver, teller: Teller
) -> None:
    approval = await a_gated_run(store)
    await store.decide(a_decision(approval.id))
    await subscribed(client, receiver, "*")
    await store.fork(ForkRun(run_id=approval.run_id, by="mia"))
    await told(teller)

    assert receiver.types == ["run.started"]


async def test_patterns_of_events_and_tasks_say_what_is_wanted(
    store: Store, client: Client, receiver: Receiver, teller: Teller
) -> None:
    await subscribed(client, receiver, "run.completed", "run.failed", tasks=["billing.*", "review"])
    for task in ("billing.pay", "billings", "review", "reviews"):
        await store.finish(await a_turn(store, task=task), Completed("1"))
    await told(teller)

    assert [one.event["data"]["task"] for one in receiver.sent] == ["billing.pay", "review"]


async def test_a_large_payload_is_left_out_and_said_so(
    store: Store, client: Client, receiver: Receiver, teller: Teller
) -> None:
    await subscribed(client, receiver, "run.completed")
    for size in (LARGEST - 2, LARGEST, 300_000):
        await store.finish(await a_turn(store), Completed(json.dumps("x" * size)))
    await told(teller)

    fits, large, huge = [one.event["data"] for one in receiver.sent]
    assert fits["output"] == "x" * (LARGEST - 2)
    assert "note" not in fits
    for one in (large, huge):
        assert one["output"] is None
        assert "left out" in one["note"]
    assert len(receiver.sent[-1].body) < 1000


async def test_tokens_of_callbacks_are_hidden(store: Store, client: Client, receiver: Receiver, teller: Teller) -> None:
    await subscribed(client, receiver, "*")
    token = new_token()
    await store.finish(await a_turn(store, metadata=json.dumps({"token": token})), Completed(json.dumps(token)))
    await told(teller)

    assert len(receiver.sent) == 2
    assert not [one for one in receiver.sent if token.encode() in one.body]


async def test_what_happened_before_a_subscription_is_not_told(
    store: Store, client: Client, receiver: Receiver, teller: Teller
) -> None:
    lease = await a_turn(store)
    await subscribed(client, receiver, "*")
    await store.finish(lease, Completed("1"))
    await told(teller)

    assert receiver.types == ["run.completed"]


async def test_a_ping_says_who_asked(client: Client, receiver: Receiver, teller: Teller) -> None:
    made = await subscribed(client, receiver, "run.failed")
    sent = await client.subscriptions.ping(made.id, by="ana")
    await told(teller)

    assert (receiver.sent[0].id, receiver.types) == (sent.id, [EventType.PING])
    assert last(receiver) == {"subscription": made.id, "requested_by": "ana"}


async def test_claims_find_nothing_left(store: Store, client: Client, receiver: Receiver, teller: Teller) -> None:
    """A second look after everything was told moves nothing, and claims nothing."""
    made = await subscribed(client, receiver, "run.started")
    await a_turn(store)
    await told(teller)
    cursor = (await client.subscriptions.one(made.id)).cursor
    await claimed(store)
    await told(teller)

    assert (await client.subscriptions.one(made.id)).cursor == cursor
    assert len(receiver.sent) == 1
