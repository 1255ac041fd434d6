"""A delivery starts one run, whoever brings it and however often; what does not start one is kept with the reason."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agentflow.errors import DeliveryMismatch, DeliveryNotFound, IdempotencyMismatch, QueueFull
from agentflow.limits import Limits
from agentflow.requests import ChangeQueue, DeliveryFilter, Singleton
from agentflow.states import DeliveryOutcome
from tests.support.deliveries import a_delivery, a_refused, an_ignored
from tests.support.stores import a_trigger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import Delivery, Receipt
    from agentflow.store import Store
    from agentflow.testing import FakeClock
    from tests.support.stores import Database

OTHER = '{"n":2}'


async def kept(store: Store) -> Sequence[Delivery]:
    return (await store.deliveries(DeliveryFilter(limit=1000))).items


async def runs_in(store: Store) -> int:
    return sum((await store.counts()).runs.values())


async def test_a_delivery_starts_its_run_and_is_kept_as_it_came(store: Store) -> None:
    request = a_delivery()
    receipt = await store.receive_delivery(request)

    received = receipt.delivery
    assert not receipt.repeated
    assert received.run_id is not None
    assert (await store.run(received.run_id)).origin == "webhook /github"
    assert received.id.startswith("dlv_")
    assert (received.webhook, received.delivery_id, received.digest) == ("/github", "d1", request.digest)
    assert (received.headers, received.body, received.encoding) == (request.headers, request.body, "utf-8")
    assert (received.outcome, received.received_at) == (DeliveryOutcome.STARTED, store.now())
    assert await store.delivery(received.id) == received
    assert await store.first_delivery("/github", "d1") == received


async def test_the_same_delivery_again_is_answered_with_the_first(store: Store, clock: FakeClock) -> None:
    first = await store.receive_delivery(a_delivery())
    await clock.advance("1h")

    again = await store.receive_delivery(a_delivery())

    assert (again.delivery, again.repeated) == (first.delivery, True)
    assert await runs_in(store) == 1


async def test_an_id_belongs_to_its_webhook(store: Store) -> None:
    one = await store.receive_delivery(a_delivery())
    other = await store.receive_delivery(a_delivery(webhook="/gitlab", body=OTHER))

    assert one.delivery.run_id != other.delivery.run_id


@pytest.mark.parametrize("count", [100])
async def test_the_same_delivery_a_hundred_times_at_once_starts_one_run(database: Database, count: int) -> None:
    stores = [await database.open() for _ in range(3)]

    receipts = await asyncio.gather(*(stores[n % 3].receive_delivery(a_delivery()) for n in range(count)))

    assert len({(one.delivery.id, one.delivery.run_id) for one in receipts}) == 1
    assert sum(not one.repeated for one in receipts) == 1
    assert (await runs_in(stores[0]), len(await kept(stores[0]))) == (1, 1)


async def test_many_ids_at_once_each_start_their_run(database: Database) -> None:
    stores = [await database.open() for _ in range(3)]

    await asyncio.gather(*(stores[n % 3].receive_delivery(a_delivery(f"d{n // 4}")) for n in range(80)))

    assert (await runs_in(stores[0]), len(await kept(stores[0]))) == (20, 20)


# -- conflicts


async def test_another_body_of_the_same_id_is_refused_and_kept_as_a_conflict(store: Store) -> None:
    first = (await store.receive_delivery(a_delivery())).delivery

    with pytest.raises(DeliveryMismatch, match=f"made run {first.run_id}; no run was made") as refused:
        await store.receive_delivery(a_delivery(body=OTHER))

    conflict = await store.delivery(refused.value.kept_as)
    assert (conflict.outcome, conflict.run_id, conflict.body) == (DeliveryOutcome.CONFLICT, None, OTHER)
    assert first.id in (conflict.detail or "")
    assert first.id not in (conflict.reason or "")
    assert refused.value.first == first.id
    assert await runs_in(store) == 1
    assert await store.first_delivery("/github", "d1") == first


async def test_a_conflict_is_kept_once_for_each_body(store: Store) -> None:
    await store.receive_delivery(a_delivery())

    told = []
    for body in (OTHER, OTHER, '{"n":3}', OTHER):
        with pytest.raises(DeliveryMismatch) as refused:
            await store.receive_delivery(a_delivery(body=body))
        told.append(refused.value.kept_as)

    assert told[0] == told[1] == told[3] != told[2]
    assert len(await kept(store)) == 3


async def test_of_two_bodies_at_once_one_counts_and_the_other_is_the_conflict(database: Database) -> None:
    stores = [await database.open() for _ in range(2)]
    bodies = [f'{{"n":{n % 5}}}' for n in range(20)]

    results = await asyncio.gather(
        *(stores[n % 2].receive_delivery(a_delivery(body=body)) for n, body in enumerate(bodies)),
        return_exceptions=True,
    )

    told = [one for one in results if isinstance(one, DeliveryMismatch)]
    assert (len(told), len(results) - len(told)) == (16, 4)
    assert (await runs_in(stores[0]), len(await kept(stores[0]))) == (1, 5)
    assert len({one.kept_as for one in told}) == 4


# -- refused and ignored


async def test_a_refused_delivery_is_kept_with_both_reasons_and_no_run(store: Store) -> None:
    refused = (await store.receive_delivery(a_refused())).delivery

    assert (refused.outcome, refused.run_id) == (DeliveryOutcome.REFUSED, None)
    assert (refused.reason, refused.detail) == ("the body is no order", "at /n: found 1, wanted a text")
    assert await runs_in(store) == 0


async def test_a_refused_delivery_is_judged_anew_when_it_comes_again(store: Store, clock: FakeClock) -> None:
    refused = (await store.receive_delivery(a_refused())).delivery
    await clock.advance("1h")

    once_more = await store.receive_delivery(a_refused(reason="still no order", detail="at /m"))
    assert (once_more.delivery.id, once_more.repeated) == (refused.id, False)
    assert (once_more.delivery.reason, once_more.delivery.detail) == ("still no order", "at /m")

    started = await store.receive_delivery(a_delivery())
    assert (started.delivery.id, started.delivery.outcome) == (refused.id, DeliveryOutcome.STARTED)
    assert (started.delivery.reason, started.delivery.detail) == (None, None)
    assert started.delivery.received_at == refused.received_at
    assert await store.receive_delivery(a_delivery()) == replace(started, repeated=True)
    assert (await runs_in(store), len(await kept(store))) == (1, 1)


async def test_a_refused_delivery_that_comes_many_times_at_once_starts_one_run(database: Database) -> None:
    stores = [await database.open() for _ in range(3)]
    await stores[0].receive_delivery(a_refused())

    receipts = await asyncio.gather(*(stores[n % 3].receive_delivery(a_delivery()) for n in range(30)))

    assert len({one.delivery.run_id for one in receipts}) == 1
    assert await runs_in(stores[0]) == 1


async def test_an_ignored_delivery_stays_ignored(store: Store) -> None:
    """Code that would start it now was not there when it came: only a person has it delivered again."""
    ignored = await store.receive_delivery(an_ignored())

    again = await store.receive_delivery(a_delivery())

    assert (again.delivery, again.repeated) == (ignored.delivery, True)
    assert await runs_in(store) == 0


# -- what starting a run may come up against


async def test_a_run_that_holds_the_singleton_key_stands_for_the_one_to_be_made(store: Store) -> None:
    skipping = a_trigger("build", singleton=Singleton("main", "skip"))
    first = (await store.receive_delivery(a_delivery("d1", run=skipping))).delivery

    second = (await store.receive_delivery(a_delivery("d2", run=skipping))).delivery

    assert (second.outcome, second.run_id) == (DeliveryOutcome.STARTED, first.run_id)
    assert await runs_in(store) == 1


async def test_a_run_that_is_replaced_is_replaced_once(store: Store) -> None:
    replacing = a_trigger("build", singleton=Singleton("main", "replace"))
    first = (await store.receive_delivery(a_delivery("d1", run=replacing))).delivery

    for _ in range(2):
        second = (await store.receive_delivery(a_delivery("d2", run=replacing))).delivery

    assert first.run_id is not None
    assert second.run_id is not None
    assert ((await store.run(first.run_id)).status, (await store.run(second.run_id)).status) == ("cancelled", "queued")
    assert await runs_in(store) == 2


async def test_of_a_delivery_that_meets_a_full_queue_nothing_is_kept_so_that_it_counts_later(store: Store) -> None:
    await store.trigger(a_trigger("build", queue="builds"))
    await store.change_queue(ChangeQueue(name="builds", by="mia", reason="", limits=Limits(backlog=1)))
    full = a_delivery(run=a_trigger("build", queue="builds"))

    with pytest.raises(QueueFull):
        await store.receive_delivery(full)

    assert await kept(store) == []
    await store.change_queue(ChangeQueue(name="builds", by="mia", reason="", limits=Limits(backlog=2)))
    assert (await store.receive_delivery(full)).delivery.outcome is DeliveryOutcome.STARTED


async def test_a_refused_trigger_leaves_a_refused_delivery_as_it_was(store: Store) -> None:
    before = (await store.receive_delivery(a_refused())).delivery
    await store.trigger(a_trigger("build", idempotency_key="taken"))

    with pytest.raises(IdempotencyMismatch):
        await store.receive_delivery(a_delivery(run=a_trigger("build", "[]", idempotency_key="taken")))

    assert await store.delivery(before.id) == before


# -- redelivery


async def redelivered(store: Store, delivery: Delivery, by: str = "mia") -> Delivery:
    return await store.redeliver(
        a_delivery(delivery.delivery_id, delivery.body or "", redelivery_of=delivery.id, requested_by=by)
    )


async def test_a_person_has_a_delivery_started_again_with_a_run_of_its_own(store: Store, clock: FakeClock) -> None:
    first = (await store.receive_delivery(a_delivery())).delivery
    await clock.advance("1h")

    again = await redelivered(store, first)

    assert again.id != first.id
    assert again.run_id not in {None, first.run_id}
    assert (again.redelivery_of, again.requested_by, again.received_at) == (first.id, "mia", store.now())
    assert (again.delivery_id, again.digest, again.body) == (first.delivery_id, first.digest, first.body)
    assert await store.first_delivery("/github", "d1") == first
    assert (await store.receive_delivery(a_delivery())).delivery == first
    assert (await redelivered(store, again)).redelivery_of == again.id
    assert await runs_in(store) == 3


async def test_asked_for_by_one_id_it_is_delivered_again_once(database: Database) -> None:
    stores = [await database.open() for _ in range(2)]
    first = (await stores[0].receive_delivery(a_delivery())).delivery
    request = a_delivery(redelivery_of=first.id, requested_by="mia", id="dlv_chosen")

    made = await asyncio.gather(*(stores[n % 2].redeliver(request) for n in range(10)))

    assert {one.id for one in made} == {"dlv_chosen"}
    assert await runs_in(stores[0]) == 2
    with pytest.raises(IdempotencyMismatch):
        await stores[0].redeliver(replace(request, redelivery_of="dlv_chosen"))


async def test_a_conflict_can_be_started_by_a_person(store: Store) -> None:
    await store.receive_delivery(a_delivery())
    with pytest.raises(DeliveryMismatch) as refused:
        await store.receive_delivery(a_delivery(body=OTHER))

    again = await redelivered(store, await store.delivery(refused.value.kept_as))

    assert (again.outcome, again.body) == (DeliveryOutcome.STARTED, OTHER)
    with pytest.raises(DeliveryMismatch):
        await store.receive_delivery(a_delivery(body=OTHER))
    assert await runs_in(store) == 2


async def test_what_a_person_had_started_of_a_refused_delivery_is_what_its_sender_is_told(store: Store) -> None:
    """A sender that goes on trying does not start what a person has started already."""
    refused = (await store.receive_delivery(a_refused())).delivery
    again = await redelivered(store, refused)

    answered = await store.receive_delivery(a_delivery())

    assert (answered.delivery, answered.repeated) == (again, True)
    assert (await store.delivery(refused.id)).outcome is DeliveryOutcome.REFUSED
    assert await runs_in(store) == 1


async def test_a_redelivery_that_is_refused_again_leaves_the_sender_its_next_attempt(store: Store) -> None:
    refused = (await store.receive_delivery(a_refused())).delivery
    again = await store.redeliver(a_refused(redelivery_of=refused.id, requested_by="mia"))
    assert (again.outcome, again.run_id) == (DeliveryOutcome.REFUSED, None)

    answered = await store.receive_delivery(a_delivery())

    assert (answered.delivery.id, answered.repeated) == (refused.id, False)


async def test_a_delivery_that_is_gone_is_not_delivered_again(store: Store) -> None:
    with pytest.raises(DeliveryNotFound, match="dlv_gone"):
        await store.redeliver(a_delivery(redelivery_of="dlv_gone", requested_by="mia"))

    assert (await runs_in(store), await kept(store)) == (0, [])
    with pytest.raises(DeliveryNotFound):
        await store.delivery("dlv_gone")
    assert await store.first_delivery("/github", "d1") is None


# -- listings


async def a_hundred(store: Store, clock: FakeClock) -> list[Receipt]:
    """Of two webhooks and three outcomes, three at each instant."""
    received = []
    for n in range(100):
        make = (a_delivery, an_ignored, a_refused)[n % 3]
        received.append(await store.receive_delivery(make(f"d{n:03}", webhook=("/github", "/orders")[n % 2])))
        if n % 3 == 2:
            await clock.advance("1s")
    return received


@pytest.mark.parametrize("webhook", [None, "/orders"])
@pytest.mark.parametrize("outcome", [None, DeliveryOutcome.IGNORED, DeliveryOutcome.STARTED])
async def test_a_listing_by_pages_has_each_delivery_once_newest_first(
    store: Store, clock: FakeClock, webhook: str | None, outcome: DeliveryOutcome | None
) -> None:
    everything = [one.delivery for one in await a_hundred(store, clock)]
    wanted = [one.id for one in everything if webhook in {None, one.webhook} and outcome in {None, one.outcome}]

    found: list[Delivery] = []
    which = DeliveryFilter(webhook=webhook, outcome=outcome, limit=7)
    while True:
        page = await store.deliveries(which)
        found += page.items
        if page.next_cursor is None:
            break
        assert len(page.items) == 7
        which = replace(which, cursor=page.next_cursor)

    assert sorted(one.id for one in found) == sorted(wanted)
    assert [one.received_at for one in found] == sorted((one.received_at for one in found), reverse=True)
    assert all(one.body is None for one in found), "a listing does not read bodies"


async def test_the_deliveries_of_one_id_are_listed_together(store: Store, clock: FakeClock) -> None:
    first = (await store.receive_delivery(a_delivery())).delivery
    await store.receive_delivery(a_delivery("d2"))
    await clock.advance("1s")
    with pytest.raises(DeliveryMismatch) as refused:
        await store.receive_delivery(a_delivery(body=OTHER))
    await clock.advance("1s")
    again = await redelivered(store, first)

    await clock.advance("1s")
    other = (await store.receive_delivery(a_delivery(webhook="/orders"))).delivery

    listed = await store.deliveries_of("d1", webhook="/github")

    assert [one.id for one in listed] == [again.id, refused.value.kept_as, first.id]
    assert await store.deliveries_of("d1") == [replace(other, body=None), *listed]
    assert await store.deliveries_of("none") == []


async def test_the_latest_outcomes_of_a_webhook_are_counted(store: Store, clock: FakeClock) -> None:
    await a_hundred(store, clock)

    latest = (await store.deliveries(DeliveryFilter(webhook="/orders", limit=9))).items
    assert await store.latest_outcomes("/orders", limit=9) == Counter(one.outcome for one in latest)
    assert sum((await store.latest_outcomes("/orders")).values()) == 50
    assert await store.latest_outcomes("/none") == {}


async def test_a_large_body_is_kept_whole(store: Store) -> None:
    large = f'"{"ä" * 300_000}"'
    received = (await store.receive_delivery(a_delivery(body=large))).delivery

    assert (await store.delivery(received.id)).body == large
    assert await store.first_delivery("/github", "d1") == received
