"""Webhooks over HTTP: the examples that senders publish, one run for each delivery, and what each answer says."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import task
from agentflow.states import DeliveryOutcome
from agentflow.tasks.webhook import Webhook
from agentflow.verifiers import bearer, github, hmac_sha256, slack, standard, stripe, unverified
from tests.support.server import served
from tests.support.signing import (
    GITHUB_BODY,
    GITHUB_SECRET,
    GITHUB_SIGNATURE,
    SLACK_AT,
    SLACK_BODY,
    SLACK_SECRET,
    SLACK_SIGNATURE,
    STANDARD_AT,
    STANDARD_BODY,
    STANDARD_ID,
    STANDARD_SECRET,
    STRIPE_SECRET,
    github_headers,
    hexadecimal,
    slack_headers,
    standard_headers,
    standard_lines,
    stripe_headers,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from agentflow.records import Delivery, Run
    from tests.support.server import Served
    from tests.ui.conftest import MovedClock

TOKEN = "a token of sixteen".replace(" ", "-")


@task
async def take(payload: dict[str, Any]) -> None:
    """What every webhook here starts."""


HOOKS = [
    Webhook("/standard", task=take, verify=standard(STANDARD_SECRET)),
    Webhook("/github", task=take, verify=github(["the new one", GITHUB_SECRET])),
    Webhook("/stripe", task=take, verify=stripe(STRIPE_SECRET)),
    Webhook("/slack", task=take, verify=slack(SLACK_SECRET)),
    Webhook("/meta", task=take, verify=hmac_sha256("key", header="X-Sign", verify_token="agreed")),
    Webhook("/token", task=take, verify=bearer(TOKEN, id_header="X-Id")),
    Webhook("/open", task=take, verify=unverified()),
    Webhook("/paid", task=take, verify=unverified(), where=lambda payload: payload["kind"] == "paid"),
    Webhook("/rated", task=take, verify=unverified(), rate="3/min"),
]


@asynccontextmanager
async def serving(folder: Path, clock: MovedClock, **options: Any) -> AsyncIterator[tuple[Served, httpx.AsyncClient]]:
    webhooks = {one.path: one for one in HOOKS}
    async with (
        served(folder, take, clock=clock, webhooks=webhooks, **options) as site,
        site.http(headers={"accept": "application/json"}) as http,
    ):
        http.headers.pop("sec-fetch-site")
        yield site, http


@pytest.fixture
async def site(tmp_path: Path, clock: MovedClock) -> AsyncIterator[tuple[Served, httpx.AsyncClient]]:
    async with serving(tmp_path, clock, dev=False) as found:
        yield found


@pytest.fixture
def http(site: tuple[Served, httpx.AsyncClient]) -> httpx.AsyncClient:
    return site[1]


async def kept(site: tuple[Served, httpx.AsyncClient]) -> list[Delivery]:
    return [*(await site[0].client.deliveries.all()).items]


async def runs(site: tuple[Served, httpx.AsyncClient]) -> list[Run]:
    return [*(await site[0].client.runs()).items]


# -- the examples that senders publish


async def test_the_published_example_of_standard_webhooks_starts_a_run(
    site: tuple[Served, httpx.AsyncClient], http: httpx.AsyncClient, clock: MovedClock
) -> None:
    clock.at = datetime.fromtimestamp(STANDARD_AT, UTC)
    answer = await http.post("/hooks/standard", content=STANDARD_BODY, headers=standard_lines())
    [run], [delivery] = await runs(site), await kept(site)
    assert answer.status_code == 202
    assert answer.json() == {"delivery": delivery.id, "run": run.id}
    assert (run.task, run.origin, run.input) == ("take", "webhook /standard", '{"payload":{"test":2432232314}}')
    assert (delivery.delivery_id, delivery.outcome, delivery.run_id) == (STANDARD_ID, DeliveryOutcome.STARTED, run.id)


async def test_the_published_example_of_github_is_authentic_and_no_json(
    site: tuple[Served, httpx.AsyncClient], http: httpx.AsyncClient
) -> None:
    headers = {"X-Hub-Signature-256": GITHUB_SIGNATURE, "X-GitHub-Delivery": "72d3162e-cc78"}
    answer = await http.post("/hooks/github", content=GITHUB_BODY, headers=headers)
    [delivery] = await kept(site)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("The body is not JSON")
    assert answer.json()["delivery"] == delivery.id
    assert (delivery.outcome, delivery.delivery_id) == (DeliveryOutcome.REFUSED, "72d3162e-cc78")
    changed = await http.post("/hooks/github", content=GITHUB_BODY + b"!", headers=headers)
    assert changed.status_code == 401


async def test_the_published_example_of_slack_starts_a_run_with_its_form(
    site: tuple[Served, httpx.AsyncClient], http: httpx.AsyncClient, clock: MovedClock
) -> None:
    clock.at = datetime.fromtimestamp(SLACK_AT, UTC)
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "X-Slack-Signature": SLACK_SIGNATURE,
        "X-Slack-Request-Timestamp": str(SLACK_AT),
    }
    answer = await http.post("/hooks/slack", content=SLACK_BODY, headers=headers)
    [run] = await runs(site)
    assert (answer.status_code, answer.json()["run"]) == (202, run.id)
    assert json.loads(run.input)["payload"]["command"] == "/webhook-collect"
    assert json.loads(run.input)["payload"]["text"] == ""


async def test_what_each_sender_signs_starts_a_run(
    site: tuple[Served, httpx.AsyncClient], http: httpx.AsyncClient, clock: MovedClock
) -> None:
    at = int(clock.at.timestamp())
    body = b'{"id": "evt_1", "event_id": "Ev1"}'
    sent = {
        "/standard": standard_headers(body, at=at),
        "/github": github_headers(body),
        "/stripe": stripe_headers(body, at=at),
        "/slack": slack_headers(body, at=at),
        "/meta": [("x-sign", hexadecimal("key", body))],
        "/token": [("authorization", f"Bearer {TOKEN}"), ("x-id", "d1")],
        "/open": [],
    }
    for path, headers in sent.items():
        answer = await http.post(f"/hooks{path}", content=body, headers=headers)
        assert answer.status_code == 202, (path, answer.text)
        again = await http.post(f"/hooks{path}", content=body, headers=headers)
        assert again.json() == answer.json()
    ids = {one.webhook: one.delivery_id for one in await kept(site)}
    assert len(await runs(site)) == len(ids) == len(sent)
    assert (ids["/stripe"], ids["/slack"], ids["/token"]) == ("evt_1", "Ev1", "d1")
    assert ids["/meta"] == ids["/open"]
    assert ids["/open"].startswith("sha256:")


# -- once


async def test_the_same_delivery_a_hundred_times_at_once_starts_one_run_and_every_answer_names_it(
    site: tuple[Served, httpx.AsyncClient], http: httpx.AsyncClient
) -> None:
    body = b'{"n": 1}'
    answers = await asyncio.gather(
        *(http.post("/hooks/github", content=body, headers=github_headers(body)) for _ in range(100))
    )
    [run], [delivery] = await runs(site), await kept(site)
    assert {one.status_code for one in answers} == {202}
    assert [one.json() for one in answers] == [{"delivery": delivery.id, "run": run.id}] * 100


async def test_a_delivery_is_answered_with_its_run_after_days(
    site: tuple[Served, httpx.AsyncClient], http: httpx.AsyncClient, clock: MovedClock
) -> None:
    first = await http.post("/hooks/github", content=b"{}", headers=github_headers(b"{}"))
    clock.advance(days=30)
    assert (await http.post("/hooks/github", content=b"{}", headers=github_headers(b"{}"))).json() == first.json()


async def test_one_id_with_another_body_is_refused_and_kept_for_people_to_look_at(
    site: tuple[Served, httpx.AsyncClient], http: httpx.AsyncClient
) -> None:
    first = await http.post("/hooks/github", content=b'{"n": 1}', headers=github_headers(b'{"n": 1}'))
    other = await http.post("/hooks/github", content=b'{"n": 2}', headers=github_headers(b'{"n": 2}'))
    assert (first.status_code, other.status_code) == (202, 409)
    [conflict] = [one for one in await kept(site) if one.outcome is DeliveryOutcome.CONFLICT]
    assert other.json()["delivery"] == conflict.id
    assert len(await runs(site)) == 1
    again = await http.post("/hooks/github", content=b'{"n": 1}', headers=github_headers(b'{"n": 1}'))
    assert (again.status_code, again.json()) == (202, first.json())


async def test_what_was_refused_is_judged_anew_when_it_is_sent_again(tmp_path: Path, clock: MovedClock) -> None:
    wanted = {"kind": "none"}
    hook = Webhook("/fixed", task=take, verify=unverified(), where=lambda payload: payload[wanted["kind"]])
    async with served(tmp_path, take, clock=clock, webhooks={"/fixed": hook}) as site, site.http() as http:
        http.headers.pop("sec-fetch-site")
        refused = await http.post("/hooks/fixed", content=b'{"paid": true}')
        wanted["kind"] = "paid"  # as after a deploy that mends the function
        answer = await http.post("/hooks/fixed", content=b'{"paid": true}')
    assert (refused.status_code, answer.status_code) == (422, 202)
    assert refused.json()["delivery"] == answer.json()["delivery"]
    assert answer.json()["run"]


# -- other answers


async def test_what_where_passes_over_is_kept_and_answered_as_done(
    site: tuple[Served, httpx.AsyncClient], http: httpx.AsyncClient
) -> None:
    answer = await http.post("/hooks/paid", content=b'{"kind": "draft"}')
    [delivery] = await kept(site)
    assert (answer.status_code, answer.json()) == (200, {"delivery": delivery.id, "run": None})
    assert delivery.outcome is DeliveryOutcome.IGNORED
    assert await runs(site) == []


async def test_slacks_question_is_answered_in_plain_text_and_nothing_is_kept(
    site: tuple[Served, httpx.AsyncClient], http: httpx.AsyncClient
) -> None:
    body = b'{"type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV"}'
    at = int(site[0].client.now().timestamp())
    answer = await http.post("/hooks/slack", content=body, headers=slack_headers(body, at=at))
    assert (answer.status_code, answer.text) == (200, "3eZbrw1aBm2rZgRNFdxV")
    assert answer.headers["content-type"].startswith("text/plain")
    forged = await http.post("/hooks/slack", content=body, headers=slack_headers(body, at=at, secret="guessed"))
    assert forged.status_code == 401
    assert "3eZ" not in forged.text
    assert await kept(site) == []


async def test_a_question_by_get_is_answered_to_whoever_brings_the_token(http: httpx.AsyncClient) -> None:
    asked = {"hub.mode": "subscribe", "hub.verify_token": "agreed", "hub.challenge": "1158201444"}
    answer = await http.get("/hooks/meta", params=asked)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["content-type"].startswith("text/plain")
    forged = await http.get("/hooks/meta", params=asked | {"hub.verify_token": "guessed"})
    assert forged.status_code == 401
    assert "1158201444" not in forged.text


async def test_only_post_delivers(http: httpx.AsyncClient) -> None:
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE"):
        answer = await http.request(method, "/hooks/github")
        assert answer.status_code == 405
        assert "POST" in answer.headers["allow"]
    assert (await http.get("/hooks/nowhere")).status_code == 404
    assert (await http.post("/hooks/nowhere")).status_code == 404


async def test_more_than_the_rate_is_told_when_to_come_again(
    site: tuple[Served, httpx.AsyncClient], http: httpx.AsyncClient, clock: MovedClock
) -> None:
    for n in range(3):
        assert (await http.post("/hooks/rated", json={"n": n})).status_code == 202
        clock.advance(seconds=10)
    refused = await http.post("/hooks/rated", json={"n": 3})
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "30"
    assert len(await kept(site)) == 3
    clock.advance(seconds=30)
    assert (await http.post("/hooks/rated", json={"n": 3})).status_code == 202
    assert (await http.post("/hooks/rated", json={"n": 4})).status_code == 429


async def test_what_is_served_to_developers_is_not_served_without_dev(tmp_path: Path, clock: MovedClock) -> None:
    hook = Webhook("/plain", task=take)
    async with served(tmp_path, take, clock=clock, webhooks={"/plain": hook}, dev=True) as site, site.http() as http:
        http.headers.pop("sec-fetch-site")
        assert (await http.post("/hooks/plain", json={})).status_code == 202
    with pytest.raises(Exception, match="has no verify="):
        async with served(tmp_path, take, webhooks={"/plain": hook}, dev=False):
            pass


async def test_a_page_in_a_browser_starts_nothing_that_proves_nothing(http: httpx.AsyncClient) -> None:
    for header in (("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")):
        assert (await http.post("/hooks/open", content=b"{}", headers=[header])).status_code == 403
        anywhere = [*github_headers(b"{}"), header, ("host", "hooks.example.test")]
        assert (await http.post("/hooks/github", content=b"{}", headers=anywhere)).status_code == 202


async def test_a_time_too_far_away_is_refused_on_either_side(http: httpx.AsyncClient, clock: MovedClock) -> None:
    for away in (-301, 301):
        at = int((clock.at + timedelta(seconds=away)).timestamp())
        answer = await http.post("/hooks/standard", content=b"{}", headers=standard_headers(b"{}", at=at))
        assert answer.status_code == 401
        assert "more than 5m away from now" in answer.json()["detail"]
