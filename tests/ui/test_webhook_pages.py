"""The pages of webhooks: who may send, what was received, and having it delivered again."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import task
from agentflow.errors import DeliveryMismatch
from agentflow.states import DeliveryOutcome
from agentflow.tasks.deliveries import Delivered, judge
from agentflow.tasks.webhook import Webhook
from agentflow.verifiers import Secret, github, standard, unverified
from tests.support.deliveries import a_delivery, a_refused, an_ignored
from tests.support.server import served
from tests.ui.conftest import Browsing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from agentflow.records import Delivery
    from tests.support.server import Served
    from tests.ui.conftest import MovedClock

OLD, NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
THEIRS = "It's a Secret to Everybody"


@task
async def build(event: dict[str, Any]) -> None: ...


def is_push(event: dict[str, Any]) -> bool:
    return event.get("kind") != "ping"


HOOKS = [
    Webhook("/github", task=build, verify=github(THEIRS), where=is_push),
    Webhook("/orders", task=build, verify=standard([OLD, Secret.env("NEW_SECRET")]), rate="50/s", max_body=2048),
    Webhook("/open", task=build, verify=unverified()),
]


@pytest.fixture
async def site(tmp_path: Path, clock: MovedClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    monkeypatch.setenv("NEW_SECRET", NEW)
    hooks = {one.path: one for one in HOOKS}
    async with served(tmp_path, build, HOOKS, clock=clock, webhooks=hooks, reviewer="mia") as site:
        yield site


@pytest.fixture
async def mia(site: Served) -> AsyncIterator[Browsing]:
    async with site.http() as http:
        yield Browsing(http)


async def sent(site: Served, body: bytes, id: str = "d1", *headers: tuple[str, str]) -> Delivery:
    """What GitHub sends, received."""
    lines = [("Content-Type", "application/json"), ("X-Hub-Signature-256", "sha256=5f"), ("Cookie", "id=7"), *headers]
    delivered = Delivered(id=id, headers=lines, body=body, received_at=site.client.now())
    judged = await judge(HOOKS[0], build, delivered)
    try:
        return (await site.client.deliveries.receive(judged)).delivery
    except DeliveryMismatch as error:
        return await site.client.deliveries.one(error.kept_as)


# -- who may send


async def test_each_address_says_what_it_starts_and_how_it_is_verified(site: Served, mia: Browsing) -> None:
    await sent(site, b'{"kind": "push"}')
    await sent(site, b'{"kind": "ping"}', "d2")

    page = await mia.open("/webhooks")

    for shown in ("/hooks/github", "GitHub", "build", "50 per 1s requests", "2 KiB a body", "Standard Webhooks"):
        assert shown in page.text, shown
    assert "Started 1" in page.text
    assert "Ignored 1" in page.text
    assert "Secret(…), Secret.env(&#39;NEW_SECRET&#39;)" in page.html
    assert 'href="/deliveries?webhook=/github&amp;outcome=ignored"' in page.html


async def test_an_address_for_everybody_is_said_loudly(mia: Browsing) -> None:
    page = await mia.open("/webhooks")

    assert "1 webhook takes requests from anybody." in page.text
    assert "Webhook /open is unverified(): whoever reaches it can start 'build'" in page.text
    assert page.html.index('role="alert"') < page.html.index("/hooks/github")


async def test_no_page_shows_a_secret(site: Served, mia: Browsing) -> None:
    delivery = await sent(site, b"{}", "d1", ("Authorization", "Bearer t0psecret"), ("X-Api-Key", "k3y"))

    for path in ("/webhooks", "/deliveries", f"/deliveries/{delivery.id}", f"/deliveries/{delivery.id}/redeliver"):
        page = await mia.open(path)
        assert page.status == 200, path
        for secret in (OLD, NEW, THEIRS, "Everybody", "t0psecret", "k3y", "sha256=5f", "id=7"):
            assert secret not in page.html, (path, secret)


# -- what was received


async def test_deliveries_are_listed_by_webhook_and_outcome(site: Served, mia: Browsing) -> None:
    for n, make in enumerate((a_delivery, a_refused, an_ignored)):
        await site.store.receive_delivery(make(f"github-{n}"))
        await site.store.receive_delivery(make(f"orders-{n}", webhook="/orders"))

    everything = await mia.open("/deliveries")
    assert [name in everything.text for name in ("github-0", "github-1", "orders-2")] == [True] * 3
    refused = await mia.open("/deliveries?webhook=/orders&outcome=refused")
    assert "orders-1" in refused.text
    assert "the body is no order" in refused.text
    assert not re.search("github-|orders-[02]", refused.text)
    assert "No deliveries match" in (await mia.open("/deliveries?webhook=/none")).text
    assert (await mia.open("/deliveries?outcome=lost")).status == 400


async def test_ten_thousand_deliveries_are_turned_over_page_by_page(site: Served, mia: Browsing) -> None:
    """Two hundred pages; every delivery is on one of them, once."""
    await asyncio.gather(*(site.store.receive_delivery(an_ignored(f"d{n:05}")) for n in range(10_000)))

    found: list[str] = []
    path = "/deliveries?outcome=ignored"
    while path:
        page = await mia.open(path)
        found += re.findall(r'data-row="(dlv_\w+)"', page.html)
        following = re.search(r'rel="next" href="([^"]+)"', page.html)
        path = following[1].replace("&amp;", "&") if following else ""
    assert (len(found), len(set(found))) == (10_000, 10_000)


async def test_a_delivery_is_found_by_its_senders_id_and_by_ours(site: Served, mia: Browsing) -> None:
    first = await sent(site, b"{}", "72d3162e-cc78-11e3")
    conflict = await sent(site, b'{"other": 1}', "72d3162e-cc78-11e3")
    await sent(site, b"{}", "another")

    listed = await mia.open("/deliveries?q=72d3162e-cc78-11e3")
    assert re.findall(r'data-row="(dlv_\w+)"', listed.html) == [conflict.id, first.id]
    assert (await mia.open(f"/deliveries?q={first.id}")).path == f"/deliveries/{first.id}"
    missing = await mia.open("/deliveries?q=dlv_gone")
    assert (missing.status, "sender" in missing.text) == (404, True)
    assert (await mia.open("/deliveries/dlv_gone")).status == 404


async def test_a_refused_delivery_says_what_its_sender_was_told_and_what_only_we_know(
    site: Served, mia: Browsing
) -> None:
    refused = await sent(site, b"[1, 2]")

    page = await mia.open(f"/deliveries/{refused.id}")

    assert refused.outcome is DeliveryOutcome.REFUSED
    assert refused.detail is not None
    assert "Its sender was told" in page.text
    assert "For operators only" in page.text
    assert "where= of webhook /github" in page.text or "build" in page.text
    assert "judged anew" in page.text


async def test_a_conflict_is_shown_beside_the_delivery_that_counts(site: Served, mia: Browsing) -> None:
    first, conflict = await sent(site, b'{"n": 1}'), await sent(site, b'{"n": 2}')

    page = await mia.open(f"/deliveries/{conflict.id}")

    assert "Another body came under this id before" in page.text
    assert f'href="/deliveries/{first.id}"' in page.html
    assert '<span class="badge warn">another</span>' in page.html
    assert f'href="/runs/{first.run_id}"' in page.html


async def test_a_body_is_laid_out_and_cut_and_can_be_had_as_it_came(site: Served, mia: Browsing) -> None:
    small = await sent(site, b'{"b":1,"a":[true]}')
    page = await mia.open(f"/deliveries/{small.id}")
    assert "{\n  &#34;b&#34;: 1,\n  &#34;a&#34;: [\n    true\n  ]\n}" in page.html
    assert "{&#34;b&#34;:1,&#34;a&#34;:[true]}" in page.html
    assert "JSON, 18 bytes" in page.text

    large = await sent(site, json.dumps({"text": "x" * 500_000}).encode(), "d2")
    page = await mia.open(f"/deliveries/{large.id}")
    assert len(page.html) < 120_000
    assert f"agentflow deliveries show {large.id} --raw" in page.text
    assert "488.3 KiB" in page.text


# -- delivering it again


async def test_a_delivery_is_delivered_again_after_a_look_and_once_however_often_it_is_sent(
    site: Served, mia: Browsing
) -> None:
    first = await sent(site, b'{"kind": "push"}')
    page = await mia.open(f"/deliveries/{first.id}")
    assert f'href="/deliveries/{first.id}/redeliver"' in page.html

    asked = await mia.open(f"/deliveries/{first.id}/redeliver")
    assert "has started a run already" in asked.text
    made = await asked.submit()
    twice = await asked.submit()

    assert (made.path, made.status) == (twice.path, 200)
    again = await site.client.deliveries.one(made.path.rpartition("/")[2])
    assert (again.redelivery_of, again.requested_by, again.outcome) == (first.id, "mia", DeliveryOutcome.STARTED)
    assert "Delivered again by mia" in made.text
    assert len((await site.client.runs()).items) == 2


async def test_a_form_of_another_page_delivers_nothing_again(site: Served, mia: Browsing) -> None:
    first = await sent(site, b"{}")
    asked = await mia.open(f"/deliveries/{first.id}/redeliver")
    [token] = [field for field in asked.fields if field[0] == "csrf"]

    refused = await mia.post(asked.form.action, [("as_id", "dlv_01kc2m8q4y7n5r3t9v1xk5")])
    assert refused.status == 403
    assert (await mia.post(asked.form.action, [token, ("as_id", "run_1' OR 1=1")])).status == 400
    assert len((await site.client.runs()).items) == 1


async def test_what_no_webhook_is_served_for_is_not_delivered_again(site: Served, mia: Browsing) -> None:
    gone = (await site.store.receive_delivery(a_delivery(webhook="/gone"))).delivery

    assert "redeliver" not in (await mia.open(f"/deliveries/{gone.id}")).html
    refused = await mia.open(f"/deliveries/{gone.id}/redeliver")
    assert (refused.status, "no webhook on /gone" in refused.text) == (409, True)
