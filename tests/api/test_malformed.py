"""Requests that no honest program sends: each is refused with a problem document, and nothing is stored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.site import JSON
from tests.api.test_every_operation import request_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.api.site import Site


@pytest.fixture(scope="module")
def http(site: Site) -> Iterator[httpx.Client]:
    with site.http() as http:
        yield http


def refused(answer: httpx.Response, status: int, kind: str = "") -> dict[str, Any]:
    """The problem document of an answer that is one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert {"type", "title", "status", "detail"} <= set(problem)
    assert problem["status"] == status
    assert not kind or problem["type"] == f"urn:agentflow:problem:{kind}"
    return problem


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "Expecting value"),
        (b"{", "line 1, column 2"),
        (b"\xff\xfe", "UTF-8"),
        (b'{"name": "a", "name": "b"}', "'name' twice"),
        (b'{"name": "a", "payload": NaN}', "NaN"),
        (b'{"name": "a", "payload": -Infinity}', "Infinity"),
        (b'{"name": "a", "payload": 1e999}', "too large"),
        (b'{"name": "a", "payload": ' + b"9" * 5000 + b"}", "5,000 digits"),
        (b'{"name": "\\ud800"}', "surrogate"),
        (b'{"name": "a", "payload": {"\\udfff": 1}}', "surrogate"),
        (b'{"name": "a\\u0000"}', "NUL"),
        (b'{"name": "a", "payload": ' + b"[" * 150 + b"]" * 150 + b"}", "too deeply"),
        (b'{"name": "a", "payload": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too deeply"),
    ],
)
def test_a_body_that_is_no_json_is_refused_by_its_place(http: httpx.Client, body: bytes, said: str) -> None:
    problem = refused(http.post("/events", content=body, headers=JSON), 400, "invalid-json")
    assert said in problem["detail"]
    assert "Nothing was changed" in problem["detail"]


@pytest.mark.parametrize(
    ("body", "field", "wanted"),
    [
        ({}, "/task", "a value"),
        ([], "", "an object"),
        ("double", "", "an object"),
        ({"taks": "double"}, "/taks", "perhaps 'task' is meant"),
        ({"task": "double", "delay": 3}, "/delay", "a text"),
        ({"task": "double", "delay": "soon"}, "/delay", "a text such as '1h30m'"),
        ({"task": "double", "at": "2026-11-23"}, "/at", "an instant with its offset"),
        ({"task": "double", "at": "2026-11-23T09:00:00"}, "/at", "an instant with its offset"),
        ({"task": "double", "priority": "1"}, "/priority", "a whole number"),
        ({"task": "double", "priority": 2**70}, "/priority", "at most"),
        ({"task": "double", "priority": True}, "/priority", "a whole number"),
        ({"task": "double", "tags": ["a" * 101]}, "/tags/0", "of length"),
        ({"task": "double", "idempotency_key": ""}, "/idempotency_key", "of length"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_by_field(http: httpx.Client, body: Any, field: str, wanted: str) -> None:
    problem = refused(http.post("/runs", json=body), 422, "invalid-body")
    [error] = problem["errors"]
    assert error["field"] == field
    assert wanted in error["wanted"]


@pytest.mark.parametrize(
    ("query", "field", "said"),
    [
        ("limt=3", "limt", "perhaps 'limit' is meant"),
        ("limit=0", "limit", "at least 1"),
        ("limit=201", "limit", "at most 200"),
        ("limit=1e1", "limit", "a whole number"),
        ("limit=1&limit=2", "limit", "more than once"),
        ("limit=" + "9" * 400, "limit", "a whole number"),
        ("status=done", "status", "one of queued, running"),
        ("created_from=yesterday", "created_from", "an instant with its offset"),
        ("created_from=2026-01-01T00:00:00%2B01:00&created_until=1", "created_until", "an instant"),
        ("cursor=abc", "cursor", "a text such as 'run_"),
        ("q=" + "x" * 300, "q", "of length"),
        ("parent=run", "parent", "a text such as"),
    ],
)
def test_a_query_that_does_not_fit_is_refused_by_parameter(
    http: httpx.Client, query: str, field: str, said: str
) -> None:
    problem = refused(http.get(f"/runs?{query}"), 400, "invalid-query")
    assert problem["errors"][0]["field"] == field
    assert said in problem["detail"]


@pytest.mark.parametrize("query", ["q=%", "q=%zz", "q=%ff", "q=%00", "&".join(["tag=a"] * 200)])
def test_a_query_that_cannot_be_read_is_refused(http: httpx.Client, query: str) -> None:
    refused(http.get(f"/runs?{query}"), 400, "invalid-query")


@pytest.mark.parametrize("path", ["/approvals", "/deliveries", "/dispatches", "/schedules/daily/occurrences"])
@pytest.mark.parametrize("cursor", ["x", "%F0%9F%98%80", "~", "2026~", "0~0~0", "9" * 300])
def test_a_cursor_that_no_listing_gave_is_refused_or_finds_nothing(http: httpx.Client, path: str, cursor: str) -> None:
    answer = http.get(f"{path}?cursor={cursor}")
    if answer.status_code != 200:
        refused(answer, 400)


@pytest.mark.parametrize("id", ["%00", "run_%00", "%ff", "..%2f..", "x" * 600, "%F0%9F%98%80", "run_none", " ", "%0a"])
@pytest.mark.parametrize(
    "name", ["getRun", "cancelRun", "getApproval", "getTask", "getEvent", "getSchedule", "getDelivery"]
)
def test_what_is_no_id_finds_nothing(site: Site, http: httpx.Client, name: str, id: str) -> None:
    method, path = request_of(site, name, "")
    head, _, tail = path.partition("/")[2].partition("/")
    rest = f"/{tail.partition('/')[2]}" if "/" in tail else ""
    answer = http.request(method, f"/{head}/{id}{rest}")
    assert answer.status_code in (404, 405), answer.text
    refused(answer, answer.status_code)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml", "json", ";"]
)
def test_a_body_of_another_kind_is_refused(http: httpx.Client, kind: str) -> None:
    refused(http.post("/events", content=b'{"name": "a"}', headers={"content-type": kind}), 415)


def test_a_body_without_a_kind_is_refused_and_one_that_may_be_left_out_may_be(site: Site, http: httpx.Client) -> None:
    refused(http.post("/events", content=b'{"name": "a"}'), 415)
    refused(http.post("/events"), 400, "invalid-json")
    refused(http.post(f"/runs/{site.ids['run_id'][0]}/cancel"), 409, "illegal-transition")


@pytest.mark.parametrize("accept", ["text/html", "image/*", "application/json;q=0", "text/event-stream"])
def test_who_accepts_no_json_is_told_so_in_json(http: httpx.Client, accept: str) -> None:
    refused(http.get("/runs", headers={"accept": accept}), 406)


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/*", "text/html, application/json;q=0.5", "application/problem+json"]
)
def test_who_accepts_json_gets_it(http: httpx.Client, accept: str) -> None:
    assert http.get("/runs", headers={"accept": accept}).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "HEAD", "TRACE", "FOO"])
def test_another_method_is_refused_with_those_there_are(http: httpx.Client, method: str) -> None:
    answer = http.request(method, "/runs")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "POST", "OPTIONS"}


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/runs", {"GET", "POST"}),
        ("/runs/run_none/result", {"GET"}),
        ("/schedules/daily", {"GET", "PUT", "DELETE"}),
    ],
)
def test_options_tells_the_methods(http: httpx.Client, path: str, methods: set[str]) -> None:
    answer = http.options(path)
    assert answer.status_code == 204
    assert set(answer.headers["allow"].split(", ")) == methods | {"OPTIONS"}


def test_a_foreign_host_or_page_is_refused_as_a_problem(site: Site, http: httpx.Client) -> None:
    refused(http.get("/runs", headers={"host": "evil.test"}), 421)
    with site.http("") as page:
        refused(page.post("/events", json={"name": "a"}, headers={"origin": "https://evil.test"}), 403)


def test_too_large_a_body_is_refused(http: httpx.Client) -> None:
    body = json.dumps({"name": "a", "payload": "x" * (9 * 1024 * 1024)}).encode()
    refused(http.post("/events", content=body, headers=JSON), 413)


def test_a_schedule_that_cannot_be_is_refused_with_what_is_meant(http: httpx.Client) -> None:
    wanted = {"task": "double", "rule": "0 9 * * mno", "input": {"number": 1}}
    problem = refused(http.put("/schedules/other", json=wanted), 422, "definition-error")
    assert "mno" in problem["detail"]
    problem = refused(
        http.put("/schedules/other", json=wanted | {"rule": "0 9 * * mon", "timezone": "Europe/Berln"}), 422
    )
    assert "Europe/Berlin" in problem["detail"]


def test_nobody_gives_scopes_that_are_not_their_own(site: Site, http: httpx.Client) -> None:
    made = http.post("/tokens", json={"name": "minter", "scopes": ["tokens:write"]}).json()
    with site.http(made["text"]) as minter:
        problem = refused(minter.post("/tokens", json={"name": "root", "scopes": ["*"]}), 403, "scope-lacking")
        assert minter.post("/tokens", json={"name": "same", "scopes": ["tokens:write"]}).status_code == 201
    assert "Nothing was made" in problem["detail"]


def test_secrets_are_told_once(site: Site, http: httpx.Client) -> None:
    told = http.post("/subscriptions", json={"url": "https://example.test/y", "events": ["run.*"]}).json()
    rotated = http.post(f"/subscriptions/{told['id']}/rotate").json()
    token = http.post("/tokens", json={"name": "once", "scopes": ["runs:read"]}).json()
    read = [http.get(path).text for path in ("/subscriptions", f"/subscriptions/{told['id']}", "/tokens")]
    for secret in (told["secret"], rotated["secret"], token["text"], token["text"].rpartition("_")[2]):
        assert secret
        assert not any(secret in one for one in read)


def test_no_event_was_stored_by_any_of_this(http: httpx.Client) -> None:
    assert {one["name"] for one in http.get("/events").json()["items"]} <= {"bill.made"}
