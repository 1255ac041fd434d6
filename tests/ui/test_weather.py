"""The inbox while its database is away, and when nobody knows whether it stored something."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.client import Client
from agentflow.store import open_store
from agentflow.tasks.catalog import Catalog
from tests.support.clusters import Cluster
from tests.support.proxy import Act, Proxy
from tests.support.server import Served, served
from tests.support.wire import Statement
from tests.ui.conftest import Browsing
from tests.ui.seeding import Seeds
from tests.ui.stories import the_invoice

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from agentflow.records import Approval

APPROVE = ("verdict", "approve")


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with Cluster() as cluster:
        cluster.run_sql("CREATE DATABASE inbox")
        yield cluster


@pytest.fixture
def proxy(server: Cluster) -> Iterator[Proxy]:
    with Proxy(server.host, server.port) as proxy:
        yield proxy


@pytest.fixture
async def site(proxy: Proxy, tmp_path: Path) -> AsyncIterator[Served]:
    """An inbox whose way to its database is the proxy."""
    store = await open_store(proxy.url("inbox"))
    async with served(tmp_path, client=Client(store, Catalog.collect()), reviewer="mia") as site:
        yield site
    await store.close()


@pytest.fixture
async def asked(site: Served) -> Approval:
    return await the_invoice(Seeds(site.store))


def decides(statement: Statement) -> bool:
    return statement.commits and "INSERT INTO agentflow_decision" in statement.texts


async def again(what: Any, until: Any) -> Any:
    """What `what` gives once `until` is so."""
    async with asyncio.timeout(60):
        while not until(found := await what()):  # noqa: ASYNC110  it is another thread that changes it
            await asyncio.sleep(0.05)
        return found


def problem(response: httpx.Response) -> Any:
    assert response.headers["content-type"] == "application/problem+json"
    return response.json()


async def test_a_page_says_that_the_database_is_away_and_comes_back_by_itself(
    site: Served, mia: Browsing, proxy: Proxy
) -> None:
    proxy.cut()
    away = await mia.open("/inbox")
    assert away.status == 503
    assert "The database cannot be asked just now" in away.text
    assert "127.0.0.1" not in away.text
    assert away.response.headers["refresh"] == "5"
    assert away.response.headers["retry-after"] == "1"

    proxy.accept()

    assert (await again(lambda: mia.open("/inbox"), lambda page: page.status != 503)).status == 200


async def test_the_api_says_so_in_a_problem_document_and_stores_nothing(
    site: Served, asked: Approval, proxy: Proxy
) -> None:
    decision = {"verdict": "approve", "decision_id": "dec-away"}
    proxy.cut()
    async with site.http(headers={"accept": "application/json"}) as http:
        for response in (
            await http.get("/api/v1/runs"),
            await http.post(f"/api/v1/approvals/{asked.id}/decisions", json=decision),
            await http.post("/api/v1/events", json={"name": "paid", "payload": {}}),
        ):
            assert response.status_code == 503
            assert response.headers["retry-after"] == "1"
            said = problem(response)
            assert (said["type"], said["may_be_stored"]) == ("urn:agentflow:problem:store-unavailable", False)
        assert (await http.get("/health")).status_code == 200
        assert (await http.get("/ready")).status_code == 503
        proxy.accept()
        await again(lambda: http.get("/ready"), lambda response: response.status_code == 200)
    assert (await site.client.approval(asked.id)).is_pending


async def test_what_a_person_typed_is_kept_and_can_be_sent_again(
    site: Served, asked: Approval, mia: Browsing, proxy: Proxy
) -> None:
    form = await mia.open(f"/approvals/{asked.id}")
    proxy.cut()
    refused = await form.submit(("verdict", "reject"), comment='The total is "wrong"\r\n<by far>')
    assert refused.status == 503
    assert "What you typed is kept here." in refused.text

    proxy.accept()
    decided = await again(refused.submit, lambda page: page.status != 503)

    assert (decided.status, decided.path) == (200, f"/approvals/{asked.id}")
    approval = await site.client.approval(asked.id)
    assert (approval.status, approval.comment) == ("rejected", 'The total is "wrong"\n<by far>')


@pytest.mark.parametrize("act", [Act.SWALLOW, Act.DISOWN])
async def test_a_form_whose_commit_was_not_answered_shows_what_became_of_it(
    act: Act, site: Served, asked: Approval, mia: Browsing, proxy: Proxy
) -> None:
    form = await mia.open(f"/approvals/{asked.id}")
    rule = proxy.strike(decides, act, "08006")

    shown = await form.submit(APPROVE)
    while shown.status in (503, 504):
        shown = await shown.submit()

    assert rule.struck
    assert (shown.status, shown.path) == (200, f"/approvals/{asked.id}")
    assert "Approved" in shown.text
    assert (await site.client.approval(asked.id)).decided_by == "mia"


async def test_a_form_whose_commit_never_reached_the_database_is_shown_again(
    site: Served, asked: Approval, mia: Browsing, proxy: Proxy
) -> None:
    form = await mia.open(f"/approvals/{asked.id}")
    proxy.strike(decides, Act.RESET)

    shown = await form.submit(APPROVE, comment="fine by me")

    assert shown.status == 503
    assert "has not recorded it. Send it again: it counts once." in shown.text
    assert ("comment", "fine by me") in shown.fields
    decided = await shown.submit(APPROVE)
    assert decided.status == 200
    assert (await site.client.approval(asked.id)).comment == "fine by me"


async def test_the_api_says_that_it_does_not_know_and_takes_the_same_request_again(
    site: Served, asked: Approval, proxy: Proxy
) -> None:
    decision = {"verdict": "approve", "decision_id": f"dec-{asked.id}"}
    rule = proxy.strike(decides, Act.SWALLOW)
    async with site.http(headers={"accept": "application/json"}) as http:
        unknown = await http.post(f"/api/v1/approvals/{asked.id}/decisions", json=decision)
        assert unknown.status_code == 504
        said = problem(unknown)
        assert (said["type"], said["may_be_stored"]) == ("urn:agentflow:problem:outcome-unknown", True)
        assert "retry-after" not in unknown.headers

        known = await http.post(f"/api/v1/approvals/{asked.id}/decisions", json=decision)

    assert rule.struck
    assert known.status_code == 200
    assert known.json()["repeated"]


async def test_a_stream_says_when_the_database_went_away_and_when_it_is_back(site: Served, proxy: Proxy) -> None:
    async with site.http() as http, http.stream("GET", "/live?after=0") as response:
        lines = response.aiter_lines()

        async def heard(word: str) -> None:
            async with asyncio.timeout(60):
                async for line in lines:
                    if line == f"event: {word}":
                        return
            raise AssertionError(f"the stream ended before {word!r}")

        proxy.cut()
        with suppress(Exception):  # what wakes the stream is any commit; none gets through
            await site.client.trigger("nothing")
        await heard("away")
        proxy.accept()
        await heard("back")
        await the_invoice(Seeds(site.store))
        await heard("moved")


async def test_a_database_that_takes_no_writes_can_be_read(
    site: Served, asked: Approval, mia: Browsing, server: Cluster
) -> None:
    sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'inbox'"
    form = await mia.open(f"/approvals/{asked.id}")
    server.run_sql("ALTER DATABASE inbox SET default_transaction_read_only = on")
    server.run_sql(sessions)
    try:
        page = await again(lambda: mia.open("/inbox"), lambda page: page.status == 200)
        assert asked.title in page.text
        assert (await again(lambda: form.submit(APPROVE), lambda page: page.status != 504)).status == 503
    finally:
        server.run_sql("ALTER DATABASE inbox RESET default_transaction_read_only")
        server.run_sql(sessions)
    await again(lambda: form.submit(APPROVE), lambda page: page.status == 200)
    assert (await site.client.approval(asked.id)).status == "approved"
