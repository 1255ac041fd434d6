"""What no request gets past, and what every response carries."""

from __future__ import annotations

import hashlib
import logging
import re
import sqlite3
from typing import TYPE_CHECKING

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from agentflow.client import Client
from agentflow.errors import StoreUnavailable
from approvals_ui import create_app
from approvals_ui.sessions import COOKIE, form_token, is_session, new_session, token_holds
from tests.support.server import running
from tests.ui.stories import an_ordinary_day, the_invoice

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    import httpx

    from tests.support.server import Served
    from tests.ui.conftest import Browsing
    from tests.ui.seeding import Seeds

APPROVE = ("verdict", "approve")
WANTED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}


def assert_protected(response: httpx.Response) -> None:
    assert {name: response.headers.get(name) for name in WANTED} == WANTED, response.url
    policy = response.headers["content-security-policy"]
    for part in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
        assert part in policy
    assert "unsafe" not in policy
    static = response.url.path.startswith(("/static/", "/schema-assets/"))
    assert response.headers["cache-control"] == ("no-cache" if static else "no-store")


ASKED = [
    ("GET", "/inbox", 200),
    ("GET", "/", 303),
    ("GET", "/static/app.js", 200),
    ("GET", "/schema", 200),
    ("GET", "/health", 200),
    ("GET", "/nothing", 404),
    ("GET", "/static/nothing", 404),
    ("GET", "/runs/run_none", 404),
    ("GET", "/inbox?cursor=nonsense", 400),
    ("GET", "/runs?status=nonsense", 400),
    ("DELETE", "/inbox", 405),
    ("POST", "/inbox", 405),
    ("POST", "/runs/run_none/cancel", 415),
    ("POST", "/api/v1/runs", 400),
    ("OPTIONS", "/inbox", 204),
    ("HEAD", "/inbox", 405),
]


@pytest.mark.parametrize(("method", "path", "status"), ASKED)
async def test_every_answer_carries_the_headers(site: Served, method: str, path: str, status: int) -> None:
    async with site.http() as http:
        response = await http.request(method, path)
    assert response.status_code == status
    assert_protected(response)


async def test_a_body_that_is_too_large_is_refused_with_the_headers(site: Served) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    async with site.http() as http:
        page = await http.post("/runs/run_none/cancel", content=b"a=" + b"x" * 9 * 1024 * 1024, headers=form)
        hook = await http.post("/hooks/none", content=b"x" * 2 * 1024 * 1024)
    assert page.status_code == 413
    assert_protected(page)
    assert hook.status_code in (404, 413)
    assert_protected(hook)


class Broken(Client):
    """A client whose store fails in a way nobody foresaw, or is away."""

    error: Exception = RuntimeError("SELECT secret FROM /var/lib/agentflow.db")

    async def runs(self, **_: object):
        raise self.error


async def test_an_unforeseen_error_tells_an_id_and_nothing_else(site: Served, caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(Broken(site.store), dev=True)
    async with running(app) as url, site.http() as http:
        with caplog.at_level(logging.ERROR, logger="approvals_ui"):
            page = await http.get(f"{url}/runs")
            document = await http.get(f"{url}/api/v1/runs")
    for response in (page, document):
        assert response.status_code == 500
        assert_protected(response)
        for leak in ("SELECT", "/var/lib", "Traceback", "RuntimeError"):
            assert leak not in response.text
    reference = document.json()["detail"].split()[-1].strip(".")
    assert reference in caplog.text
    assert "SELECT secret" in caplog.text


async def test_a_store_that_is_away_is_a_503_to_try_again(site: Served) -> None:
    client = Broken(site.store)
    client.error = StoreUnavailable("database is locked: /var/lib/agentflow.db")
    async with running(create_app(client, dev=True)) as url, site.http() as http:
        response = await http.get(f"{url}/runs")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert "/var/lib" not in response.text
    assert_protected(response)


# -- CSRF


async def test_a_form_without_a_token_or_with_anothers_token_changes_nothing(
    site: Served, seeds: Seeds, mia: Browsing, person: Callable[[], Awaitable[Browsing]]
) -> None:
    asked = await the_invoice(seeds)
    mine = await mia.open(f"/approvals/{asked.id}")
    tom = await person()
    theirs = await tom.open(f"/approvals/{asked.id}")
    path = f"/approvals/{asked.id}/decisions"
    without = [field for field in mine.fields if field[0] != "csrf"]
    foreign = dict(theirs.fields)["csrf"]
    for fields in (without, [*without, ("csrf", "")], [*without, ("csrf", foreign)], [*without, ("csrf", "é" * 64)]):
        refused = await mia.post(path, [*fields, APPROVE])
        assert refused.status == 403, refused.text
        assert "Nothing was changed" in refused.text
    mia.http.cookies.clear()
    assert (await mia.post(path, [*mine.fields, APPROVE])).status == 403
    assert (await site.client.approval(asked.id)).is_pending


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.test"},
        {"origin": "http://127.0.0.1:1", "sec-fetch-site": ""},
    ],
)
async def test_another_sites_page_cannot_send_our_form(
    site: Served, seeds: Seeds, mia: Browsing, headers: dict[str, str]
) -> None:
    asked = await the_invoice(seeds)
    page = await mia.open(f"/approvals/{asked.id}")
    refused = await mia.post(f"/approvals/{asked.id}/decisions", [*page.fields, APPROVE], **headers)
    assert refused.status == 403
    assert_protected(refused.response)
    assert (await site.client.approval(asked.id)).is_pending


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/json", ""])
async def test_forms_are_taken_in_one_content_type_only(seeds: Seeds, mia: Browsing, kind: str) -> None:
    asked = await the_invoice(seeds)
    await mia.open(f"/approvals/{asked.id}")
    response = await mia.http.post(f"/approvals/{asked.id}/decisions", content=b"x", headers={"content-type": kind})
    assert response.status_code == 415


def test_tokens_hold_for_their_session_and_secret_only() -> None:
    secret, other = b"a" * 32, b"b" * 32
    session = new_session(secret)
    token = form_token(secret, session)
    assert is_session(secret, session)
    assert token_holds(secret, session, token)
    assert not token_holds(secret, new_session(secret), token)
    assert not token_holds(other, session, token)
    assert not token_holds(secret, session + "x", form_token(secret, session + "x")), "an unsigned session is none"
    assert not token_holds(secret, None, token)
    assert not token_holds(secret, "", "")


async def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(mia: Browsing) -> None:
    header = (await mia.open("/inbox")).response.headers["set-cookie"]
    assert header.startswith(COOKIE)
    assert "HttpOnly" in header
    assert "SameSite=lax" in header


# -- the API without a token


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/json"}, 422),
        ({"content-type": "application/json", "sec-fetch-site": "same-origin", "origin": "null"}, 422),
        ({"content-type": "application/json", "origin": "https://evil.test"}, 403),
        ({"content-type": "application/json", "origin": "null"}, 403),
        ({"content-type": "application/json", "sec-fetch-site": "cross-site"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
    ],
)
async def test_a_foreign_page_cannot_use_the_api(
    site: Served, seeds: Seeds, headers: dict[str, str], status: int
) -> None:
    asked = await the_invoice(seeds)
    async with site.http(headers={"accept": "*/*"}) as http:
        http.headers.pop("sec-fetch-site")
        content = b'{"verdict": "approve", "data": 1}'
        response = await http.post(f"/api/v1/approvals/{asked.id}/decisions", content=content, headers=headers)
    assert response.status_code == status, response.text
    assert (await site.client.approval(asked.id)).is_pending


# -- DNS rebinding


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8321", 200),
        ("127.0.0.1", 200),
        ("[::1]:8321", 200),
        ("evil.test", 421),
        ("127.0.0.1.evil.test", 421),
        ("localhost.evil.test:8321", 421),
        ("", 421),
        ("[::", 421),
    ],
)
async def test_only_names_of_this_machine_are_answered(site: Served, host: str, status: int) -> None:
    async with site.http() as http:
        response = await http.get("/health", headers={"host": host})
    assert response.status_code == status
    assert_protected(response)


async def test_a_configured_name_is_answered(site: Served) -> None:
    async with running(create_app(site.client, dev=True, hosts=["Inbox.example.test"])) as url, site.http() as http:
        assert (await http.get(f"{url}/health", headers={"host": "inbox.example.test"})).status_code == 200
        assert (await http.get(f"{url}/health", headers={"host": "other.example.test"})).status_code == 421


# -- reading changes nothing


def digest_of(database: Path) -> str:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()


ENDLESS = {"/live", "/runs/{run_id:str}/tokens", "/api/v1/runs/{run_id:str}/events"}


def get_paths(app: Litestar, known: dict[str, str]) -> list[str]:
    paths = []
    for route in app.routes:
        if isinstance(route, HTTPRoute) and "GET" in route.methods and route.path not in ENDLESS:
            path = route.path_format
            for name, value in known.items():
                path = path.replace(f"{{{name}}}", value)
            paths.append(re.sub(r"\{\w+\}", "none", path))
    return paths


async def test_reading_every_address_twice_changes_nothing(site: Served, seeds: Seeds, tmp_path: Path) -> None:
    invoice = await an_ordinary_day(seeds)
    known = {"approval_id": invoice.id, "run_id": invoice.run_id, "file_path": "app.js", "path": "none"}
    known |= {"name": "default", "key": "none"}
    paths = get_paths(site.app, known)
    assert len(paths) >= 18
    extra = [f"/approvals/{invoice.id}/decisions", f"/approvals/{invoice.id}?verdict=approve", "/inbox?fragment=rows"]
    before = digest_of(tmp_path / "inbox.db")
    async with site.http() as http:
        for path in (paths + extra) * 2:
            for method in ("GET", "HEAD", "OPTIONS"):
                assert (await http.request(method, path)).status_code < 500
    assert digest_of(tmp_path / "inbox.db") == before
