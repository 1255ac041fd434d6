"""Events and callbacks over HTTP, as other systems use them, and how a run's page tells of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agentflow import create_callback, send_event, step, task, wait_for_event
from agentflow.payloads import LIMIT
from agentflow.testing import Harness
from approvals_ui import create_app
from tests.support.server import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TOKENS: list[str] = []


@step
async def hand_over(address: str) -> None:
    TOKENS.append(address.rpartition("/")[2])


@task
async def paying(order: str) -> Any:
    return await wait_for_event("paid", key=order, timeout="3d")


@task
async def asking(timeout: str | None = None, heartbeat_timeout: str | None = None) -> Any:
    callback = await create_callback("bank", timeout=timeout, heartbeat_timeout=heartbeat_timeout, on_timeout="none")
    await hand_over(f"https://bank.test/{callback.token}")
    await send_event("asked", {"of": callback.token})
    return await callback


class Site:
    """A harness with the inbox in front of it."""

    def __init__(self, harness: Harness, http: Any, url: str) -> None:
        self.harness = harness
        self.http = http
        self.url = url

    async def post(self, path: str, body: Any = None, **options: Any) -> Any:
        """The answer to a request of another system."""
        return await self.http.post(f"/api/v1{path}", json={} if body is None else body, **options)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    import httpx

    TOKENS.clear()
    async with (
        Harness(paying, asking, path=tmp_path / "runs.db") as harness,
        running(create_app(harness.client, dev=True, reviewer="mia")) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as http,
    ):
        yield Site(harness, http, url)


async def asked(site: Site, **limits: Any) -> tuple[Any, str]:
    """A run that waits for its callback, and the address of that."""
    run = await site.harness.trigger(asking, **limits)
    await site.harness.until_idle()
    return run, f"/callbacks/{TOKENS[-1]}"


# -- events


async def test_an_event_lets_the_run_go_on_that_waits_for_it(site: Site) -> None:
    run = await site.harness.trigger(paying, "a-1")
    await site.harness.until_idle()

    sent = await site.post("/events", {"name": "paid", "key": "a-1", "payload": {"total": 9.5}, "id": "bank-77"})

    assert sent.status_code == 201
    told = sent.json()
    assert (told["id"], told["seq"], told["payload"], told["sent_by"]) == ("bank-77", 1, {"total": 9.5}, "mia")
    assert await site.harness.result(run) == {"total": 9.5}


async def test_the_same_request_again_is_the_same_event_and_another_under_its_id_is_refused(site: Site) -> None:
    event = {"name": "paid", "key": "a-1", "payload": [1], "id": "bank-77"}
    first, again = await site.post("/events", event), await site.post("/events", event)
    other = await site.post("/events", event | {"payload": [2]})

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert again.json() == first.json() | {"repeated": True}
    assert other.json()["type"] == "urn:agentflow:problem:idempotency-mismatch"
    listed = (await site.http.get("/api/v1/events", params={"name": "paid"})).json()["items"]
    assert [one["payload"] for one in listed] == [[1]]


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ({"name": ""}, 422),
        ({"name": "a:b"}, 422),
        ({"name": "x" * 201}, 422),
        ({"name": "paid", "key": "x" * 501}, 422),
        ({"name": "paid", "id": ""}, 422),
        ({"name": "paid", "payload": "x" * LIMIT}, 413),
        ({"key": "a"}, 422),
        ([], 422),
    ],
)
async def test_an_event_that_cannot_be_is_refused_and_not_stored(site: Site, event: Any, status: int) -> None:
    refused = await site.post("/events", event)

    assert refused.status_code == status
    assert refused.headers["content-type"] == "application/problem+json"
    assert (await site.http.get("/api/v1/events")).json() == {"items": []}


async def test_a_page_of_another_site_cannot_send_events(site: Site) -> None:
    foreign = await site.post("/events", {"name": "paid"}, headers={"origin": "https://evil.test"})
    as_form = await site.http.post("/api/v1/events", content='{"name":"paid"}', headers={"content-type": "text/plain"})

    assert (foreign.status_code, as_form.status_code) == (403, 415)
    assert (await site.http.get("/api/v1/events")).json() == {"items": []}


# -- callbacks


async def test_a_callback_is_completed_by_whoever_has_its_token_under_any_host_name(site: Site) -> None:
    run, address = await asked(site)

    told = await site.post(f"{address}/complete", {"result": {"paid": True}}, headers={"host": "flow.example"})

    assert told.status_code == 200
    assert told.json()["status"] == "completed"
    assert "run_id" not in told.json()
    assert await site.harness.result(run) == {"paid": True}


async def test_a_failure_is_told(site: Site) -> None:
    run, address = await asked(site)

    told = await site.post(f"{address}/fail", {"error": "no such account"})

    assert told.json()["status"] == "failed"
    assert await site.harness.status(run) == "failed"


async def test_signs_of_life_put_the_time_out_off(site: Site) -> None:
    run, address = await asked(site, heartbeat_timeout="10m")
    for body in ({"details": {"percent": 10}}, {}):
        await site.harness.advance("9m")
        told = await site.post(f"{address}/heartbeat", body)
        assert told.status_code == 200
        assert told.json()["status"] == "pending"

    assert await site.harness.status(run) == "waiting"
    (callback,) = await site.harness.client.callbacks(run.id)
    assert told.json()["lapses_at"] == callback.lapses_at.isoformat().replace("+00:00", "Z")  # type: ignore[union-attr]


async def test_the_same_answer_again_is_fine_another_comes_too_late_and_a_wrong_token_finds_nothing(site: Site) -> None:
    _, address = await asked(site)
    answers = [await site.post(f"{address}/complete", {"result": 1}) for _ in range(2)]
    other, failure = (
        await site.post(f"{address}/complete", {"result": 2}),
        await site.post(f"{address}/fail", {"error": "x"}),
    )
    wrong = await site.post(f"{address}x/complete", {"result": 1})

    assert [one.status_code for one in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert (other.status_code, failure.status_code, wrong.status_code) == (409, 409, 404)
    assert other.json()["type"] == "urn:agentflow:problem:callback-resolved"


async def test_after_the_time_out_and_after_the_end_of_its_run_a_callback_is_gone(site: Site) -> None:
    late, of_late = await asked(site, timeout="1h")
    cancelled, of_cancelled = await asked(site)
    await site.harness.advance("1h")
    await site.harness.client.cancel(cancelled.id, by="mia")

    assert await site.harness.result(late) is None
    for address in (of_late, of_cancelled):
        for path, body in (("complete", {"result": 1}), ("heartbeat", {}), ("fail", {"error": "x"})):
            gone = await site.post(f"{address}/{path}", body)
            assert gone.status_code == 410
            assert gone.json()["type"] == "urn:agentflow:problem:callback-lapsed"


async def test_a_callback_that_is_given_nonsense_stays_open(site: Site) -> None:
    run, address = await asked(site)

    for path, body, status in (("fail", {}, 422), ("complete", [], 422), ("complete", {"result": "x" * LIMIT}, 413)):
        assert (await site.post(f"{address}/{path}", body)).status_code == status

    assert await site.harness.status(run) == "waiting"


# -- pages


async def test_the_page_of_a_run_says_what_it_waits_for_and_what_came_of_it(site: Site) -> None:
    waiting, late = await site.harness.trigger(paying, "order-17"), await site.harness.trigger(paying, "order-18")
    await site.harness.until_idle()
    pages = {"accept": "text/html"}

    shown = (await site.http.get(f"/runs/{waiting.id}", headers=pages)).text
    assert "paid of order-17" in shown
    assert "at most 3d more" in shown
    await site.harness.client.send_event("paid", {"total": 9.5}, key="order-17")
    await site.harness.advance("3d")

    assert "{&#34;total&#34;: 9.5}" in (await site.http.get(f"/runs/{waiting.id}", headers=pages)).text
    assert "Timed out" in (await site.http.get(f"/runs/{late.id}", headers=pages)).text


async def test_no_page_and_no_api_answer_shows_a_token(site: Site) -> None:
    run, address = await asked(site)
    await site.post(f"{address}/complete", {"result": f"thanks for {TOKENS[-1]}"})
    await site.harness.until_idle()
    paths = [f"/runs/{run.id}", f"/api/v1/runs/{run.id}", f"/api/v1/runs/{run.id}/journal", "/api/v1/events"]
    paths.append(f"/api/v1/runs/{run.id}/history")

    shown = [(await site.http.get(path, headers={"accept": "text/html, application/json"})).text for path in paths]

    assert not any(TOKENS[-1] in one for one in shown)
    assert all("cbt_[hidden]" in one for one in shown)


async def test_the_reference_names_every_endpoint(site: Site) -> None:
    paths = (await site.http.get("/schema/openapi.json")).json()["paths"]

    for verb in ("complete", "fail", "heartbeat"):
        assert "post" in paths[f"/api/v1/callbacks/{{token}}/{verb}"]
    assert {"get", "post"} <= set(paths["/api/v1/events"])
