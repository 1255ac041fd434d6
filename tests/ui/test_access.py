"""Every route says what it needs, and lets nobody through who has not got it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from litestar import Litestar, get

from agentflow.access import SCOPES, digest_of, is_same
from agentflow.client import Client
from approvals_ui import create_app
from approvals_ui.access import OPEN, SIGNED_IN, require_scope
from approvals_ui.problems import answer
from tests.support.server import running
from tests.ui.seeding import Seeds
from tests.ui.signing import Guarded, asked_of, guarded
from tests.ui.stories import the_invoice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.ui.conftest import MovedClock

OPEN_PATHS = {
    "/sign-in",
    "/sign-out",
    "/health",
    "/health/live",
    "/health/ready",
    "/ready",
    "/hooks/{path:path}",
    "/api/v1/callbacks/{token:str}/complete",
    "/api/v1/callbacks/{token:str}/fail",
    "/api/v1/callbacks/{token:str}/heartbeat",
    "/schema",
    "/schema/openapi.json",
    "/schema-assets/{file_path:path}",
    "/static/{file_path:path}",
}
"""What needs no token: it tells nothing of runs, or has another proof."""


@pytest.fixture
async def inbox(tmp_path: Path, clock: MovedClock) -> AsyncIterator[Guarded]:
    async with guarded(tmp_path, clock) as inbox:
        yield inbox


@pytest.fixture
async def program(inbox: Guarded) -> AsyncIterator[httpx.AsyncClient]:
    """Sends what it is told to, and nothing a browser would."""
    async with httpx.AsyncClient(base_url=inbox.site.url, timeout=60) as http:
        yield http


def test_every_route_has_a_scope_there_is_or_is_named_as_open(inbox: Guarded) -> None:
    asked = list(asked_of(inbox.site.app))
    assert len(asked) > 60
    without = [one for one in asked if not set(one.scopes) <= {OPEN, SIGNED_IN, *SCOPES}]
    assert not without, "these let nobody through: give them `opt=needs(...)`"
    assert {one.template for one in asked if one.wanted == OPEN} == OPEN_PATHS
    assert {one.template for one in asked if one.wanted == SIGNED_IN} <= {"/", "/api/v1/whoami"}
    assert {scope for one in asked for scope in one.scopes} >= set(SCOPES)


def test_what_changes_something_needs_more_than_a_scope_for_reading(inbox: Guarded) -> None:
    harmless = {"/approvals/{approval_id:str}/preview", "/api/v1/standing/backtest"}
    for one in asked_of(inbox.site.app):
        if one.method not in ("GET", "HEAD") and one.wanted != OPEN and one.template not in harmless:
            assert not any(scope.endswith(":read") for scope in one.scopes), one


@pytest.mark.parametrize("case", ["no token", "unknown", "revoked", "expired"])
async def test_nobody_gets_anything_without_a_token_that_holds(
    inbox: Guarded, program: httpx.AsyncClient, case: str
) -> None:
    token, text = await inbox.token(expires_in="1h")
    if case == "revoked":
        await inbox.site.client.tokens.revoke(token.id, by="root")
    if case == "expired":
        inbox.clock.advance(hours=1)
    sent = {"no token": {}, "unknown": {"authorization": f"Bearer {text}x"}}
    headers = sent.get(case, {"authorization": f"Bearer {text}"})
    for one in asked_of(inbox.site.app):
        status, response = await one.sent(program, headers)
        if one.wanted == OPEN:
            assert status != 401 or "/hooks/" in one.path, one
            continue
        assert status == 401, one
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["type"] == "urn:agentflow:problem:not-signed-in"
        error = "" if case == "no token" else ', error="invalid_token"'
        assert response.headers["www-authenticate"] == f'Bearer realm="agentflow"{error}'


async def test_a_token_without_the_scope_is_told_which_it_lacks(inbox: Guarded, program: httpx.AsyncClient) -> None:
    headers: dict[str, dict[str, str]] = {}
    for one in asked_of(inbox.site.app):
        if one.wanted in (OPEN, SIGNED_IN):
            continue
        names = " ".join(one.scopes)
        headers[names] = headers.get(names) or await inbox.bearer(*one.others)
        status, response = await one.sent(program, headers[names])
        assert status == 403, one
        assert response.json()["scope"] == names
        assert response.headers["www-authenticate"].endswith(f'error="insufficient_scope", scope="{names}"')


async def test_a_token_with_nothing_but_the_scope_is_let_through(inbox: Guarded, program: httpx.AsyncClient) -> None:
    headers: dict[str, dict[str, str]] = {}
    for one in asked_of(inbox.site.app):
        if one.wanted == OPEN:
            continue
        wanted = "costs:read" if one.wanted == SIGNED_IN else one.scopes[-1]
        headers[wanted] = headers.get(wanted) or await inbox.bearer(wanted)
        status, _ = await one.sent(program, headers[wanted])
        assert status not in (401, 403, 500), (one, status)


async def test_with_one_token_for_everything_nothing_is_refused(inbox: Guarded, program: httpx.AsyncClient) -> None:
    headers = await inbox.bearer("*")
    for one in asked_of(inbox.site.app):
        if one.wanted == OPEN:
            continue
        status, _ = await one.sent(program, headers)
        assert status not in (403, 500), (one, status)


async def test_head_and_options_tell_nothing_and_do_nothing(inbox: Guarded, program: httpx.AsyncClient) -> None:
    before = await inbox.site.client.runs()
    for one in asked_of(inbox.site.app):
        options = await program.options(one.path)
        assert options.status_code == 204, one
        assert options.content == b""
        head = await program.head(one.path)
        assert head.content == b""
        assert head.status_code in ({200, 404} if one.wanted == OPEN else set()) | {401, 405}, one
    assert await inbox.site.client.runs() == before


def test_a_route_that_says_nothing_lets_nobody_through() -> None:
    @get("/forgotten")
    async def forgotten() -> str:
        return "secret"

    app = create_app(Client(None))  # type: ignore[arg-type]
    assert require_scope in app.guards
    app.register(forgotten)
    handler = next(
        one
        for route in app.routes
        if route.path == "/forgotten"
        for one in route.route_handlers
        if one.fn is forgotten.fn
    )
    assert handler.resolve_guards(), "what is added later is guarded too"
    assert handler.opt.get("scope") is None


@pytest.mark.parametrize("scopes", [("*",), ("runs:read",)])
async def test_not_even_a_token_for_everything_opens_a_route_that_says_nothing(
    inbox: Guarded, scopes: tuple[str, ...]
) -> None:
    @get("/forgotten")
    async def forgotten() -> str:
        return "secret"

    inbox.site.app.register(forgotten)
    async with httpx.AsyncClient(base_url=inbox.site.url) as http:
        response = await http.get("/forgotten", headers=await inbox.bearer(*scopes))
    assert response.status_code == 403
    assert "secret" not in response.text


# -- how a token is sent


@pytest.mark.parametrize(
    "sent",
    [
        ["Basic bWlhOnNlY3JldA=="],
        ["basic {token}"],
        ["{token}"],
        ["Token {token}"],
        ["Bearer"],
        ["Bearer {token}", "Bearer {token}"],
        ["Basic bWlhOnNlY3JldA==", "Bearer {token}"],
        ["Bearer {token}, Bearer {token}"],
        ["Bearer {token} x"],
    ],
)
async def test_a_token_is_taken_in_one_form_only(inbox: Guarded, program: httpx.AsyncClient, sent: list[str]) -> None:
    _, text = await inbox.token()
    headers = [("authorization", line.format(token=text)) for line in sent]
    assert (await program.get("/api/v1/runs", headers=headers)).status_code == 401


async def test_the_schemes_name_may_be_written_in_any_case(inbox: Guarded, program: httpx.AsyncClient) -> None:
    _, text = await inbox.token()
    for scheme in ("Bearer", "bearer", "BEARER"):
        answered = await program.get("/api/v1/runs", headers={"authorization": f"{scheme} {text}"})
        assert answered.status_code == 200


async def test_a_token_in_the_address_a_cookie_or_a_form_is_none(inbox: Guarded, program: httpx.AsyncClient) -> None:
    _, text = await inbox.token()
    for address in (f"/api/v1/runs?access_token={text}", f"/api/v1/runs?token={text}"):
        assert (await program.get(address)).status_code == 401
    program.cookies.set("agentflow_session", text)
    assert (await program.get("/api/v1/runs")).status_code == 401


async def test_a_program_needs_no_browsers_word_for_where_it_comes_from(
    inbox: Guarded, program: httpx.AsyncClient
) -> None:
    asked = await the_invoice(Seeds(inbox.site.store))
    headers = await inbox.bearer("approvals:decide", name="ci") | {"origin": "https://ci.test"}
    path = f"/api/v1/approvals/{asked.id}/decisions"
    decided = await program.post(path, json={"verdict": "reject", "comment": "no"}, headers=headers)
    assert decided.status_code == 201, decided.text
    assert (await inbox.site.client.approval(asked.id)).decided_by == "ci"


async def test_what_does_not_exist_is_told_only_to_who_might_read_it(
    inbox: Guarded, program: httpx.AsyncClient
) -> None:
    asked = await the_invoice(Seeds(inbox.site.store))
    other = await inbox.bearer("costs:read")
    for path in ("/api/v1/approvals/{}", "/approvals/{}"):
        there = await program.get(path.format(asked.id), headers=other)
        nowhere = await program.get(path.format("apr_none"), headers=other)
        assert there.status_code == nowhere.status_code == 403
        assert there.text == nowhere.text
    assert (
        await program.get("/api/v1/approvals/apr_none", headers=await inbox.bearer("approvals:read"))
    ).status_code == 404


# -- what is compared, and how


def test_a_digest_is_compared_in_constant_time_and_with_nothing_too(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def watched(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("agentflow.access.hmac.compare_digest", watched)
    assert is_same("af_1_x", digest_of("af_1_x"))
    assert not is_same("af_1_y", digest_of("af_1_x"))
    assert not is_same("", None)
    assert not is_same("af_1_x", None)
    assert len(compared) == 4
    assert all(len(one) == len(other) == 64 for one, other in compared)


# -- --dev


async def test_dev_lets_this_machine_in_and_no_other(tmp_path: Path, clock: MovedClock) -> None:
    async with guarded(tmp_path, clock) as inbox:
        app = create_app(inbox.site.client, dev=True, reviewer="mia")
        for peer, status in (("127.0.0.1", 200), ("::1", 200), ("192.0.2.7", 403), ("2001:db8::1", 403)):
            transport = httpx.ASGITransport(app=app, client=(peer, 4711))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
                assert (await http.get("/api/v1/runs")).status_code == status, peer


async def test_without_dev_an_app_lets_nobody_in(inbox: Guarded) -> None:
    async with running(create_app(inbox.site.client)) as url, httpx.AsyncClient() as http:
        assert (await http.get(f"{url}/api/v1/runs")).status_code == 401
        page = await http.get(f"{url}/runs?q=x&status=failed", headers={"accept": "text/html"})
        assert page.status_code == 303
        assert page.headers["location"] == "/sign-in?next=%2Fruns%3Fq%3Dx%26status%3Dfailed"


def test_the_guard_is_the_apps_own() -> None:
    """A guard on a router alone would leave out what is added beside it."""
    app: Any = create_app(Client(None))  # type: ignore[arg-type]
    assert app.guards == [require_scope]
    assert isinstance(app, Litestar)
    assert app.exception_handlers[Exception] is answer
