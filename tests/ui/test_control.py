"""Steering a run from its page and by the API: each verb asks first, does what it says, and shows what it did."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from agentflow.failures import Failure
from agentflow.requests import Failed, NeedsAttention, Undone
from agentflow.states import EntryKind
from tests.ui.stories import the_invoice

if TYPE_CHECKING:
    import httpx
    from playwright.async_api import Page

    from agentflow.records import Run
    from tests.support.server import Served
    from tests.ui.conftest import Browsing
    from tests.ui.seeding import Seeds


async def in_doubt(seeds: Seeds) -> Run:
    """A run that stopped at a step whose end is not known."""
    claimed = await seeds.claimed("pay")
    await seeds.did(claimed, "charge#1", kind=EntryKind.STARTED, output=None)
    error = Failure.of(RuntimeError("charge#1 was started and its end is not recorded")).to_json()
    detail = json.dumps({"recorded": "start of charge#1", "asked": "its end", "key": "charge#1"})
    await seeds.store.finish(claimed.lease, NeedsAttention(EntryKind.DIVERGED, error, detail))
    return await seeds.store.run(claimed.run.id)


async def with_undo(seeds: Seeds) -> Run:
    """A run that has booked something, and could give it back."""
    claimed = await seeds.claimed("trip")
    await seeds.did(claimed, "book#1", detail="undo:unbook")
    await seeds.asks({"go": True}, claimed=claimed)
    return await seeds.store.run(claimed.run.id)


# -- pages


async def test_a_paused_run_says_who_paused_it_and_is_resumed_from_its_page(seeds: Seeds, mia: Browsing) -> None:
    asked = await the_invoice(seeds)
    question = await mia.open(f"/runs/{asked.run_id}/pause")
    assert "Pause this run?" in question.text
    assert "Open requests can still be answered" in question.text
    page = await question.submit(reason="month's end")
    assert "Paused by mia: month's end; it goes on when somebody resumes it" in page.text
    assert "Resume…" in page.text
    assert "Pause…" not in page.text
    page = await (await mia.open(f"/runs/{asked.run_id}/resume")).submit()
    assert "Pause…" in page.text


async def test_a_cancel_says_what_is_undone_and_the_timeline_shows_it(seeds: Seeds, mia: Browsing) -> None:
    run = await with_undo(seeds)
    question = await mia.open(f"/runs/{run.id}/cancel")
    assert "1 step is undone first" in question.text
    assert "1 open request is withdrawn" in question.text
    page = await question.submit(reason="ill")
    assert "It is to be cancelled once its steps are undone (cancelled by mia: ill)" in page.text
    assert "Is to end, and undoes its steps first" in page.text
    assert "Cancel…" not in page.text
    undoing = await seeds.claimed_again(run.id)
    await seeds.did(undoing, "undo#0/unbook#1", operation="undo", detail="undoes:book#1")
    await seeds.store.finish(undoing.lease, Undone("undone: book#1"))
    page = await mia.open(f"/runs/{run.id}")
    assert "undo#0 / unbook#1 undoes book#1" in page.text
    assert "cancelled by mia: ill; undone: book#1" in page.text
    assert "Retry…" not in page.text, "what is undone is forked"
    assert "Fork…" in page.text


async def test_a_failed_run_is_tried_again_from_its_page(seeds: Seeds, mia: Browsing) -> None:
    run = await seeds.failed(ConnectionError("refused"))
    page = await (await mia.open(f"/runs/{run.id}/retry")).submit(reason="bank is back")
    assert "Queued" in page.text
    assert "Tried again by an operator" in page.text
    assert "retried by mia: bank is back" in page.text


@pytest.mark.parametrize("known", [True, False])
async def test_a_step_in_doubt_is_answered_or_left_to_run_again(seeds: Seeds, mia: Browsing, known: bool) -> None:
    run = await in_doubt(seeds)
    question = await mia.open(f"/runs/{run.id}/resume")
    assert "What became of charge#1 ?" in question.text
    refused = await question.submit(output="{paid}")
    assert (refused.status, "The result is no JSON" in refused.text) == (422, True)
    page = await question.submit(output='"paid"' if known else "")
    assert "Queued" in page.text
    results = [one.output for one in await seeds.store.entries(run.id) if one.kind is EntryKind.SUCCEEDED]
    assert results == (['"paid"'] if known else [])


async def test_a_fork_begins_where_the_page_says_with_the_other_result(seeds: Seeds, mia: Browsing) -> None:
    claimed = await seeds.claimed("pay")
    await seeds.did(claimed, "fetch#1")
    await seeds.did(claimed, "charge#1")
    page = await mia.open(f"/runs/{claimed.run.id}")
    assert f"/runs/{claimed.run.id}/fork?at=charge%231" in page.html
    question = await mia.open(f"/runs/{claimed.run.id}/fork?at=charge%231")
    assert ("from", "charge#1") in question.fields
    made = await question.submit(patch_key="fetch#1", patch='{"ok": false}', reason="misread")
    assert f"Forked from {claimed.run.id}" in made.text
    assert "with another result of fetch#1: misread" in made.text
    new = made.path.rpartition("/")[2]
    assert [one.output for one in await seeds.store.entries(new) if one.key == "fetch#1"] == ['{"ok":false}']


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"from": "chargee#1"}, 404, "the nearest are"),
        ({"patch_key": "fetch#1"}, 422, "needs both the operation and the result"),
        ({"patch_key": "fetch#1", "patch": "{"}, 422, "is no JSON"),
        ({"patch_key": "fetch#1", "patch": "[" * 100_000}, 422, "is no JSON"),
        ({"from": "fetch#1", "patch_key": "charge#1", "patch": "1"}, 422, "no result before fetch#1"),
    ],
)
async def test_a_fork_that_cannot_be_makes_no_run(
    seeds: Seeds, mia: Browsing, fields: dict[str, str], status: int, said: str
) -> None:
    claimed = await seeds.claimed("pay")
    await seeds.did(claimed, "fetch#1")
    await seeds.did(claimed, "charge#1")
    refused = await (await mia.open(f"/runs/{claimed.run.id}/fork")).submit(**fields)
    assert (refused.status, said in refused.text) == (status, True), refused.text
    assert (await seeds.store.counts()).runs == {"running": 1}


async def test_a_verb_that_comes_too_late_is_told_what_the_run_is(seeds: Seeds, mia: Browsing) -> None:
    run = await seeds.finished()
    for verb in ("cancel", "pause", "resume", "retry"):
        refused = await (await mia.open(f"/runs/{run.id}/{verb}")).submit()
        assert (refused.status, f"run {run.id} is completed" in refused.text) == (409, True)


async def test_the_buttons_of_a_run_do_what_they_say_in_a_browser(site: Served, seeds: Seeds, page: Page) -> None:
    run = await with_undo(seeds)
    buttons = page.locator(".head-buttons a")
    await page.goto(f"{site.url}/runs/{run.id}")
    await expect(buttons).to_have_text(["Pause…", "Fork…", "Cancel…"])
    await buttons.nth(0).click()
    await page.locator("#reason").fill("month's end")
    await page.locator("button.primary").click()
    await expect(page.locator(".why")).to_contain_text("Paused by")
    await expect(buttons).to_have_text(["Resume…", "Fork…", "Cancel…"])
    await buttons.nth(0).click()
    await page.locator("button.primary").click()
    await expect(buttons).to_have_text(["Pause…", "Fork…", "Cancel…"])
    await buttons.nth(2).click()
    await expect(page.locator(".confirm")).to_contain_text("1 step is undone first")
    await page.locator("button.danger").click()
    await expect(page.locator(".why")).to_contain_text("once its steps are undone")
    await expect(buttons).to_have_text(["Pause…", "Fork…"])
    await page.locator("summary", has_text="book#1").click()
    await page.locator("text=Fork from here…").first.click()
    await expect(page.locator("#from")).to_have_value("book#1")
    await page.locator("button.primary").click()
    await expect(page.locator(".facts")).to_contain_text("Forked from")


# -- the API


async def steer(http: httpx.AsyncClient, run_id: str, verb: str, **body: Any) -> httpx.Response:
    return await http.post(f"/api/v1/runs/{run_id}/{verb}", json=body)


async def test_runs_are_steered_by_the_api(site: Served, seeds: Seeds) -> None:
    asked = await the_invoice(seeds)
    async with site.http() as http:
        paused = await steer(http, asked.run_id, "pause", reason="month's end")
        assert (paused.status_code, paused.json()["pause"]["reason"]) == (200, "month's end")
        again = await steer(http, asked.run_id, "pause")
        assert (again.status_code, again.json()["type"]) == (409, "urn:agentflow:problem:illegal-transition")
        assert (await steer(http, asked.run_id, "resume")).json()["status"] == "queued"
        made = await steer(http, asked.run_id, "fork", reason="once more")
        assert made.status_code == 201
        assert made.json()["forked_from"] == asked.run_id
        assert made.headers["location"] == f"/api/v1/runs/{made.json()['id']}"
        missing = await steer(http, asked.run_id, "fork", from_key="nothing#1")
        assert (missing.status_code, missing.json()["type"]) == (404, "urn:agentflow:problem:key-not-recorded")


async def test_a_step_in_doubt_and_a_failed_run_are_steered_by_the_api(site: Served, seeds: Seeds) -> None:
    doubtful, failed = await in_doubt(seeds), await seeds.failed(ValueError("no"))
    trip = await with_undo(seeds)
    async with site.http() as http:
        assert (await steer(http, doubtful.id, "resume", output=None)).json()["status"] == "queued"
        assert [one.output for one in await seeds.store.entries(doubtful.id) if one.output] == ["null"]
        assert (await steer(http, failed.id, "retry", reason="")).json()["attempt"] == 2
        assert (await steer(http, trip.id, "cancel")).json()["is_undoing"] is True
        assert (await http.get("/api/v1/runs/stuck")).json() == {"items": []}


async def test_an_undone_run_is_not_retried_and_the_answer_says_what_to_do(site: Served, seeds: Seeds) -> None:
    claimed = await seeds.claimed("trip")
    await seeds.did(claimed, "book#1", detail="undo:unbook")
    await seeds.store.finish(claimed.lease, Failed(Failure.of(ValueError("no")).to_json()))
    undoing = await seeds.claimed_again(claimed.run.id)
    await seeds.store.finish(undoing.lease, Undone("undone: book#1"))
    async with site.http() as http:
        refused = await steer(http, claimed.run.id, "retry")
        assert refused.status_code == 409
        assert "fork it instead" in refused.json()["detail"]
