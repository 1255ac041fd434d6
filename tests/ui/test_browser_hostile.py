"""Hostile text in every field a task can write, on every page. The browser's watch finds whatever acts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from agentflow.failures import Failure
from agentflow.payloads import encode
from agentflow.requests import Failed, NewLogLine
from agentflow.states import EntryKind, Verdict

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.support.browser import Watch
    from tests.support.server import Served
    from tests.ui.seeding import Seeds

CORPUS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</pre></details><iframe src=https://evil.test/></iframe>",
    "<img src=https://evil.test/pixel.png>",
    "![](https://evil.test/pixel.png)",
    "[x](javascript:alert(1))",
    "<a href=javascript:alert(1)>x</a>",
    "<style>@import 'https://evil.test/x.css';</style>",
    "<link rel=stylesheet href=https://evil.test/x.css>",
    "<meta http-equiv=refresh content='0;url=https://evil.test/'>",
    "<base href=https://evil.test/>",
    "<form action=https://evil.test/><button>Approve</button></form>",
    "{{ 7 * 7 }}{% raw %}{{ config }}",
    "${alert(1)}`${alert(1)}`",
    "javascript:alert(1)//",
    "<!--<script>-->alert(1)",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "\u202egnp.exe\u202c\u200b\u0000\ud83d",
    "<input name=verdict value=approve autofocus onfocus=alert(1)>",
]
# A lone surrogate cannot be sent to a page as UTF-8, and approval data refuses it; logs and errors keep it escaped.
PLAIN = [text.replace("\ud83d", "").replace("\x00", "\x01") for text in CORPUS]


async def approval_of(seeds: Seeds, text: str) -> str:
    """A request with this text in every field."""
    claimed = await seeds.claimed("review", input={text: text}, origin=text)
    failure = Failure.of(ValueError(text)).to_json()
    await seeds.did(claimed, f"fetch{text.replace('/', '|')}#1", output=encode({text: [text]}), input=encode(text))
    await seeds.did(claimed, "load#1", kind=EntryKind.FAILED, error=failure, output=None, detail=text)
    line = NewLogLine(run_id=claimed.run.id, at=1, level=text, logger=text, message=text, key=text, epoch=1)
    await seeds.store.keep_logs([line])
    asked = await seeds.asks(
        {text: text, "rows": [{text: text}], "plain": text},
        claimed=claimed,
        title=text,
        summary=text,
        body=text,
        reason=text,
        risk=text,
        field_confidence={f"/{text}": 0.1, "/plain": 0.2},
        evidence={"/plain": {"document": text, "page": text, "quote": text, "url": text}},
        tags={text: text},
        schema={
            "type": "object",
            "title": text,
            "description": text,
            "properties": {"plain": {"type": "string", "title": text, "description": text, "enum": [text, "other"]}},
        },
    )
    return asked.id


async def settled(page: Page) -> None:
    """The page is what we wrote: one main, one decision form, our title's suffix; nothing was added by the text."""
    await expect(page.locator("main")).to_have_count(1)
    assert (await page.title()).endswith("agentflow")
    assert await page.locator("iframe, base, main style, main link, main meta, main img").count() == 0
    assert await page.locator("main script").count() == 0
    hrefs = await page.locator("main a").evaluate_all("(links) => links.map((link) => link.protocol)")
    assert set(hrefs) <= {"http:", "https:"}


async def unfolded(page: Page) -> None:
    """Open everything that folds, so that nothing hostile stays unrendered."""
    await page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true })")
    await settled(page)


@pytest.mark.parametrize("part", range(3))
async def test_hostile_text_is_only_text(site: Served, seeds: Seeds, page: Page, part: int) -> None:
    asked = [(text, await approval_of(seeds, text)) for text in PLAIN[part::3]]
    for path in ("/inbox", "/runs"):
        await page.goto(site.url + path)
        await settled(page)
    for text, approval_id in asked:
        run = (await site.client.approval(approval_id)).run_id
        for path in (f"/approvals/{approval_id}", f"/runs/{run}", f"/runs/{run}?tab=logs", f"/inbox?q={text}"):
            await page.goto(site.url + path)
            await unfolded(page)
        await site.client.decide(approval_id, Verdict.REJECT, by=text, comment=text)
        await page.goto(f"{site.url}/approvals/{approval_id}")
        await expect(page.locator(".outcome-word")).to_contain_text("Rejected")
        await unfolded(page)
    await page.goto(f"{site.url}/inbox?tab=decided")
    await settled(page)


@pytest.mark.parametrize("text", PLAIN[:4])
async def test_hostile_text_that_was_typed_is_only_text(
    site: Served, seeds: Seeds, page: Page, watch: Watch, text: str
) -> None:
    asked = await approval_of(seeds, "harmless")
    await page.goto(f"{site.url}/approvals/{asked}")
    await page.locator("#comment").fill(text)
    await page.get_by_role("button", name="JSON").click()
    await page.locator("#json").fill(text)
    watch.allow("422")
    await page.locator("#approve").click()
    await expect(page.locator("#errors")).to_be_visible()
    await unfolded(page)
    await expect(page.locator("#comment")).to_have_value(text)


async def test_hostile_errors_of_failed_runs_are_only_text(site: Served, seeds: Seeds, page: Page) -> None:
    for text in CORPUS:
        claimed = await seeds.claimed("review")
        error = ValueError(text)
        error.__cause__ = RuntimeError(text)
        failure = Failure.of(error)
        await seeds.store.finish(claimed.lease, Failed(failure.to_json()))
        await page.goto(f"{site.url}/runs/{claimed.run.id}")
        await expect(page.locator(".failed-card")).to_have_count(1)
        await settled(page)
