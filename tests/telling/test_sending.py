"""Sending: tried again until it is taken, given up at last, held up by nobody, and never sent where it may not go."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import zlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.egress import Egress
from agentflow.errors import InvalidName, InvalidSetting
from agentflow.states import DispatchStatus
from agentflow.telling import Outward, Teller, TellerSettings
from agentflow.telling.patience import DELAYS, MOST_ATTEMPTS, SPREAD, again_in
from tests.support.stores import a_trigger, until
from tests.telling.conftest import QUICK, subscribed, told
from tests.telling.receiver import Receiver, answer, receiving

if TYPE_CHECKING:
    from agentflow.client import Client
    from agentflow.records import Dispatch
    from agentflow.store import Store
    from agentflow.testing import FakeClock
    from tests.support.stores import Database

SECOND = timedelta(seconds=1)
EVENTS = int(os.environ.get("AGENTFLOW_TEST_EVENTS", "1000"))


async def the_dispatch(client: Client) -> Dispatch:
    (one,) = (await client.subscriptions.dispatches()).items
    return one


async def log_of(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((await the_dispatch(client)).log)
    return found


async def test_it_is_tried_again_for_three_days_by_the_same_id_and_given_up(
    store: Store, client: Client, receiver: Receiver, clock: FakeClock, teller: Teller
) -> None:
    await subscribed(client, receiver, "run.started")
    receiver.answers = answer(500, b"try later")
    await store.trigger(a_trigger())
    begun = clock.now()
    await told(teller)
    for count, delay in enumerate(DELAYS, 1):
        one = await the_dispatch(client)
        assert (one.status, one.attempts) == (DispatchStatus.PENDING, count)
        assert one.next_at is not None
        waited = one.next_at - clock.now()
        assert abs(waited - delay) <= delay * SPREAD
        await clock.advance(waited - SECOND)
        await told(teller)
        assert len(receiver.sent) == count, "it is never early"
        await clock.advance(SECOND)
        await told(teller)

    given_up = await the_dispatch(client)
    assert (given_up.status, given_up.attempts, given_up.next_at) == (DispatchStatus.FAILED, MOST_ATTEMPTS, None)
    assert len({one.id for one in receiver.sent}) == 1
    assert len({one.body for one in receiver.sent}) == 1
    assert len({one.headers["webhook-timestamp"] for one in receiver.sent}) == MOST_ATTEMPTS
    assert timedelta(days=2.5) < clock.now() - begun < timedelta(days=3.2)
    assert {one["error"] for one in json.loads(given_up.log)} == {"answered 500: try later"}


async def test_what_failed_is_sent_again_by_hand_with_all_its_attempts(
    store: Store, client: Client, receiver: Receiver, teller: Teller
) -> None:
    await subscribed(client, receiver, "run.started")
    await store.trigger(a_trigger())
    await told(teller)
    sent = await the_dispatch(client)
    await client.subscriptions.resend(sent.id, by="ana")
    await told(teller)

    assert [one.id for one in receiver.sent] == [sent.id, sent.id]
    assert (await the_dispatch(client)).status is DispatchStatus.DELIVERED


def test_spans_differ_from_event_to_event_by_a_tenth_at_most() -> None:
    spans = [again_in(f"msg_{number}", 2) for number in range(200)]
    shares = [span / DELAYS[1] for span in spans if span is not None]
    assert len(set(shares)) > 190
    assert min(shares) >= 0.9
    assert max(shares) <= 1.1
    assert again_in("msg_1", 2) == again_in("msg_1", 2)
    assert again_in("msg_1", MOST_ATTEMPTS) is None


async def test_a_subscriber_that_is_gone_is_disabled(
    store: Store, client: Client, receiver: Receiver, teller: Teller
) -> None:
    made = await subscribed(client, receiver, "run.started")
    receiver.answers = answer(410)
    await store.trigger(a_trigger())
    await told(teller)
    await store.trigger(a_trigger())
    await told(teller)

    assert len(receiver.sent) == 1
    after = await client.subscriptions.one(made.id)
    assert (after.disabled_by, after.disabled_reason) == ("agentflow", "the subscriber answered 410 Gone")
    assert (await the_dispatch(client)).status is DispatchStatus.DISCARDED


async def test_a_redirect_is_not_followed(store: Store, client: Client, receiver: Receiver, teller: Teller) -> None:
    await subscribed(client, receiver, "run.started")
    receiver.answers = answer(307, b"", "location: http://169.254.169.254/latest/meta-data/")
    await store.trigger(a_trigger())
    await told(teller)

    (one,) = await log_of(client)
    assert (one["status"], "not followed" in one["error"]) == (307, True)
    assert len(receiver.sent) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://metadata.google.internal/",
        "http://93.184.216.34/",
        "https://93.184.216.34:22/",
    ],
)
async def test_no_call_is_made_to_where_it_may_not_go(store: Store, client: Client, url: str) -> None:
    made = await client.subscriptions.add(url, events=["run.started"], by="mia")
    teller = Teller(store, settings=QUICK, outward=Outward(private=""))
    await store.trigger(a_trigger())
    await told(teller)

    (one,) = await log_of(client)
    assert (one["status"], "nothing was sent" in one["error"]) == (None, True)
    assert made.secret not in json.dumps(one)


async def test_a_name_that_answers_otherwise_the_second_time_is_judged_each_time(
    store: Store, client: Client, receiver: Receiver
) -> None:
    """DNS rebinding: a public address when it is looked at, a private one when it is called."""
    given = iter([["93.184.216.34"], ["127.0.0.1"], ["127.0.0.1"]])
    asked: list[str] = []

    async def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return next(given, ["127.0.0.1"]) if len(asked) > 1 else ["10.1.2.3"]

    port = receiver.url.split(":")[2].partition("/")[0]
    await client.subscriptions.add(f"http://rebinds.example:{port}/", events=["run.started"], by="mia")
    outward = Outward(private="192.168.77.0/24", base=Egress(resolver=resolver))
    await store.trigger(a_trigger())
    await told(Teller(store, settings=QUICK, outward=outward))

    (one,) = await log_of(client)
    assert "10.1.2.3" in one["error"]
    assert asked == ["rebinds.example"]
    assert receiver.sent == []


async def test_networks_inside_are_reached_where_an_operator_says_so(
    store: Store, client: Client, receiver: Receiver
) -> None:
    await subscribed(client, receiver, "run.started")
    await store.trigger(a_trigger())
    await told(Teller(store, settings=QUICK, outward=Outward(private="127.0.0.0/8")))

    assert len(receiver.sent) == 1
    with pytest.raises(InvalidSetting, match="AGENTFLOW_SUBSCRIBERS_PRIVATE"):
        Outward(private="0.0.0.0/0")
    with pytest.raises(InvalidSetting, match="AGENTFLOW_SUBSCRIBERS_PRIVATE"):
        Outward(private="10.0.0.0/8,what ever")


async def test_localhost_by_its_name_is_for_dev(store: Store, client: Client, receiver: Receiver) -> None:
    async def here(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    url = receiver.url.replace("127.0.0.1", "localhost")
    await client.subscriptions.add(url, events=["run.started"], by="mia")
    await store.trigger(a_trigger())
    outward = Outward(dev=True, private="", base=Egress(resolver=here))
    await told(Teller(store, settings=QUICK, outward=outward))

    assert len(receiver.sent) == 1


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
async def test_of_a_huge_answer_little_is_read_and_its_status_counts(
    store: Store, client: Client, receiver: Receiver, teller: Teller, packed: bool
) -> None:
    await subscribed(client, receiver, "run.started")
    body = b"x" * 3_000_000
    packer = zlib.compressobj(wbits=31)
    squeezed = packer.compress(body * 20) + packer.flush()
    receiver.answers = answer(200, squeezed, "content-encoding: gzip") if packed else answer(200, body)
    await store.trigger(a_trigger())
    await told(teller)

    one = await the_dispatch(client)
    assert one.status is DispatchStatus.DELIVERED
    assert len(one.log) < 1000


async def test_of_an_error_five_hundred_characters_are_kept(
    store: Store, client: Client, receiver: Receiver, teller: Teller
) -> None:
    await subscribed(client, receiver, "run.started")
    receiver.answers = answer(500, b"x" * 20_000)
    await store.trigger(a_trigger())
    await told(teller)

    assert len((await log_of(client))[0]["error"]) == 500


async def never(_: object) -> bytes:
    await asyncio.sleep(60)
    return b""


async def test_one_who_hangs_holds_up_nobody_else(store: Store, client: Client, receiver: Receiver) -> None:
    settings = TellerSettings(poll_every=QUICK.poll_every, timeout=timedelta(minutes=5), end_within=timedelta())
    async with receiving() as slow:
        slow.answers = never
        await subscribed(client, slow, "run.started")
        await subscribed(client, receiver, "run.started")
        teller = Teller(store, dev=True, settings=settings)
        await teller.start()
        for _ in range(20):
            await store.trigger(a_trigger())
        await receiver.until(20)
        await slow.until(settings.per_subscriber)
        assert len(slow.sent) == settings.per_subscriber
        await teller.stop()


async def test_one_who_hangs_is_given_up(store: Store, client: Client, receiver: Receiver) -> None:
    await subscribed(client, receiver, "run.started")
    receiver.answers = never
    await store.trigger(a_trigger())
    settings = TellerSettings(poll_every=QUICK.poll_every, timeout=timedelta(milliseconds=300))
    await told(Teller(store, dev=True, settings=settings))

    (one,) = await log_of(client)
    assert "no whole answer within 0.3 s" in one["error"]


async def test_thousands_of_events_while_a_subscriber_is_down_all_arrive_once(
    store: Store, client: Client, receiver: Receiver, clock: FakeClock, teller: Teller
) -> None:
    made = await subscribed(client, receiver, "run.started")
    for _ in range(EVENTS // 100):
        await store.trigger_many([a_trigger() for _ in range(100)])
    down, url = await client.subscriptions.change(made.id, url="http://127.0.0.1:1/", by="mia"), receiver.url
    for _ in range(EVENTS // 200 + 2):
        await teller.look()
        await teller.settled()
    assert (await store.unread(after=down.cursor, limit=1)).entries
    assert (await client.subscriptions.one(made.id)).cursor == await store.head()
    assert teller._down == {made.id}
    assert receiver.sent == []
    await client.subscriptions.change(made.id, url=url, by="mia")
    await clock.advance(timedelta(minutes=1))
    quick = Teller(store, dev=True, settings=TellerSettings(per_subscriber=50, poll_every=QUICK.poll_every))
    await quick.start()
    await receiver.until(EVENTS, within=EVENTS / 5)
    await quick.stop()

    assert len({one.event["data"]["id"] for one in receiver.sent}) == len(receiver.sent) == EVENTS


async def test_two_tellers_never_both_send_one_attempt(
    database: Database, store: Store, client: Client, receiver: Receiver
) -> None:
    await subscribed(client, receiver, "run.started")
    tellers = [Teller(one, dev=True, settings=QUICK) for one in (store, await database.open(), await database.open())]
    for one in tellers:
        await one.start()
    for _ in range(10):
        await store.trigger_many([a_trigger() for _ in range(20)])
    await receiver.until(200)
    for one in tellers:
        await one.stop()

    assert len(receiver.sent) == len({one.id for one in receiver.sent}) == 200


async def test_one_at_a_time_is_sent_in_the_order_of_what_happened(
    store: Store, client: Client, receiver: Receiver
) -> None:
    await subscribed(client, receiver, "run.started")
    runs = await store.trigger_many([a_trigger() for _ in range(30)])
    settings = TellerSettings(per_subscriber=1, poll_every=QUICK.poll_every)
    await told(Teller(store, dev=True, settings=settings))

    assert [one.event["data"]["id"] for one in receiver.sent] == [one.id for one in runs]


async def test_what_is_not_settled_when_it_stops_is_sent_again_by_another(
    store: Store, client: Client, receiver: Receiver, clock: FakeClock, teller: Teller
) -> None:
    """As when it is killed between sending and keeping that it did: the same id again, once the hold is over."""

    async def slow(_: object) -> bytes:
        await asyncio.sleep(30)
        return answer()

    await subscribed(client, receiver, "run.started")
    receiver.answers = slow
    dying = Teller(store, dev=True, settings=TellerSettings(end_within=timedelta(), poll_every=QUICK.poll_every))
    await dying.start()
    await store.trigger(a_trigger())
    await receiver.until(1)
    await dying.stop()
    receiver.answers = answer()
    await told(teller)
    assert len(receiver.sent) == 1
    await clock.advance(QUICK.hold_for)
    await told(teller)

    first, second = receiver.sent
    assert first.id == second.id
    assert (await the_dispatch(client)).attempts == 2


async def test_a_secret_in_the_environment_signs_and_is_shown_nowhere(  # noqa: PLR0917  fixtures
    store: Store,
    client: Client,
    receiver: Receiver,
    teller: Teller,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "whsec_" + "QUJD" * 8
    await subscribed(client, receiver, "run.started", secret="env:OUR_HOOK_SECRET")
    await store.trigger(a_trigger())
    await told(teller)
    (failed,) = await log_of(client)
    assert "OUR_HOOK_SECRET is not set" in failed["error"]

    monkeypatch.setenv("OUR_HOOK_SECRET", secret)
    await client.subscriptions.resend((await the_dispatch(client)).id, by="mia")
    await told(teller)
    assert receiver.sent[0].verified(secret) == receiver.sent[0].event
    assert secret not in caplog.text + (await the_dispatch(client)).log


async def test_without_a_subscription_it_looks_at_nothing_but_that(
    store: Store, client: Client, receiver: Receiver, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await teller.start()
    asked: list[str] = []
    for name in ("unread", "tell", "claim_dispatches", "run"):
        monkeypatch.setattr(store, name, lambda *_, name=name, **__: asked.append(name))
    await store.trigger_many([a_trigger() for _ in range(50)])
    await until(lambda: teller._is_idle)
    assert asked == []
    assert not teller.trouble
    monkeypatch.undo()

    await subscribed(client, receiver, "run.started")
    await store.trigger(a_trigger())
    await receiver.until(1)
    await teller.stop()
    assert teller.trouble
    assert receiver.types == ["run.started"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": "ftp://example.com/"}, "scheme"),
        ({"url": "https://me:secret@example.com/"}, "credentials"),
        ({"url": "https://"}, "no host"),
        ({"url": "https://example.com/" + "x" * 2000}, "2000"),
        ({"events": []}, "found none"),
        ({"events": ["run.done"]}, "no type of event"),
        ({"events": ["run."]}, "did you mean"),
        ({"tasks": ["a..b"]}, "did you mean"),
        ({"secret": "whsec_c2hvcnQ="}, "at least 24 bytes"),
        ({"secret": "env:not a name"}, "environment variable"),
        ({"description": "x" * 501}, "500"),
    ],
)
async def test_what_cannot_be_meant_is_refused(client: Client, given: dict[str, Any], said: str) -> None:
    values: dict[str, Any] = {"url": "https://example.com/", "events": ["*"], "by": "mia"} | given
    with pytest.raises((InvalidSetting, InvalidName), match=said) as refused:
        await client.subscriptions.add(values.pop("url"), **values)
    assert "c2hvcnQ" not in str(refused.value)
    assert await client.subscriptions.all() == []
