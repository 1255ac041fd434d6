"""Every operation of the document is called, and answers what the document says, to the last field."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from tests.api.site import document
from tests.api.test_document import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.api.site import Site

DOCUMENT = document()
# In this order; {name} is the first seeded id of that name, {name[2]} the third.
CALLS: tuple[tuple[str, str, Any], ...] = (
    ("startRun", "", {"task": "double", "input": {"number": 2}, "tags": ["a"], "metadata": {"n": 2**70}}),
    ("startRuns", "", {"items": [{"task": "double", "input": {"number": 3}}, {"task": "dubble"}]}),
    ("listRuns", "?status=queued&status=waiting&tag=late&limit=10&created_from=2026-01-01T00:00:00Z", None),
    ("listStuckRuns", "", None),
    ("getRun", "{run_id[2]}", None),
    ("getRun", "{run_id[4]}", None),
    ("listRunApprovals", "{run_id[2]}", None),
    ("getResult", "{run_id}?wait=1s", None),
    ("getResult", "{run_id[2]}", None),
    ("getJournal", "{run_id[1]}", None),
    ("getHistory", "{run_id[1]}", None),
    ("getLogs", "{run_id}", None),
    ("followRun", "{run_id}", None),
    ("followRun", "{run_id}?after=1000", None),
    ("pauseRun", "{run_id[4]}", None),
    ("resumeRun", "{run_id[4]}", {}),
    ("cancelRun", "{run_id[4]}", {"reason": "late"}),
    ("retryRun", "{run_id[4]}", {}),
    ("forkRun", "{run_id}", {"reason": "again"}),
    ("listTasks", "", None),
    ("getTask", "{task_id}", None),
    ("listApprovals", "?pending=true", None),
    ("getApproval", "{approval_id}", None),
    ("decide", "{approval_id}", {"verdict": "correct", "data": {"number": "7", "total": 8}, "decision_id": "dec_1"}),
    ("decide", "{approval_id}", {"verdict": "correct", "data": {"number": "7", "total": 8}, "decision_id": "dec_1"}),
    ("getApproval", "{approval_id}", None),
    ("listStandingApprovals", "?holding=true", None),
    ("makeStandingApproval", "", {"task": "a", "tool": "b", "terms": [], "reason": "c", "hold_for": "1h"}),
    ("backtestTerms", "", {"task": "a", "tool": "b", "terms": [{"name": "n", "kind": "at_most", "value": 5}]}),
    ("getStandingApproval", "{standing_id}", None),
    ("revokeStandingApproval", "{standing_id}", None),
    ("sendEvent", "", {"name": "bill.paid", "payload": {"number": 5}, "id": "e-1"}),
    ("sendEvent", "", {"name": "bill.paid", "payload": {"number": 5}, "id": "e-1"}),
    ("listEvents", "?name=bill.paid", None),
    ("getEvent", "{event_id}", None),
    ("listEventMatches", "{event_id}", None),
    ("listMatches", "?listener=on-bills", None),
    ("listListeners", "", None),
    ("putSchedule", "{schedule_id}", {"task": "double", "rule": "0 8 * * *", "input": {"number": 1}, "spread": "5m"}),
    ("listSchedules", "", None),
    ("getSchedule", "{schedule_id}", None),
    ("pauseSchedule", "{schedule_id}", {"reason": "holiday"}),
    ("resumeSchedule", "{schedule_id}", None),
    ("triggerSchedule", "{schedule_id}", None),
    ("listOccurrences", "{schedule_id}", None),
    ("listUpcoming", "{schedule_id}?count=3", None),
    ("backfillSchedule", "{schedule_id}", {"since": "2026-11-01T00:00:00Z", "until": "2026-11-02T00:00:00Z"}),
    ("listBackfills", "{schedule_id}", None),
    ("cancelBackfill", "{backfill_id}", None),
    ("removeSchedule", "{schedule_id}", None),
    ("listWebhooks", "", None),
    ("listDeliveries", "?webhook=/bills&outcome=started", None),
    ("getDelivery", "{delivery_id}", None),
    ("redeliver", "{delivery_id}", None),
    ("createSubscription", "", {"url": "https://example.test/x", "events": ["run.failed"]}),
    ("listSubscriptions", "", None),
    ("getSubscription", "{subscription_id}", None),
    ("changeSubscription", "{subscription_id}", {"events": ["run.*"], "description": "them"}),
    ("rotateSecret", "{subscription_id}", {"keep_for": "1h"}),
    ("pingSubscription", "{subscription_id}", None),
    ("listDispatches", "?status=pending", None),
    ("getDispatch", "{dispatch_id}", None),
    ("resend", "{dispatch_id}", None),
    ("disableSubscription", "{subscription_id}", {"reason": "gone"}),
    ("enableSubscription", "{subscription_id}", None),
    ("removeSubscription", "{subscription_id}", None),
    ("listQueues", "", None),
    ("listQueueChanges", "{name}", None),
    ("pauseQueue", "{name}", {"reason": "slow"}),
    ("resumeQueue", "{name}", None),
    ("listCosts", "?days=7", None),
    ("getCounts", "", None),
    ("whoAmI", "", None),
    ("createToken", "", {"name": "ci", "scopes": ["runs:read"], "expires_in": "30d"}),
    ("listTokens", "", None),
    ("revokeToken", "{token_id}", None),
    ("beatCallback", "{token}", {"details": {"percent": 50}}),
    ("completeCallback", "{token}", {"result": 1}),
    ("failCallback", "{token[1]}", {"error": "no such account"}),
    ("resetQueue", "{name[1]}", None),
    ("setQueueLimits", "{name[1]}", {"concurrency": 2, "rate": "10/min", "reason": "slow"}),
    ("retryMatch", "{event_id}", None),
)


def request_of(site: Site, name: str, place: str) -> tuple[str, str]:
    """The method and the address of a call."""
    path, method, _ = OPERATIONS[name]
    head, _, query = place.partition("?")
    nth = int(head.partition("[")[2].rstrip("]}") or 0)
    for parameter, ids in site.ids.items():
        path = path.replace(f"{{{parameter}}}", ids[nth] if len(ids) > nth else ids[0])
    return method.upper(), path.removeprefix("/api/v1") + (f"?{query}" if query else "")


def strict(schema: Any) -> Any:
    """The schema, with no field beyond those it names."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: strict(part) for name, part in schema.items()}
    return closed | ({"additionalProperties": False} if "properties" in schema else {})


WHOLE = {"components": strict(DOCUMENT["components"])}


def unlike(value: Any, schema: dict[str, Any]) -> list[str]:
    found = Draft202012Validator(schema | WHOLE, format_checker=FormatChecker()).iter_errors(value)
    return [f"{error.json_path}: {error.message}" for error in found]


def test_every_operation_answers_as_documented(site: Site) -> None:
    with site.http() as http:
        for name, place, body in CALLS:
            method, path = request_of(site, name, place)
            answer = http.request(method, path, json=body) if body is not None else http.request(method, path)
            assert answer.is_success, f"{name}: {answer.status_code} {answer.text}"
            told = OPERATIONS[name][2]["responses"].get(str(answer.status_code))
            assert told, f"{name}: {answer.status_code} is not documented"
            for header in told.get("headers", {}):
                assert header.lower() in answer.headers, f"{name} lacks the header {header}"
            if "content" not in told:
                assert not answer.content, name
                continue
            kind = answer.headers["content-type"].partition(";")[0]
            assert kind in told["content"], f"{name}: {kind}"
            if kind == "application/json":
                assert not unlike(json.loads(answer.content), told["content"][kind]["schema"]), name


def test_no_operation_is_left_out() -> None:
    assert {name for name, _, _ in CALLS} == set(OPERATIONS)


@pytest.fixture(scope="module")
def http(site: Site) -> Iterator[httpx.Client]:
    with site.http("") as http:
        yield http


@pytest.mark.parametrize("name", [name for name in OPERATIONS if OPERATIONS[name][2]["security"]])
def test_an_operation_wants_a_token_with_its_scope(site: Site, http: httpx.Client, name: str) -> None:
    _, _, said = OPERATIONS[name]
    method, path = request_of(site, name, "")
    wanted = said["security"][0]["bearerAuth"]
    liar = {"authorization": "Bearer af_nothing_atall"}
    unknown = [http.request(method, path), http.request(method, path, headers=liar)]
    refused = http.request(method, path, headers={"authorization": f"Bearer {site.powerless}"})
    assert [one.status_code for one in unknown] == [401, 401]
    assert all(one.headers["www-authenticate"].startswith("Bearer") for one in unknown)
    assert all(one.headers["content-type"] == "application/problem+json" for one in unknown)
    if not wanted or wanted == ["costs:read"]:
        assert refused.status_code == 200
        return
    assert refused.status_code == 403
    assert refused.json()["scope"] == wanted[0]
    assert wanted[0] in refused.json()["detail"]
