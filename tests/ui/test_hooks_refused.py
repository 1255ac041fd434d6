"""What webhooks refuse: without keeping it where it is not authentic, with a reason for its sender where it is."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from agentflow import Secret, task
from agentflow.states import DeliveryOutcome
from agentflow.tasks.webhook import Webhook
from agentflow.verifiers import bearer, github, hmac_sha256, standard
from approvals_ui import hooks
from approvals_ui.arrivals import ONCE_IN
from tests.support.server import served
from tests.support.signing import STANDARD_SECRET, Headers, changed, github_headers, hexadecimal, standard_headers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from agentflow.records import Delivery
    from tests.support.server import Served
    from tests.ui.conftest import MovedClock

CANARY = "canary-that-nobody-may-see"
LIMIT = 2000
MIB = 1024 * 1024


@task
async def take(payload: dict[str, Any]) -> None:
    """What every webhook here starts."""


@task
async def pay(amount: int) -> None:
    """A task of one parameter that is no object."""


HOOKS = [
    Webhook("/standard", task=take, verify=standard(STANDARD_SECRET)),
    Webhook("/github", task=take, verify=github(CANARY), max_body=LIMIT),
    Webhook("/pay", task=pay, verify=github(CANARY)),
    Webhook("/large", task=take, verify=github(CANARY), max_body=16 * MIB),
    Webhook("/token", task=take, verify=bearer(CANARY, id_header="X-Id")),
    Webhook("/hmac", task=take, verify=hmac_sha256(CANARY, header="X-Sign", verify_token=f"{CANARY}-2")),
]


@pytest.fixture
async def site(tmp_path: Path, clock: MovedClock) -> AsyncIterator[Served]:
    async with served(tmp_path, take, pay, clock=clock, webhooks={one.path: one for one in HOOKS}, dev=True) as site:
        yield site


@pytest.fixture
async def http(site: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=site.url, timeout=60) as http:
        yield http


def signed(body: bytes, *, id: str = "d1") -> Headers:
    return github_headers(body, id=id, secret=CANARY)


async def kept(site: Served) -> list[Delivery]:
    return [*(await site.client.deliveries.all()).items]


async def test_what_is_not_authentic_is_told_why_and_leaves_no_trace(site: Served, http: httpx.AsyncClient) -> None:
    at = int(site.client.now().timestamp())
    good = standard_headers(b"{}", at=at)
    for headers, reason in (
        (good[:-1], "the webhook-signature header is missing"),
        ([*good, good[-1]], "the webhook-signature header occurs 2 times"),
        ([*good, ("Webhook-ID", "msg_2")], "the webhook-id header occurs 2 times"),
        (changed(good, "webhook-timestamp", str(at + 1)), "no signature matches"),
        (changed(good, "webhook-id", "msg_2"), "no signature matches"),
        (standard_headers(b"{}", at=at, id="msg.1"), "without a dot"),
        (standard_headers(b"{ }", at=at), "no signature matches"),
        ([], "the webhook-id header is missing"),
    ):
        answer = await http.post("/hooks/standard", content=b"{}", headers=headers)
        assert answer.status_code == 401, headers
        assert answer.headers["content-type"] == "application/problem+json"
        assert reason in answer.json()["detail"]
    assert await kept(site) == []
    upper = [(name.upper(), value) for name, value in good]
    assert (await http.post("/hooks/standard", content=b"{}", headers=upper)).status_code == 202


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "The body is not JSON"),
        (b"{", "The body is not JSON"),
        (b"\xef\xbb\xbf{}", "UTF-8 BOM"),
        (b'{"a": "\xff"}', "The body is not UTF-8: byte 0xff at 7"),
        (b'{"a": NaN}', "NaN, which JSON has not"),
        (b'{"a": 1, "a": 2}', "the name 'a' twice"),
        (b"[" * 101 + b"]" * 101, "nested more than 100 levels deep"),
        (b"[" * LIMIT, "nested more than 100 levels deep"),
        (b'"\x00"', "The body is not JSON"),
        (b"[]", "The payload does not fit: /: found [] (list)"),
    ],
)
async def test_what_is_authentic_and_unfit_is_kept_with_its_reason(
    site: Served, http: httpx.AsyncClient, body: bytes, reason: str
) -> None:
    answer = await http.post("/hooks/github", content=body, headers=signed(body))
    [listed] = await kept(site)
    delivery = await site.client.deliveries.one(listed.id)
    assert answer.status_code == 422
    assert reason in answer.json()["detail"]
    assert answer.json()["delivery"] == delivery.id
    assert (delivery.outcome, delivery.run_id) == (DeliveryOutcome.REFUSED, None)
    assert delivery.reason is not None
    assert delivery.reason.lower() in answer.json()["detail"].lower()
    assert (await site.client.runs()).items == []


async def test_what_only_operators_may_know_is_not_told_the_sender(site: Served, http: httpx.AsyncClient) -> None:
    answer = await http.post("/hooks/pay", content=b'"much"', headers=signed(b'"much"'))
    [delivery] = await kept(site)
    assert "found 'much' (str); wanted integer" in answer.json()["detail"]
    assert "task" not in answer.text.replace("urn:agentflow", "")
    assert delivery.detail is not None
    assert "input of task 'pay' is refused" in delivery.detail


# -- size and form


async def parts(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), 700):
        yield body[at : at + 700]


async def test_a_body_of_the_limit_is_taken_and_one_byte_more_is_not_however_it_comes(
    site: Served, http: httpx.AsyncClient
) -> None:
    for size, status in ((LIMIT, 202), (LIMIT + 1, 413)):
        body = b'{"a":"' + b"x" * (size - 8) + b'"}'
        for n, content in enumerate((body, parts(body))):
            answer = await http.post("/hooks/github", content=content, headers=signed(body, id=f"{size}-{n}"))
            assert answer.status_code == status
    assert f"larger than the {LIMIT:,} bytes" in answer.json()["detail"]
    assert len(await kept(site)) == 2
    large = b'{"a":"' + b"x" * 9 * MIB + b'"}'  # more than an input may be, so it is kept and starts nothing
    assert (await http.post("/hooks/large", content=large, headers=signed(large))).status_code == 422
    assert len(await kept(site)) == 3


async def answer_to(site: Served, *lines: str, body: bytes = b"") -> str:
    """The status line of the answer to a request written by hand."""
    host, _, port = site.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write("\r\n".join((*lines, "Host: localhost", "", "")).encode("latin-1") + body)
        await writer.drain()
        async with asyncio.timeout(60):
            return (await reader.readline()).decode()
    finally:
        writer.close()


async def test_a_large_body_is_refused_before_it_is_sent(site: Served) -> None:
    for length in ("999999999999", "2001", "9" * 30):
        answer = await answer_to(site, "POST /hooks/github HTTP/1.1", f"Content-Length: {length}")
        assert answer.split()[1] in ("413", "400")
    # Nobody says how much there is: it is not read to its end.
    endless = b"".join(b"400\r\n" + b"x" * 1024 + b"\r\n" for _ in range(3))
    answer = await answer_to(site, "POST /hooks/github HTTP/1.1", "Transfer-Encoding: chunked", body=endless)
    assert answer.split()[1] == "413"


async def test_headers_that_say_two_things_are_refused(site: Served, http: httpx.AsyncClient) -> None:
    good = signed(b"{}")
    for headers, status in (
        ([*good, ("content-type", "application/json"), ("Content-Type", "text/plain")], 400),
        ([*good, ("content-encoding", "gzip")], 415),
        ([*good, ("content-encoding", "identity"), ("content-encoding", "gzip")], 400),
        ([*good, *((f"x-{n}", "1") for n in range(100))], 431),
    ):
        answer = await http.post("/hooks/github", content=b"{}", headers=headers)
        assert answer.status_code == status
    packed = gzip.compress(b"{}")
    answer = await http.post("/hooks/github", content=packed, headers=[*signed(packed), ("content-encoding", "gzip")])
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
    both = ("Content-Length: 2", "Transfer-Encoding: chunked")
    assert (await answer_to(site, "POST /hooks/github HTTP/1.1", *both, body=b"2\r\n{}\r\n0\r\n\r\n")).split()[
        1
    ] == "400"
    assert await kept(site) == []
    plain = [*good, ("content-encoding", "identity"), ("content-type", "application/json")]
    assert (await http.post("/hooks/github", content=b"{}", headers=plain)).status_code == 202


async def test_a_sender_that_goes_slow_does_not_hold_a_connection(
    site: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "LONGEST_READING", timedelta(milliseconds=50))
    answer = await answer_to(site, "POST /hooks/github HTTP/1.1", "Content-Length: 100", body=b"{")
    assert answer.split()[1] == "408"
    assert await kept(site) == []


async def test_a_sender_that_leaves_half_way_leaves_nothing(site: Served) -> None:
    host, _, port = site.url.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /hooks/github HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert await kept(site) == []


# -- the log, and secrets


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


async def test_a_flood_of_forgeries_is_counted_and_logged_at_most_once_a_second(
    site: Served, http: httpx.AsyncClient, logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(50):
        assert (
            await http.post("/hooks/github", content=b"{}", headers=github_headers(b"{}", id=str(n)))
        ).status_code == 401
    lines = [one.getMessage() for one in logged.records if one.name == "approvals_ui.hooks"]
    assert len(lines) <= 1 + 50 // 10
    assert lines[0].startswith("webhook /github: 1 request(s) not authentic")
    assert site.app.state.desk.arrivals.unproven("/github") == 50
    assert await kept(site) == []


async def test_no_secret_is_in_an_answer_a_page_the_log_or_the_database(
    site: Served, http: httpx.AsyncClient, logged: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    bearing = {"authorization": f"Bearer {CANARY}"}
    cookie = {"cookie": f"session={CANARY}", "x-other-token": CANARY}
    body = b'{"n": 1}'
    told = [
        await http.post("/hooks/token", content=body, headers=bearing | cookie | {"x-id": "d1"}),
        await http.post("/hooks/token", content=b"{", headers=bearing | cookie | {"x-id": "d2"}),
        await http.post("/hooks/token", content=body, headers={"authorization": f"Bearer {CANARY}x", "x-id": "d3"}),
        await http.post("/hooks/github", content=body, headers=[*signed(body), *cookie.items()]),
        await http.get("/hooks/hmac", params={"hub.mode": "subscribe", "hub.verify_token": f"{CANARY}-2"}),
        await http.post("/hooks/hmac", content=body, headers=[("x-sign", hexadecimal(CANARY, body))]),
    ]
    assert [one.status_code for one in told] == [202, 422, 401, 202, 401, 202]
    paths = ["/webhooks", "/deliveries", *(f"/deliveries/{one.id}" for one in await kept(site))]
    pages = [await http.get(path, headers={"accept": "text/html"}) for path in paths]
    assert {one.status_code for one in pages} == {200}
    database = "".join(sqlite3.connect(tmp_path / "inbox.db").iterdump())
    ours = [one for one in logged.records if not one.name.startswith("http")]  # what the sender here logs is its own
    log = "".join(logged.handler.format(one) for one in ours)
    proofs = [CANARY, hexadecimal(CANARY, body)]
    for text in [*(one.text for one in told + pages), database, log, json.dumps([*map(repr, HOOKS)])]:
        assert not [proof for proof in proofs if proof in text]
    assert len(await kept(site)) == 4


async def test_a_secret_that_has_gone_missing_lets_nobody_in_and_is_named_in_the_log_alone(
    tmp_path: Path, clock: MovedClock, logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_SENDER", CANARY)
    hook = Webhook("/env", task=take, verify=github(Secret.env("OF_THE_SENDER")))
    async with served(tmp_path, take, clock=clock, webhooks={"/env": hook}) as site, site.http() as http:
        assert (await http.post("/hooks/env", content=b"{}", headers=signed(b"{}"))).status_code == 202
        monkeypatch.delenv("OF_THE_SENDER")
        answer = await http.post("/hooks/env", content=b"{}", headers=signed(b"{}", id="d2"))
    assert answer.status_code == 500
    assert "OF_THE_SENDER" not in answer.text
    assert "OF_THE_SENDER is not set" in logged.text
    assert ONCE_IN.total_seconds() == 1
