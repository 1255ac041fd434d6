"""One run for each delivery of a webhook."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest
from standardwebhooks import Webhook as Sender

from agentflow.client import Client
from agentflow.errors import IdempotencyMismatch
from agentflow.records import Delivery
from agentflow.store import Store, open_store
from agentflow.tasks.task import Task, task
from agentflow.tasks.webhook import webhook
from tests.schedulers.support import HandClock, client_of

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@webhook("/orders", secret=SECRET)
@task
async def order(order: dict[str, int]) -> None: ...


@webhook("/transfers", secret=SECRET)
@task
async def transfer(amount: int, note: str = "") -> None: ...


async def receive(
    client: Client, body: str, now: datetime, *, to: Task[..., None] = order, id: str = "msg_1"
) -> Delivery:
    """What the HTTP route does."""
    [hook] = to.webhooks
    signature = Sender(SECRET).sign(id, now, body)
    stamp = str(int(now.timestamp()))
    headers = [("webhook-id", id), ("webhook-timestamp", stamp), ("webhook-signature", signature)]
    found = hook.verify(headers, body.encode(), client.now())
    return await client.deliver(hook.path, hook.task, found.input, delivery_id=found.delivery_id, digest=found.digest)


async def test_the_same_delivery_a_hundred_times_at_once_starts_one_run(
    store: Store, database: str, clock: HandClock
) -> None:
    other = await open_store(database, clock=clock)
    clients = [client_of(store, order), client_of(other, order)]
    received = await asyncio.gather(*(receive(clients[n % 2], '{"n": 1}', clock.shows) for n in range(100)))
    await other.close()
    [run] = (await clients[0].runs()).items
    assert {one.run_id for one in received} == {run.id}
    assert (run.input, run.origin) == ('{"order":{"n":1}}', "webhook /orders")
    assert len(await clients[0].deliveries()) == 1


async def test_a_delivery_repeated_with_another_body_is_refused(store: Store, clock: HandClock) -> None:
    client = client_of(store, order)
    first = await receive(client, '{"n": 1}', clock.shows)
    with pytest.raises(IdempotencyMismatch, match=first.run_id):
        await receive(client, '{"n": 2}', clock.shows)
    assert len((await client.runs()).items) == 1


async def test_a_repeat_after_days_still_finds_its_run(store: Store, clock: HandClock) -> None:
    client = client_of(store, order)
    first = await receive(client, '{"n": 1}', clock.shows)
    clock.at("2026-03-09T12:00:00Z")
    assert (await receive(client, '{"n": 1}', clock.shows)).run_id == first.run_id


async def test_one_id_on_two_webhooks_is_two_deliveries(store: Store, clock: HandClock) -> None:
    client = client_of(store, order, transfer)
    first = await receive(client, '{"amount": 1}', clock.shows)
    second = await receive(client, '{"amount": 1}', clock.shows, to=transfer)
    assert first.run_id != second.run_id


async def test_a_task_of_several_parameters_gets_the_members_by_name(store: Store, clock: HandClock) -> None:
    client = client_of(store, transfer)
    await receive(client, '{"note": "rent", "amount": 900}', clock.shows, to=transfer)
    [run] = (await client.runs()).items
    assert run.input == '{"amount":900,"note":"rent"}'
