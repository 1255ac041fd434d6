"""The pages of events: what was sent and what came of it, what failed and is tried again, and who listens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow import task
from agentflow.requests import DeclareListener, SettleMatch
from agentflow.states import MatchStatus
from tests.support.stores import a_trigger
from tests.ui.conftest import Browsing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

import pytest

from tests.support.server import Served, served

if TYPE_CHECKING:
    from pathlib import Path


@task.on("invoice.*")
@task
async def book(n: int) -> int:
    return n


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path, book) as site:
        await site.client.declare_listeners()
        yield site


async def settled(site: Served, event_id: str, status: MatchStatus, reason: str | None = None) -> str | None:
    run = a_trigger(task="book", input='{"n":1}') if status is MatchStatus.STARTED else None
    match = await site.store.settle_match(
        SettleMatch(event_id=event_id, listener_id="book:invoice.*", status=status, run=run, reason=reason)
    )
    return None if match is None else match.run_id


async def test_an_event_is_listed_with_what_it_started(site: Served) -> None:
    sent = await site.client.send_event("invoice.paid", 1, key="2026-114", by="bank")
    await site.client.send_event("order.placed", 1, by="shop")
    run_id = await settled(site, sent.id, MatchStatus.STARTED)
    async with site.http() as http:
        browser = Browsing(http)
        listed = await browser.open("/events")
        named = await browser.open("/events?name=order.placed")
        one = await browser.open(f"/events/{sent.id}")

    assert "invoice.paid 2026-114 started book bank" in listed.text
    assert f'href="/runs/{run_id}"' in listed.html
    assert "nobody waited or listened" in named.text
    assert "invoice.paid" not in named.text
    assert run_id is not None
    assert run_id in one.text
    assert "Try again" not in one.text


async def test_an_event_that_failed_is_tried_again_from_its_page(site: Served) -> None:
    sent = await site.client.send_event("invoice.paid", "<b>x</b>", id="bank/77?a=<b>", by="bank")
    await settled(site, sent.id, MatchStatus.FAILED, reason="KeyError: '<b>total</b>'")
    async with site.http() as http:
        browser = Browsing(http)
        failed = await browser.open("/matches")
        assert "KeyError: '<b>total</b>'" in failed.text
        assert "<b>total</b>" not in failed.html
        again = await failed.submit()

    assert again.status == 200
    assert "Pending" in again.text
    [match] = await site.client.matches(sent.id)
    assert (match.status, match.reason) == (MatchStatus.PENDING, "tried again by local")


async def test_a_listener_that_no_worker_has_is_said_and_removed(site: Served) -> None:
    await site.store.declare_listeners([DeclareListener(id="old:x", task="old", pattern="x")], ["old"])
    async with site.http() as http:
        listed = await Browsing(http).open("/listeners")

    assert "invoice.* book Listens" in listed.text
    assert "x old" in listed.text
    assert "Remove" not in listed.text


async def test_an_event_that_is_not_there_is_a_page_that_says_so(site: Served) -> None:
    async with site.http() as http:
        browser = Browsing(http)
        missing, empty = await browser.open("/events/evt_nothing"), await browser.open("/events")

    assert missing.status == 404
    assert "there is no event" in missing.text
    assert "Nothing has been sent yet" in empty.text
