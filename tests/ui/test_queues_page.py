"""Queues in the browser and by the API: what stands in them, stopping and starting them, their limits."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from agentflow import Queue, task
from agentflow.limits import Budget, Limits, Rate
from agentflow.requests import DeclareQueue, TriggerRun
from tests.support.server import served

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.support.server import Served
    from tests.ui.conftest import Browsing, MovedClock

DECLARED = Limits(concurrency=20, rate=Rate(100, timedelta(minutes=1)), budget=Budget("tokens", "90000/min"))


@pytest.fixture(autouse=True)
async def _queues(site: Served) -> None:
    await site.store.declare_queues([DeclareQueue(name="llm", limits=DECLARED)])
    made = [TriggerRun(task="t", version="1", input="{}", queue="llm") for _ in range(3)]
    await site.store.trigger_many(
        [*made, TriggerRun(task="t", version="1", input="{}", queue="llm", delay=timedelta(hours=1))]
    )


async def test_every_queue_is_shown_with_its_limits_and_what_stands_in_it(mia: Browsing) -> None:
    page = await mia.open("/queues")

    for shown in ("default", "llm", "Served", "0 of 20", "20 at a time · 100 per 1m", "as declared"):
        assert shown in page.text, shown
    assert "90,000 per 1m of budget &#39;tokens&#39;" in page.html
    assert '<td class="num" data-word="due">3</td><td class="num" data-word="delayed">1</td>' in page.html
    assert (await mia.open("/inbox")).html.count('href="/queues"') == 1


async def test_a_queue_is_paused_and_resumed_with_a_reason(site: Served, mia: Browsing, clock: MovedClock) -> None:
    await site.client.pause_queue("llm", by="tom", reason="<b>outage</b>")

    page = await mia.open("/queues/llm")
    assert "Paused" in page.text
    assert "<b>outage</b>" not in page.html
    assert "&lt;b&gt;outage" in page.html
    resumed = await mia.post("/queues/llm/resume", [page.fields[0], ("reason", "over")])

    assert (resumed.path, resumed.status) == ("/queues/llm", 200)
    assert "Served" in resumed.text
    (state,) = [one for one in await site.client.queues() if one.name == "llm"]
    assert (state.paused_at, state.changed_by, state.reason) == (None, "mia", "over")
    assert all(said in resumed.text for said in ("paused", "resumed", "tom", "mia", "over"))


async def test_limits_are_edited_where_they_are_shown(site: Served, mia: Browsing) -> None:
    page = await mia.open("/queues/llm")
    assert dict(page.fields) | {"concurrency": "20", "rate": "100/1m", "budget": "tokens"} == dict(page.fields)

    after = await page.submit(concurrency="5", per_key="2", rate="", reason="slow day")

    assert after.path == "/queues/llm"
    (state,) = [one for one in await site.client.queues() if one.name == "llm"]
    assert state.limits == Limits(concurrency=5, per_key=2, budget=Budget("tokens", "90000/min"))
    assert (state.changed_by, state.reason, state.declared) == ("mia", "slow day", DECLARED)
    assert "Declared in code 20 at a time" in after.text
    assert "limits changed: 5 at a time, 2 of a key" in after.text


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("concurrency", "0", "concurrency is 0: wanted a whole number, 1 or more"),
        ("per_key", "many", "per key is &#39;many&#39;"),
        ("backlog", "-5", "backlog is &#39;-5&#39;"),
        ("rate", "100", "write &#34;100/min&#34;"),
        ("budget", "", "is no name of a budget"),
        ("budget_rate", "x/s", "for a rate"),
    ],
)
async def test_a_limit_that_cannot_be_comes_back_with_what_is_wrong(
    site: Served, mia: Browsing, field: str, typed: str, said: str
) -> None:
    page = await (await mia.open("/queues/llm")).submit(**{field: typed}, reason="typed")

    assert page.status == 422
    assert said in page.html
    assert dict(page.fields)[field] == typed
    assert await site.client.queue_changes("llm") == []


async def test_limits_are_reset_to_what_the_code_declares(site: Served, mia: Browsing) -> None:
    await site.client.set_queue_limits("llm", Limits(), by="tom")
    page = await mia.open("/queues/llm")
    assert 'action="/queues/llm/reset"' in page.html

    await mia.post("/queues/llm/reset", [page.fields[0], ("reason", "")])

    assert [one.limits for one in await site.client.queues() if one.name == "llm"] == [DECLARED]


async def test_the_default_queue_can_be_paused_and_has_no_limits_to_edit(site: Served, mia: Browsing) -> None:
    page = await mia.open("/queues/default")
    assert "/queues/default/limits" not in page.html

    await page.submit(reason="night")

    assert [one.paused_at is not None for one in await site.client.queues() if one.name == "default"] == [True]


async def test_a_queue_that_is_not_there_is_said_to_be_missing(mia: Browsing) -> None:
    assert (await mia.open("/queues/nothing")).status == 404


async def test_a_form_of_another_site_changes_nothing(site: Served, mia: Browsing) -> None:
    await mia.open("/queues/llm")

    assert (await mia.post("/queues/llm/pause", [("reason", "x")])).status == 403
    assert await site.client.queue_changes("llm") == []


@pytest.fixture
async def http(site: Served) -> httpx.AsyncClient:
    return site.http(headers={"accept": "application/json"})


@task(queue=Queue("small", backlog=1), queue_key="name")
async def take(name: str) -> str:
    return name


async def test_a_full_queue_asks_programs_to_come_again_later(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    async with served(tmp_path / "full", take, reviewer="mia") as site:
        await site.client.declare_queues()
        async with site.http(headers={"accept": "application/json"}) as http:
            http.headers.pop("sec-fetch-site")
            wanted = {"task": "take", "input": {"name": "acme"}, "priority": 3, "ttl": "1h"}
            made, refused = [await http.post("/api/v1/runs", json=wanted) for _ in range(2)]

    assert (made.status_code, made.json()["queue"], made.json()["queue_key"]) == (201, "small", "acme")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert "queue 'small' has 1 run lined up" in refused.json()["detail"]


async def test_programs_steer_queues_by_the_api(site: Served, http: httpx.AsyncClient) -> None:
    async with http:
        http.headers.pop("sec-fetch-site")
        _, llm = (await http.get("/api/v1/queues")).json()["items"]
        paused = await http.post("/api/v1/queues/llm/pause", json={"reason": "outage"})
        limited = await http.post("/api/v1/queues/llm/limits", json={"concurrency": 3, "rate": "5/s", "reason": "less"})
        resumed = await http.post("/api/v1/queues/llm/resume", json={})
        reset = await http.post("/api/v1/queues/llm/reset", json={"reason": "over"})
        refused = await http.post("/api/v1/queues/llm/limits", json={"concurrency": 0})
        missing = await http.post("/api/v1/queues/nothing/pause", json={})
        changes = (await http.get("/api/v1/queues/llm/changes")).json()["items"]

    assert (llm["due"], llm["delayed"], llm["running"]) == (3, 1, 0)
    assert llm["limits"]["budget"] == {"name": "tokens", "amount": 90000, "per": 60.0}
    assert (paused.status_code, paused.json()["reason"], paused.json()["changed_by"]) == (200, "outage", "mia")
    assert limited.json()["limits"]["rate"] == {"amount": 5, "per": 1.0}
    assert resumed.json()["paused_at"] is None
    assert reset.json()["limits"] == reset.json()["declared"] == llm["limits"]
    assert (refused.status_code, missing.status_code) == (422, 404)
    assert [one["reason"] for one in changes] == ["over", "", "less", "outage"]
