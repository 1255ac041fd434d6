"""What becomes of an authentic request: how its body is read, whether it starts a run, and what is kept of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import task
from agentflow.states import DeliveryOutcome
from agentflow.tasks.deliveries import Delivered, body_of, judge, judging, text_of
from agentflow.tasks.deliveries.reading import Unfit, payload_of
from agentflow.tasks.webhook import Received, Webhook
from agentflow.verifiers import github

if TYPE_CHECKING:
    from agentflow.requests import ReceiveDelivery
    from agentflow.tasks.task import Task

AT = datetime(2026, 1, 5, tzinfo=UTC)
JSON = [("Content-Type", "application/json")]
FORM = [("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")]


@dataclass
class Order:
    number: int
    day: date | None = None


@task
async def ship(order: Order) -> None: ...


@task
async def pay(amount: int, note: str = "") -> None: ...


@task
async def refresh() -> None: ...


@task
async def count(numbers: list[int]) -> None: ...


async def judged(
    body: object, to: Task[..., Any] = ship, *, headers: list[tuple[str, str]] = JSON, **options: Any
) -> ReceiveDelivery:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    hook = Webhook("/orders", task=to, **options)
    return await judge(hook, to, Delivered(id="d1", headers=headers, body=raw, received_at=AT))


async def input_of(body: object, to: Task[..., Any] = ship, **options: Any) -> str:
    found = await judged(body, to, **options)
    assert (found.outcome, found.reason, found.detail) == (DeliveryOutcome.STARTED, None, None)
    assert found.run is not None
    assert found.run.origin == "webhook /orders"
    return found.run.input


async def refusal(body: object, to: Task[..., Any] = ship, **options: Any) -> tuple[str, str]:
    found = await judged(body, to, **options)
    assert (found.outcome, found.run) == (DeliveryOutcome.REFUSED, None)
    assert found.reason
    assert found.detail
    return found.reason, found.detail


# -- the body


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is not JSON: Expecting value"),
        (b"{", "the body is not JSON: Expecting"),
        (b"Hello, World!", "the body is not JSON"),
        (b"\xef\xbb\xbf{}", "the body is not JSON: Unexpected UTF-8 BOM"),
        (b'"\xff"', "the body is not UTF-8: byte 0xff at 1"),
        ("{}".encode("utf-16"), "the body is not UTF-8: byte 0xff at 0"),
        (b'{"a": 1, "a": 2}', "the name 'a' twice"),
        (b'{"a": 1, "\\u0061": 2}', "the name 'a' twice"),
        (b'{"o": [{"a": 1, "b": 0, "a": 1}]}', "the name 'a' twice"),
        (b'{"a": NaN}', "NaN, which JSON has not"),
        (b'{"a": -Infinity}', "-Infinity, which JSON has not"),
        (b'{"a": 1e999}', "the number 1e999, which is out of range"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number of 5,000 digits"),
        (b"[" * 101 + b"]" * 101, "nested more than 100 levels"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "nested more than 100 levels"),
        (b"[" * 100_000, "nested more than 100 levels"),
        (b'{"a": "\x00"}', "the body is not JSON: Invalid control character"),
    ],
)
def test_a_body_that_is_no_plain_json_says_what_it_is(body: bytes, reason: str) -> None:
    with pytest.raises(Unfit) as caught:
        payload_of(body, content_type="application/json", max_depth=100)
    assert reason in caught.value.reason


def test_as_many_levels_as_are_allowed_are_not_too_deep() -> None:
    for levels in (100, 200):
        body = b"[" * levels + b"1" + b"]" * levels
        assert payload_of(body, content_type="", max_depth=levels)


async def test_as_deep_a_body_as_may_be_declared_becomes_input() -> None:
    @task
    async def take(anything: Any) -> None: ...

    body = b"[" * 200 + b"1" + b"]" * 200
    assert len(await input_of(body, take, max_depth=200)) > 400


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        (b"command=%2Fship&text=", {"command": "/ship", "text": ""}),
        (b"payload=%7B%22number%22%3A+17%7D", {"number": 17}),
        (b"payload=x&other=y", {"payload": "x", "other": "y"}),
        (b' {"number": 17}', {"number": 17}),
        (b"[17]", [17]),
    ],
)
def test_a_form_is_its_fields_or_the_json_in_it(body: bytes, payload: object) -> None:
    assert payload_of(body, content_type=FORM[0][1], max_depth=100) == payload


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"a=1&a=2", "the name 'a' twice"),
        (b"no form", "not the form that its content type says"),
        (b"a=%ff", "not the form that its content type says"),
        (b"&".join(b"f%d=1" % n for n in range(1001)), "not the form that its content type says"),
        (b"payload=no+json", "the body is not JSON"),
    ],
)
def test_a_form_that_could_be_read_in_two_ways_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(Unfit) as caught:
        payload_of(body, content_type=FORM[0][1], max_depth=100)
    assert reason in caught.value.reason


# -- the input


async def test_a_task_of_one_parameter_gets_the_payload_one_of_several_its_members_one_of_none_nothing() -> None:
    assert json.loads(await input_of({"number": 17, "day": "2026-01-05"}))["order"]["fields"]["number"] == 17
    assert await input_of({"amount": 900, "note": "rent"}, pay) == '{"amount":900,"note":"rent"}'
    assert await input_of({"amount": 900}, pay) == '{"amount":900,"note":""}'
    assert await input_of([1, 2], count) == '{"numbers":[1,2]}'
    assert await input_of({"whatever": 1}, refresh) == "{}"


@pytest.mark.parametrize(
    ("body", "to", "reason"),
    [
        ({"number": "x"}, ship, "/number: found 'x' (str); wanted integer"),
        ({}, ship, "/number: found nothing; wanted a value"),
        ([1], ship, "the payload does not fit: /: found"),
        ([1, "x"], count, "/1: found 'x' (str)"),
        ({"amount": "900"}, pay, "/amount: found '900' (str)"),
        ({"amount": 1, "more": 2}, pay, "/more: found 2 (int); wanted no such parameter"),
        ([1], pay, "wanted an object of its parameters by name: amount, note"),
    ],
)
async def test_a_payload_that_does_not_fit_is_told_where_in_the_payload(
    body: object, to: Task[..., Any], reason: str
) -> None:
    told, detail = await refusal(body, to)
    assert reason in told
    assert "task" not in told
    assert f"task {to.id!r}" in detail


async def test_input_maps_the_payload_converted_to_its_annotation() -> None:
    def mapped(order: Order) -> dict[str, Any]:
        assert isinstance(order, Order)
        return {"amount": order.number, "note": str(order.day)}

    assert await input_of({"number": 3, "day": "2026-01-05"}, pay, input=mapped) == '{"amount":3,"note":"2026-01-05"}'
    told, detail = await refusal({"number": 3, "day": "soon"}, pay, input=mapped)
    assert "/day: found 'soon' (str)" in told
    assert "order" not in told
    assert "task 'pay'" in detail


async def test_input_and_where_may_ask_for_what_else_is_known() -> None:
    def wanted(payload: dict[str, Any], received: Received) -> bool:
        assert (received.id, received.payload, received.received_at) == ("d1", payload, AT)
        return received.headers["x-event"] == "push, again"

    async def mapped(payload: dict[str, Any], received: Received) -> Order:
        await asyncio.sleep(0)
        return Order(payload["n"] + len(received.headers))

    headers = [*JSON, ("X-Event", "push"), ("x-event", "again"), ("X-Hub-Signature-256", "secret")]
    found = await input_of({"n": 1}, headers=headers, where=wanted, input=mapped, verify=github("key"))
    assert json.loads(found)["order"]["fields"]["number"] == 3


async def test_what_where_passes_over_starts_nothing() -> None:
    found = await judged({"number": 1}, where=lambda payload: payload["number"] > 1)
    assert (found.outcome, found.run, found.reason) == (DeliveryOutcome.IGNORED, None, None)


async def test_what_the_users_code_raises_is_for_operators_alone() -> None:
    told, detail = await refusal({}, where=lambda payload: payload["kind"] == "paid")
    assert told == judging.NOT_WANTED
    assert "where= of webhook /orders raised KeyError: 'kind', at " in detail
    assert "test_judging.py:" in detail
    told, detail = await refusal({"number": 1}, pay, input=lambda _: {"amount": "much"})
    assert told == judging.NOT_WANTED
    assert "what input= of webhook /orders gave is refused" in detail
    assert "/amount: found 'much' (str)" in detail


async def test_whatever_is_quoted_in_a_reason_can_be_stored() -> None:
    def refuse(payload: str) -> None:
        raise ValueError(payload + chr(0xD800) + "x" * 9000)

    told, detail = await refusal(b'"\\u0000 "', where=refuse)
    assert told == judging.NOT_WANTED
    assert r"\x00 \ud800xxx" in detail
    assert "test_judging.py:" in detail
    assert len(detail) < 1500


async def test_code_that_takes_too_long_does_not_hold_the_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(payload: object) -> bool:
        return await asyncio.Event().wait()

    monkeypatch.setattr(judging, "LONGEST_CALL", timedelta(milliseconds=1))
    _, detail = await refusal({}, where=slow)
    assert "where= of webhook /orders took longer than 1ms" in detail


async def test_a_key_that_cannot_be_read_from_the_input_refuses_the_delivery() -> None:
    @task(queue_key=lambda number: {"no": "key"}[str(number)])
    async def keyed(number: int) -> None: ...

    told, detail = await refusal(3, keyed)
    assert told == judging.NOT_WANTED
    assert "queue_key" in detail


async def test_a_text_that_no_encoding_writes_is_refused() -> None:
    @task
    async def read(text: str) -> None: ...

    told, _ = await refusal(b'"\\ud800"', read)
    assert "the payload does not fit" in told


# -- what is kept

SECRETIVE = (
    "Authorization", "Proxy-Authorization", "Cookie", "X-Hub-Signature-256", "X-Hub-Signature", "Stripe-Signature",
    "X-Api-Key", "X-Gitlab-Token", "X-Shared-Secret", "X-Amz-Security-Token", "Cf-Access-Jwt-Assertion",
    "X-Access-Key", "X-Webhook-Key", "X-Auth", "X-Hmac", "X-Sig", "X-Session-Id", "X-Passwd", "X-Authentication",
)  # fmt: skip


@pytest.mark.parametrize(
    ("body", "encoding"), [(b'{"n": "\xc3\xbc"}', "utf-8"), (b"\xff", "base64"), (b'"\x00"', "base64"), (b"", "utf-8")]
)
def test_a_body_is_kept_so_that_it_is_there_again_byte_for_byte(body: bytes, encoding: str) -> None:
    text, found = text_of(body)
    assert found == encoding
    assert "\0" not in text
    assert body_of(text, found) == body


async def test_no_header_that_holds_a_secret_is_kept() -> None:
    harmless = [("X-GitHub-Event", "push"), ("Idempotency-Key", "7"), ("X-Author", "mia"), ("X-Signed-In", "no")]
    headers = [*JSON, *harmless, *((name, "canary") for name in SECRETIVE)]
    found = await judged({"number": 1}, headers=headers, verify=github("key"))
    kept = [[name.lower(), value] for name, value in harmless]
    assert json.loads(found.headers) == [["content-type", "application/json"], *kept]


async def test_what_was_kept_is_judged_alike() -> None:
    headers = [*FORM, ("X-Hub-Signature-256", "canary"), ("X-Event", "push")]
    first = await judged(b"number=1", headers=headers, input=lambda form: {"order": {"number": int(form["number"])}})
    kept = [(name, value) for name, value in json.loads(first.headers)]
    again = await judged(
        body_of(first.body, first.encoding), headers=kept, input=lambda form: {"order": {"number": int(form["number"])}}
    )
    assert again == first
