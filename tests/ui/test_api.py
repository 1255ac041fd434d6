"""The JSON API, as a program uses it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import task
from agentflow.payloads import encode
from tests.support.server import served
from tests.ui.stories import the_invoice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from tests.support.server import Served
    from tests.ui.conftest import MovedClock
    from tests.ui.seeding import Seeds


@task
async def double(number: int, *, note: str = "") -> int:
    """A task to be started."""
    return number * 2


@pytest.fixture
async def site(tmp_path: Path, clock: MovedClock) -> AsyncIterator[Served]:
    async with served(tmp_path, double, clock=clock, reviewer="mia") as site:
        yield site


@pytest.fixture
async def http(site: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with site.http(headers={"accept": "application/json"}) as http:
        http.headers.pop("sec-fetch-site")
        yield http


async def test_a_run_is_started_once_for_a_key(http: httpx.AsyncClient) -> None:
    wanted = {"task": "double", "input": {"number": 21}, "idempotency_key": "k1"}
    first = await http.post("/api/v1/runs", json=wanted)
    second = await http.post("/api/v1/runs", json=wanted)
    other = await http.post("/api/v1/runs", json=wanted | {"input": {"number": 22}})
    assert first.status_code == second.status_code == 201
    assert first.json()["id"] == second.json()["id"]
    assert first.headers["location"] == f"/api/v1/runs/{first.json()['id']}"
    assert other.status_code == 409
    assert other.json()["type"] == "urn:agentflow:problem:idempotency-mismatch"
    run = (await http.get(first.headers["location"])).json()
    assert run["status"] == "queued"
    assert run["input"] == {"number": 21, "note": ""}
    assert run["why"]


@pytest.mark.parametrize(
    ("wanted", "status", "said"),
    [
        ({"task": "dubble", "input": {}}, 404, "double"),
        ({"task": "double", "input": {"number": "12"}}, 422, "number"),
        ({"task": "double", "input": {"numbr": 1}}, 422, "numbr"),
        ({"task": "double", "input": {"number": 1}, "delay": "soon"}, 422, "soon"),
        ({"input": {}}, 422, "task"),
        ({"task": "double", "input": [1]}, 422, "an object"),
    ],
)
async def test_a_start_that_cannot_be_is_refused_by_field(
    site: Served, http: httpx.AsyncClient, wanted: dict[str, Any], status: int, said: str
) -> None:
    refused = await http.post("/api/v1/runs", json=wanted)
    assert refused.status_code == status, refused.text
    assert refused.headers["content-type"] == "application/problem+json"
    problem = refused.json()
    assert problem["status"] == status
    assert said in refused.text
    if status == 422:
        assert {"field", "found", "wanted"} == set(problem["errors"][0])
    assert not (await site.client.runs()).items


async def test_a_decision_is_recorded_once_and_repeated_safely(
    site: Served, seeds: Seeds, http: httpx.AsyncClient
) -> None:
    asked = await the_invoice(seeds)
    path = f"/api/v1/approvals/{asked.id}/decisions"
    data = json.loads(asked.data) | {"total": "1250.50"}
    wanted = {"verdict": "approve", "data": data, "comment": "stamp", "decision_id": "dec_mine", "version": 1}
    first, second = await http.post(path, json=wanted), await http.post(path, json=wanted)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["outcome"] == "corrected"
    assert first.json()["decided_by"] == "mia"
    assert second.json()["repeated"] is True
    assert second.json()["id"] == "dec_mine"
    mismatch = await http.post(path, json=wanted | {"comment": "other"})
    assert mismatch.status_code == 409
    late = await http.post(path, json={"verdict": "reject", "comment": "no"})
    assert late.status_code == 409
    assert late.json()["type"] == "urn:agentflow:problem:already-decided"
    assert late.json()["decided_by"] == "mia"
    shown = (await http.get(f"/api/v1/approvals/{asked.id}")).json()
    assert shown["final"]["total"] == "1250.50"
    assert shown["patch"] == [{"op": "replace", "path": "/total", "value": "1250.50"}]


async def test_numbers_survive_the_way_through_the_api(site: Served, seeds: Seeds, http: httpx.AsyncClient) -> None:
    asked = await seeds.asks({"big": 2**70, "none": None, "ratio": 1.5})
    path = f"/api/v1/approvals/{asked.id}/decisions"
    final = {"big": 2**70 + 1, "none": None, "ratio": 1.5}
    await http.post(path, content=json.dumps({"verdict": "correct", "data": final}), headers=JSON)
    assert json.loads((await site.client.approval(asked.id)).final or "") == final


JSON = {"content-type": "application/json"}


async def test_null_is_data_and_not_the_lack_of_it(site: Served, seeds: Seeds, http: httpx.AsyncClient) -> None:
    asked = await seeds.asks({"a": 1})
    refused = await http.post(f"/api/v1/approvals/{asked.id}/decisions", json={"verdict": "approve", "data": None})
    assert refused.status_code == 422
    assert (await site.client.approval(asked.id)).is_pending


async def test_each_refusal_of_a_decision_has_its_status(
    site: Served, seeds: Seeds, http: httpx.AsyncClient, clock: MovedClock
) -> None:
    asked = await the_invoice(seeds)
    path = f"/api/v1/approvals/{asked.id}/decisions"
    data = json.loads(asked.data) | {"issued": "2026-02-31", "surprise": 1}
    invalid = await http.post(path, json={"verdict": "correct", "data": data})
    assert invalid.status_code == 422
    assert {error["field"] for error in invalid.json()["errors"]} == {"/issued", "/surprise"}
    assert (await http.post(path, json={"verdict": "approve", "version": 9})).status_code == 412
    assert (await http.post(path, json={"verdict": "maybe"})).status_code == 422
    assert (await http.post("/api/v1/approvals/apr_none/decisions", json={"verdict": "approve"})).status_code == 404
    assert (await http.post(path, content=b"{", headers=JSON)).status_code == 400
    assert (await site.client.approval(asked.id)).is_pending
    clock.advance(hours=4)
    expired = await http.post(path, json={"verdict": "approve"})
    assert expired.status_code == 410
    assert expired.json()["title"] == "Approval expired"
    withdrawn = await seeds.asks({"a": 1})
    await site.client.cancel(withdrawn.run_id, by="ana")
    gone = await http.post(f"/api/v1/approvals/{withdrawn.id}/decisions", json={"verdict": "approve"})
    assert gone.status_code == 409


async def test_a_run_is_read_whole_and_in_pages(site: Served, seeds: Seeds, http: httpx.AsyncClient) -> None:
    claimed = await seeds.claimed()
    for number in range(5):
        await seeds.did(claimed, f"fetch#{number + 1}", output=encode({"n": number}))
    path = f"/api/v1/runs/{claimed.run.id}/journal"
    first = (await http.get(path, params={"limit": 4})).json()
    assert first["more"] is True
    rest = (await http.get(path, params={"after": first["items"][-1]["seq"]})).json()
    entries = first["items"] + rest["items"]
    assert [entry["output"] for entry in entries if entry["output"]] == [{"n": n} for n in range(5)]
    assert rest["more"] is False
    assert (await http.get(f"/api/v1/runs/{claimed.run.id}/logs")).json() == {"items": []}
    assert (await http.get("/api/v1/runs/run_none/journal")).status_code == 404
    assert (await http.get(path, params={"limit": 100_000})).status_code == 400


async def test_runs_are_listed_by_keyset_and_status(seeds: Seeds, http: httpx.AsyncClient) -> None:
    made = [(await seeds.finished()).id for _ in range(5)]
    await seeds.failed(ValueError("no"))
    found: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": 2, "status": "completed"} | ({"cursor": cursor} if cursor else {})
        page = (await http.get("/api/v1/runs", params=params)).json()
        found += [run["id"] for run in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == sorted(made, reverse=True)


async def test_a_run_is_cancelled_once(seeds: Seeds, http: httpx.AsyncClient) -> None:
    asked = await the_invoice(seeds)
    path = f"/api/v1/runs/{asked.run_id}"
    assert (await http.post(f"{path}/resume", json={})).status_code == 409
    assert (await http.post(f"{path}/cancel", json={"reason": "not needed"})).json()["status"] == "cancelled"
    assert (await http.post(f"{path}/cancel", json={})).status_code == 409


async def test_the_document_names_nothing_that_is_not_served(http: httpx.AsyncClient) -> None:
    document = (await http.get("/schema/openapi.json")).json()
    for path in document["paths"]:
        assert (await http.options(path.replace("{", "").replace("}", ""))).status_code == 204
