"""Signing in with a token: a session of its own, which ends with it, and which nobody else can use."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from approvals_ui import create_app, streams
from approvals_ui.attempts import MOST, WITHIN, Attempts
from approvals_ui.sessions import COOKIE, new_session
from approvals_ui.signing_in import own_address
from tests.ui.conftest import Browsing, MovedClock
from tests.ui.seeding import Seeds
from tests.ui.signing import Guarded, guarded, signed_in
from tests.ui.stories import the_invoice
from tests.ui.test_live import listening, upcoming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECRET = b"one secret for every inbox of this test"
APPROVE = ("verdict", "approve")


@pytest.fixture
async def inbox(tmp_path: Path, clock: MovedClock) -> AsyncIterator[Guarded]:
    async with guarded(tmp_path, clock, secret=SECRET) as inbox:
        yield inbox


@pytest.fixture
async def http(inbox: Guarded) -> AsyncIterator[httpx.AsyncClient]:
    async with inbox.site.http() as http:
        yield http


async def test_a_person_signs_in_decides_under_the_tokens_name_and_signs_out(
    inbox: Guarded, http: httpx.AsyncClient
) -> None:
    asked = await the_invoice(Seeds(inbox.site.store))
    _, text = await inbox.token("approvals:read", "approvals:decide", "runs:read", name="Mia Sand")
    page = await signed_in(http, text, f"/approvals/{asked.id}")
    assert (page.status, page.path) == (200, f"/approvals/{asked.id}")
    assert "Mia Sand" in page.text
    assert text not in page.html
    decision = [(name, value) for name, value in page.fields if name != "csrf" or value]
    fields = re.search(r'<form id="decision".*?</form>', page.html, re.DOTALL)
    assert fields
    csrf = re.findall(r'name="csrf" value="(\w+)"', page.html)[0]
    assert decision
    answered = await Browsing(http).post(
        f"/approvals/{asked.id}/decisions", [("csrf", csrf), ("decision_id", "dec_1"), ("version", "1"), APPROVE]
    )
    assert answered.status == 200, answered.text
    decided = await inbox.site.client.approval(asked.id)
    assert (decided.decided_by, decided.channel) == ("Mia Sand", "web")
    out = await Browsing(http).post("/sign-out", [("csrf", csrf)])
    assert out.path == "/sign-in"
    assert (await Browsing(http).open("/runs")).path == "/sign-in"


async def test_who_may_only_read_is_offered_nothing_else(inbox: Guarded, http: httpx.AsyncClient) -> None:
    seeds = Seeds(inbox.site.store)
    asked = await the_invoice(seeds)
    _, text = await inbox.token("approvals:read", "runs:read", "queues:read")
    page = await signed_in(http, text, f"/approvals/{asked.id}")
    assert "approvals:decide" in page.text
    assert not re.search(r'name="verdict"|id="always"|name="action"', page.html)
    for gone in ("/tokens", "/costs", "/schedules", "/webhooks"):
        assert f'href="{gone}"' not in page.html
    run = (await Browsing(http).open(f"/runs/{asked.run_id}")).html
    assert "head-buttons" in run
    assert f"/runs/{asked.run_id}/cancel" not in run
    assert 'action="/queues' not in (await Browsing(http).open("/queues/default")).html
    refused = await Browsing(http).open(f"/runs/{asked.run_id}/cancel")
    assert refused.status == 403
    assert "lacks the scope runs:write" in refused.text
    assert refused.response.headers["content-type"].startswith("text/html")


async def test_the_first_page_is_one_the_person_may_read(inbox: Guarded, http: httpx.AsyncClient) -> None:
    _, text = await inbox.token("costs:read")
    assert (await signed_in(http, text, "/")).path == "/costs"


# -- the cookie


async def sign_in(http: httpx.AsyncClient, text: str) -> httpx.Response:
    """The answer to the form, with its cookies, not followed."""
    page = await Browsing(http).open("/sign-in")
    fields = {**dict(page.fields), "token": text}
    return await http.post("/sign-in", data=fields)


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(inbox: Guarded, http: httpx.AsyncClient) -> None:
    _, text = await inbox.token()
    header = (await sign_in(http, text)).headers["set-cookie"]
    name, _, value = header.partition("=")
    parts = {part.strip().lower() for part in header.split(";")[1:]}
    assert name == COOKIE
    assert {"httponly", "samesite=lax", "path=/", "max-age=604800"} <= parts
    assert "secure" not in parts
    assert text not in value


async def test_over_https_it_is_secure_and_of_this_host_alone(inbox: Guarded) -> None:
    _, text = await inbox.token()
    app = create_app(inbox.site.client, secret=SECRET)
    headers = {"accept": "text/html"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="https://localhost", headers=headers
    ) as http:
        header = (await sign_in(http, text)).headers["set-cookie"]
        assert header.startswith(f"__Host-{COOKIE}=")
        assert {"secure", "httponly", "samesite=lax", "path=/"} <= {one.strip().lower() for one in header.split(";")}
        assert "domain" not in header.lower()
        assert (await http.get("/runs")).status_code == 200
        cookie = http.cookies[f"__Host-{COOKIE}"]
        http.cookies.clear()
        http.cookies.set(COOKIE, cookie)
        assert (await http.get("/runs")).status_code == 303, "a name that a neighbour may have set is no session"


async def test_signing_in_gives_a_new_id_and_the_one_before_stands_for_nobody(
    inbox: Guarded, http: httpx.AsyncClient
) -> None:
    _, text = await inbox.token()
    await Browsing(http).open("/sign-in")
    planted = http.cookies[COOKIE]
    await sign_in(http, text)
    assert http.cookies[COOKIE] != planted
    async with inbox.site.http(cookies={COOKIE: planted}) as thief:
        assert (await thief.get("/runs")).status_code == 303
    first = http.cookies[COOKIE]
    async with inbox.site.http() as again:
        again.cookies.set(COOKIE, first)
        fields = {**dict((await Browsing(http).open("/tokens")).fields)}
        response = await again.post("/sign-in", data={"csrf": fields["csrf"], "token": text, "next": "/"})
        assert response.status_code == 303
        assert first not in response.headers["set-cookie"]
    assert (await http.get("/runs")).status_code == 303, "whoever signs in anew has left the session before"


async def test_signing_out_ends_the_session_everywhere_and_has_the_browser_forget(
    inbox: Guarded, http: httpx.AsyncClient
) -> None:
    _, text = await inbox.token()
    await sign_in(http, text)
    copied = http.cookies[COOKIE]
    page = await Browsing(http).open("/runs")
    out = await http.post("/sign-out", data={"csrf": dict(page.fields)["csrf"]})
    assert out.headers["clear-site-data"] == '"cache", "cookies", "storage"'
    assert f"{COOKIE}=" in out.headers["set-cookie"]
    assert "max-age=0" in out.headers["set-cookie"].lower()
    async with inbox.site.http(cookies={COOKIE: copied}) as thief:
        assert (await thief.get("/runs")).status_code == 303


async def test_signing_out_takes_a_form_of_this_session(inbox: Guarded, http: httpx.AsyncClient) -> None:
    _, text = await inbox.token()
    await sign_in(http, text)
    for fields in ({}, {"csrf": "0" * 64}):
        assert (await http.post("/sign-out", data={"x": "", **fields})).status_code == 403
    assert (await http.get("/runs")).status_code == 200
    assert (await http.get("/sign-out")).status_code == 405


@pytest.mark.parametrize("case", ["idle", "old", "revoked", "expired"])
async def test_a_session_ends_by_itself(inbox: Guarded, http: httpx.AsyncClient, case: str) -> None:
    token, text = await inbox.token(expires_in="1h" if case == "expired" else None)
    await sign_in(http, text)
    if case == "revoked":
        await inbox.site.client.tokens.revoke(token.id, by="root")
    for hours in {"idle": [12], "old": [11] * 16, "expired": [1]}.get(case, []):
        assert (await http.get("/runs")).status_code == 200
        inbox.clock.advance(hours=hours)
    assert (await http.get("/runs")).status_code == 303
    fragment = await http.get("/runs?fragment=rows")
    assert fragment.status_code == 401, "a script does not put the sign-in page in the place of a list"
    program = await http.get("/api/v1/runs", headers={"accept": "*/*"})
    assert program.status_code == 401
    assert program.json()["type"] == "urn:agentflow:problem:not-signed-in"


async def test_a_form_sent_after_the_session_has_ended_says_so_and_the_way_back(
    inbox: Guarded, http: httpx.AsyncClient
) -> None:
    asked = await the_invoice(Seeds(inbox.site.store))
    _, text = await inbox.token()
    page = await signed_in(http, text, f"/approvals/{asked.id}")
    inbox.clock.advance(hours=12)
    late = await Browsing(http).post(f"/approvals/{asked.id}/decisions", [*page.fields, APPROVE])
    assert late.status == 401
    assert "Nothing was changed" in late.text
    assert f'href="/sign-in?next=%2Fapprovals%2F{asked.id}"' in late.html
    assert (await inbox.site.client.approval(asked.id)).is_pending


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        ".",
        "x.y",
        "a" * 5000,
        new_session(b"another inbox's secret, of which nobody here has heard"),
        new_session(SECRET),  # signed, and nobody signed in with it
        new_session(SECRET).replace(".", ".0", 1),
    ],
)
async def test_no_other_cookie_is_a_session(inbox: Guarded, cookie: str) -> None:
    await inbox.token()
    async with inbox.site.http(headers={"cookie": f"{COOKIE}={cookie}"}) as http:
        assert (await http.get("/runs")).status_code == 303


# -- a browser's session and the API


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 201),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://evil.test", "sec-fetch-site": ""}, 403),
        ({"origin": "null", "sec-fetch-site": ""}, 403),
    ],
)
async def test_with_a_cookie_the_api_takes_what_its_own_pages_ask_only(
    inbox: Guarded, http: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    _, text = await inbox.token("events:send", name="mia")
    await sign_in(http, text)
    given = {"accept": "*/*", **headers}
    response = await http.post("/api/v1/events", json={"name": "paid"}, headers=given)
    assert response.status_code == status, response.text
    sent = await inbox.site.client.events()
    assert [one.sent_by for one in sent] == (["mia"] if status == 201 else [])


# -- guessing


async def test_whoever_guesses_has_to_wait_and_is_told_nothing(inbox: Guarded, http: httpx.AsyncClient) -> None:
    token, text = await inbox.token()
    revoked, gone = await inbox.token()
    await inbox.site.client.tokens.revoke(revoked.id, by="root")
    known = f"{text.rpartition('_')[0]}_{'x' * 43}"
    answers = set()
    for wrong in [gone, known, "", "x", "af_none_none", text[:-1], "é", "a" * 200, gone, known][:MOST]:
        refused = await sign_in(http, wrong)
        assert refused.status_code == 401
        assert "set-cookie" not in refused.headers
        answers.add(re.sub(r"\w{64}|data-now=\S+", "", refused.text))
    assert len(answers) == 1, "each wrong token gets the same answer"
    assert gone not in answers.pop()
    waiting = await sign_in(http, text)
    assert waiting.status_code == 429
    assert 0 < int(waiting.headers["retry-after"]) <= 301
    assert "Too many attempts" in waiting.text
    inbox.clock.advance(minutes=5)
    assert (await sign_in(http, text)).status_code == 303
    assert (await inbox.site.client.tokens.check(text)) is not None
    assert token.last_used_at is None


def test_attempts_are_counted_by_address_and_forgotten_in_time() -> None:
    attempts, clock = Attempts(), MovedClock()
    for _ in range(MOST):
        assert attempts.wait("192.0.2.1", clock.now()) is None
        attempts.has_failed("192.0.2.1", clock.now())
        attempts.has_failed("2001:db8::1", clock.now())
    assert attempts.wait("192.0.2.1", clock.now()) is not None
    assert attempts.wait("192.0.2.2", clock.now()) is None
    assert attempts.wait("2001:db8::ffff", clock.now()) is not None, "one customer has all of these"
    assert attempts.wait("2001:db8:0:1::1", clock.now()) is None
    clock.advance(seconds=WITHIN.total_seconds())
    assert attempts.wait("192.0.2.1", clock.now()) is None


def test_many_addresses_take_no_more_than_so_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("approvals_ui.attempts.MOST_ADDRESSES", 100)
    attempts, clock = Attempts(), MovedClock()
    for number in range(300):
        attempts.has_failed(f"10.0.{number // 256}.{number % 256}", clock.now())
    assert len(attempts._failed) == 100


# -- where one is sent afterwards


@pytest.mark.parametrize(
    ("wanted", "address"),
    [
        ("/runs", "/runs"),
        ("/runs?q=x&status=failed", "/runs?q=x&status=failed"),
        ("/approvals/apr_1#errors", "/approvals/apr_1#errors"),
        ("", "/"),
        ("runs", "/"),
        ("//evil.test", "/"),
        ("///evil.test", "/"),
        ("/\\evil.test", "/"),
        ("/\t/evil.test", "/"),
        ("/\n/evil.test", "/"),
        ("\\\\evil.test", "/"),
        ("https://evil.test/runs", "/"),
        ("https:evil.test", "/"),
        ("javascript:alert(1)", "/"),
        ("/%0d%0aset-cookie:x=1", "/%0d%0aset-cookie:x=1"),
        ("/\r\nset-cookie: x=1", "/"),
        (" /runs", "/"),
        ("/runs\u2028", "/"),
        ("/.//evil.test", "/"),
        ("/..//evil.test", "/"),
        ("/sign-in?next=/sign-in", "/"),
        ("/sign-out", "/"),
        ("/" + "x" * 3000, "/"),
        ("http://[::1", "/"),
    ],
)
async def test_nobody_is_sent_to_another_site(
    inbox: Guarded, http: httpx.AsyncClient, wanted: str, address: str
) -> None:
    assert own_address(wanted) == address
    _, text = await inbox.token()
    page = await http.get("/sign-in", params={"next": wanted})
    fields: dict[str, Any] = dict(re.findall(r'name="(csrf|next)" value="([^"]*)"', page.text))
    assert fields["next"].replace("&amp;", "&") == address
    answered = await http.post("/sign-in", data={"csrf": fields["csrf"], "token": text, "next": wanted})
    assert answered.headers["location"] == address


# -- live streams


async def test_a_live_stream_ends_when_its_reader_may_read_no_more(
    inbox: Guarded, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "ASK_SECONDS", 0)
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.02)
    seeds = Seeds(inbox.site.store)
    _, text = await inbox.token("runs:read", name="mia")
    await sign_in(http, text)
    async with listening(http, "/live") as events:
        await seeds.finished()
        assert (await upcoming(events))["event"] == "moved"
        await inbox.site.client.tokens.revoke("mia", by="root")
        async with asyncio.timeout(60):
            rest = [event["event"] async for event in events]
    assert rest[-1] == "signed-out"
    assert (await http.get("/live")).status_code == 401


async def test_a_programs_stream_ends_too(
    inbox: Guarded, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "ASK_SECONDS", 0)
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.02)
    headers = await inbox.bearer("approvals:read", name="ci")
    async with listening(http, "/live", **headers) as events:
        inbox.clock.advance(hours=1000)
        await the_invoice(Seeds(inbox.site.store))
        assert (await upcoming(events))["event"] == "moved"
        await inbox.site.client.tokens.revoke("ci", by="root")
        async with asyncio.timeout(60):
            assert [event["event"] async for event in events][-1] == "signed-out"
