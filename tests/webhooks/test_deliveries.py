"""What a webhook receives, from the signed request to the run; and what a person has delivered again."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import task
from agentflow.client import Client
from agentflow.client.bodies import headers_of, read_body
from agentflow.errors import BodyNotKept, DeliveryMismatch, DeliveryNotFound, WebhookNotFound
from agentflow.payloads import readable
from agentflow.states import DeliveryOutcome
from agentflow.store import open_store
from agentflow.tasks.catalog import Catalog
from agentflow.tasks.deliveries import Delivered, judge
from agentflow.verifiers import Sent, sign, standard
from tests.support.deliveries import a_delivery

if TYPE_CHECKING:
    from agentflow.records import Delivery
    from agentflow.store import Store
    from agentflow.tasks.webhook import Received
    from agentflow.testing import FakeClock

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
wanted: set[str] = {"A-1", "A-2"}


@dataclass
class Order:
    number: str
    amount: int


def is_wanted(order: Order, received: Received) -> bool:
    return order.number in wanted and received.headers["content-type"] == "application/json"


@task.webhook("/orders", verify=standard(SECRET), where=is_wanted)
@task
async def handle_order(order: Order) -> None: ...


@task.webhook("/transfers", verify=standard(SECRET))
@task
async def transfer(amount: int, note: str = "") -> None: ...


def client_of(store: Store, *tasks: Any) -> Client:
    return Client(store, Catalog(tasks or (handle_order, transfer)))


async def receive(client: Client, body: bytes, *, path: str = "/orders", id: str = "msg_1") -> Delivery:
    """What the endpoint does, the answer left out."""
    webhook = client.catalog.webhook(path)
    now = client.now()
    headers = [("Content-Type", "application/json"), *sign([SECRET], id, now, body).items()]
    delivery_id = webhook.verifier.verify(Sent(headers, body, now))
    delivered = Delivered(id=delivery_id, headers=headers, body=body, received_at=now)
    judged = await judge(webhook, client.catalog.task(webhook.task), delivered)
    return (await client.deliveries.receive(judged)).delivery


AN_ORDER = b'{"number": "A-1", "amount": 3}'


async def test_the_same_delivery_a_hundred_times_at_once_starts_one_run(
    store: Store, database: str, clock: FakeClock
) -> None:
    other = await open_store(database, clock=clock)
    clients = [client_of(store), client_of(other)]
    received = await asyncio.gather(*(receive(clients[n % 2], AN_ORDER) for n in range(100)))
    await other.close()
    [run] = (await clients[0].runs()).items
    assert {one.run_id for one in received} == {run.id}
    assert (readable(run.input), run.origin) == ({"order": {"number": "A-1", "amount": 3}}, "webhook /orders")
    assert len((await clients[0].deliveries.all()).items) == 1


async def test_a_repeat_after_days_still_finds_its_run(store: Store, clock: FakeClock) -> None:
    client = client_of(store)
    first = await receive(client, AN_ORDER)
    await clock.advance("7d")
    assert (await receive(client, AN_ORDER)).run_id == first.run_id


async def test_one_id_on_two_webhooks_is_two_deliveries(store: Store) -> None:
    client = client_of(store)
    first = await receive(client, AN_ORDER)
    second = await receive(client, b'{"amount": 1}', path="/transfers")
    assert None not in {first.run_id, second.run_id}
    assert first.run_id != second.run_id


async def test_another_body_of_an_id_is_kept_and_starts_nothing(store: Store, clock: FakeClock) -> None:
    client = client_of(store)
    first = await receive(client, AN_ORDER)
    await clock.advance("1s")
    with pytest.raises(DeliveryMismatch, match=first.run_id) as refused:
        await receive(client, b'{"number": "A-2", "amount": 3}')
    listed = await client.deliveries.of_id("msg_1")
    assert [one.id for one in listed] == [refused.value.kept_as, first.id]
    assert len((await client.runs()).items) == 1


async def test_what_is_kept_says_nothing_of_how_it_was_signed(store: Store) -> None:
    kept = await receive(client_of(store), AN_ORDER)
    assert [name for name, _ in headers_of(kept)] == ["content-type", "webhook-id", "webhook-timestamp"]


# -- a person has it delivered again


async def test_a_delivery_is_judged_again_by_what_the_code_says_now(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(store)
    ignored = await receive(client, b'{"number": "B-7", "amount": 3}')
    assert ignored.outcome is DeliveryOutcome.IGNORED
    monkeypatch.setitem(globals(), "wanted", {"B-7"})

    again = await client.deliveries.redeliver(ignored.id, by="mia")

    assert (again.outcome, again.redelivery_of, again.requested_by) == (DeliveryOutcome.STARTED, ignored.id, "mia")
    assert again.run_id is not None
    assert readable((await client.run(again.run_id)).input) == {"order": {"number": "B-7", "amount": 3}}
    assert (again.headers, again.digest) == (ignored.headers, ignored.digest)


async def test_what_does_not_fit_is_refused_again_and_says_why(store: Store) -> None:
    client = client_of(store)
    refused = await receive(client, b'{"number": "A-1"}')
    again = await client.deliveries.redeliver(refused.id, by="mia")
    assert (again.outcome, again.run_id) == (DeliveryOutcome.REFUSED, None)
    assert "amount" in (again.reason or "")
    assert "handle_order" in (again.detail or "")
    assert "handle_order" not in (again.reason or "")


async def test_bytes_that_are_no_text_come_back_as_they_were(store: Store) -> None:
    client = client_of(store)
    refused = await receive(client, b'\xff\x00{"amount": 1}', path="/transfers")
    assert (refused.outcome, refused.encoding) == (DeliveryOutcome.REFUSED, "base64")
    again = await client.deliveries.redeliver(refused.id, by="mia")
    assert (again.body, again.digest) == (refused.body, refused.digest)


async def test_a_redelivery_with_an_id_is_made_once(store: Store) -> None:
    client = client_of(store)
    first = await receive(client, AN_ORDER)
    chosen = client.deliveries.new_id()
    made = [await client.deliveries.redeliver(first.id, by="mia", as_id=chosen) for _ in range(3)]
    assert {one.id for one in made} == {chosen}
    assert len((await client.runs()).items) == 2


async def test_only_what_is_there_can_be_delivered_again(store: Store) -> None:
    client = client_of(store)
    first = await receive(client, AN_ORDER)
    with pytest.raises(DeliveryNotFound):
        await client.deliveries.redeliver("dlv_gone", by="mia")
    with pytest.raises(WebhookNotFound, match="/orders"):
        await client_of(store, transfer).deliveries.redeliver(first.id, by="mia")
    without = await store.receive_delivery(a_delivery("old", webhook="/orders", digest="d", body=None))  # type: ignore[arg-type]
    with pytest.raises(BodyNotKept, match=without.delivery.id):
        await client.deliveries.redeliver(without.delivery.id, by="mia")


# -- what came, for people to look at


@pytest.mark.parametrize(
    ("body", "content_type", "kind", "value"),
    [
        ('{"n": 1}', "application/json", "JSON", {"n": 1}),
        ('{"n": 1}', "text/plain", "JSON", {"n": 1}),
        ("payload=%7B%22n%22%3A1%7D", "application/x-www-form-urlencoded", "form", {"n": 1}),
        ("a=1&b=", "application/x-www-form-urlencoded; charset=utf-8", "form", {"a": "1", "b": ""}),
        ('{"n": 1, "n": 2}', "application/json", "text", None),
        ("[" * 5000 + "]" * 5000, "application/json", "text", None),
        ("1" * 5000, "application/json", "text", None),
        ("<html>", "text/html", "text", None),
    ],
)
async def test_a_body_is_read_as_what_it_is(
    store: Store, body: str, content_type: str, kind: str, value: object
) -> None:
    request = a_delivery(body=body, headers=json.dumps([["content-type", content_type]]))
    found = read_body((await store.receive_delivery(request)).delivery)
    assert found is not None
    assert (found.kind, found.value, found.text, found.size) == (kind, value, body, len(body))
