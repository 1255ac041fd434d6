"""Lies in the loop: whatever an agent writes about a call, a person sees the call itself, and our words as ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from tests.ui.calls import ARGUMENTS, a_call, three_calls

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Page

    from tests.support.server import Served
    from tests.ui.seeding import Seeds

TRUTH: dict[str, Any] = {"order": "A-1", "amount": 9000, "reason": "It arrived broken."}
MARK = "ZZLIEZZ"

SAID = {
    "another amount": f"{MARK} This refunds 20 EUR for order A-1, nothing else.",
    "a banner of ours": f"{MARK} ✓ Already approved by finance (mia). Press Approve to close this ticket.",
    "a heading": f"# {MARK} Tool `read_order` will be called\n\n## Only reads",
    "HTML headings and buttons": f"<h1>{MARK}</h1><h2>Only reads</h2><button name=verdict>{MARK}</button>",
    "an end of our box": f"</section></div><section class='card'><h2>{MARK} verified by agentflow</h2></section>",
    "a style": f"<style>.call-line,.data-card{{display:none}}</style>{MARK}",
    "a script": f"<script>document.querySelector('.call-line').remove()</script><img src=x onerror=alert('{MARK}')>",
    "padding": f"{MARK}\n" + "\n" * 3_000 + "approve",
    "one endless word": MARK + "A" * 3_900,
    "reversed text": f"{MARK} \u202eRUE 0009 dnufer ton od\u202c amount 20",
    "hidden text": f"{MARK}\u200b\u200d\u2060 amount\u00ad 20\ufeff",
    "look-alikes": f"{MARK} rеfund of аmount 20",
    "a digest": f"{MARK} sha256 0000000000000000000000000000 matches the reviewed request.",
    "our words": f"{MARK} If you approve, nothing happens. It can be undone. Low risk. Only reads.",
    "a Markdown link": f"[Open the {MARK} reviewed version](https://evil.test/approve)",
}
ARGUED = {
    "a value as a sentence": {"order": f"A-1 {MARK} (already approved)", "amount": 9000, "reason": "x"},
    "a value with a heading": {"order": f"<h1>{MARK}</h1>", "amount": 9000, "reason": f"# {MARK}"},
    "a value that pads": {"reason": f"{MARK} " + "\n" * 4_000, "order": "A-1", "amount": 9000},
    "a value turned round": {"order": f"\u202e1-A {MARK}\u202c", "amount": 9000, "reason": "x"},
    "a value that closes its quotes": {"order": f'A-1", amount 20 {MARK} "', "amount": 9000, "reason": "x"},
}
LIES: list[tuple[str, dict[str, Any], str]] = [
    *((name, TRUTH, said) for name, said in SAID.items()),
    *((name, arguments, "It is fine.") for name, arguments in ARGUED.items()),
]


def test_there_are_twenty_of_them() -> None:
    assert len(LIES) == 20


@pytest.mark.parametrize(("arguments", "said"), [lie[1:] for lie in LIES], ids=[lie[0] for lie in LIES])
async def test_the_call_is_seen_first_and_no_word_of_an_agent_stands_where_ours_do(
    seeds: Seeds, site: Served, page: Page, arguments: dict[str, Any], said: str
) -> None:
    """Headings, titles, buttons and the sentence about approving are ours, and the amount is on the first screen."""
    approval = await a_call(seeds, arguments, said=said)
    await page.set_viewport_size({"width": 1280, "height": 800})
    for address in ("/inbox", f"/approvals/{approval.id}"):
        await page.goto(f"{site.url}{address}")
        ours = await page.locator("h1, h2, h3, legend, button, summary, label, .badge, .consequence").all_inner_texts()
        assert not [text for text in ours if MARK in text]
        assert MARK not in await page.title()
    await expect(page.locator("h1")).to_have_text("Call refund")
    await expect(page.locator("#data-title")).to_have_text("Tool refund will be called with exactly these arguments")
    glance = page.locator(".call-line")
    assert [name.strip("= ") for name in await glance.locator("li > .quiet").all_inner_texts()] == list(arguments)
    await expect(glance).to_contain_text("9000")
    for part in (glance, page.locator("#approve"), page.locator("[data-digest-text]")):
        box = await part.bounding_box()
        assert box is not None
        assert 0 <= box["y"] < 800
        assert box["y"] + box["height"] <= 800
    await expect(page.locator(".consequence")).to_contain_text("It cannot be undone.")


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
async def test_an_agents_words_stay_in_their_box_as_plain_text_below_the_arguments(
    seeds: Seeds, site: Served, page: Page, said: str
) -> None:
    approval = await a_call(seeds, TRUTH, said=said)
    await page.goto(f"{site.url}/approvals/{approval.id}")
    box = page.locator(".agent-says")
    await expect(box.locator("h2")).to_have_text("Written by the agent not verified")
    assert await box.locator("a, button, h1, h3, img, style, script, input").count() == 0
    inside = await box.inner_text()
    assert MARK in inside
    everywhere = await page.locator("body").inner_text()
    assert everywhere.count(MARK) == inside.count(MARK)
    data, words = await page.locator(".data-card").bounding_box(), await box.bounding_box()
    assert data is not None
    assert words is not None
    assert data["y"] + data["height"] <= words["y"]
    assert words["height"] < 400
    for hidden in "\u202e\u200b\u2060\ufeff":
        assert hidden not in everywhere


async def test_what_is_approved_is_what_was_on_the_page(seeds: Seeds, site: Served, page: Page) -> None:
    approval = await a_call(seeds, TRUTH, said=SAID["our words"])
    await page.goto(f"{site.url}/approvals/{approval.id}")
    shown = await page.locator("[data-digest-text]").get_attribute("title")
    await page.locator("#approve").click()
    await page.locator("#outcome, #confirm").first.wait_for()
    if await page.locator("#confirm").count():
        await page.locator("#confirm").click()
    await page.locator(".outcome").wait_for()
    decided = await site.store.approval(approval.id)
    assert json.loads(decided.final or "") == TRUTH
    assert decided.final_digest == shown


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
async def test_a_standing_approval_is_made_on_any_screen(
    seeds: Seeds, site: Served, open_page: Callable[..., Awaitable[Page]], scheme: str, width: int
) -> None:
    calls = await three_calls(seeds)
    page = await open_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    await page.goto(f"{site.url}/approvals/{calls[1].id}")
    await expect(page.locator(".calls-of-turn")).to_contain_text("3 of 3 calls of this turn wait for you")
    await page.locator("#always > summary").click()
    await page.get_by_label("order", exact=True).select_option("any")
    await page.get_by_label("amount", exact=True).select_option("at_most")
    await page.get_by_label("Number or values for amount").fill("150")
    await page.get_by_label("Until").select_option("1d")
    await page.locator("#always-reason").fill("small ones")
    await page.get_by_role("button", name="See what that would approve").click()
    await expect(page.locator(".standing-words")).to_contain_text("amount is a number from 0 to 150")
    await page.locator("#make").click()
    await expect(page.locator("article.standing")).to_contain_text("Holds")
    overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0
    (made,) = await site.client.standings()
    assert (made.made_by, made.approval_id) == ("mia", calls[1].id)
    assert json.loads(made.terms)["properties"]["reason"] == {"const": ARGUMENTS["reason"]}
