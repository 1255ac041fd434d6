"""Pictures of the pages, to be looked at: `python -m tests.ui.screenshots FOLDER`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.async_api import async_playwright

from tests.support.browser import FLAGS, HOW_TO_GET_IT, find_chromium
from tests.support.server import Served, served
from tests.ui.seeding import Seeds
from tests.ui.stories import an_ordinary_day, logged, the_invoice

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

WHOLE = {"run", "run-failed", "run-attention", "run-logs", "decision", "api"}
SIZES = {"wide": {"width": 1440, "height": 900}, "narrow": {"width": 390, "height": 844}}


async def typed(page: Page, **fields: str) -> None:
    for name, text in fields.items():
        await page.locator(f'[name="f:/{name}"]:not([type=hidden])').fill(text)


async def conflict(page: Page, site: Served, invoice: str) -> None:
    """A reviewer types while another decides."""
    await page.goto(f"{site.url}/approvals/{invoice}")
    await typed(page, total="1300.50")
    await page.locator("#changes[data-count='1']").wait_for()
    await site.client.decide(invoice, "approve", by="ana", channel="web", comment="Checked against the order.")
    await page.locator("#overtaken").wait_for()
    await page.evaluate("document.querySelectorAll('.verb-buttons button').forEach((one) => { one.disabled = false })")
    await page.locator("#approve").click()
    await page.locator("text=Your draft").wait_for()


async def shoot(browser: Browser, site: Served, invoice: str, folder: Path, only: str) -> None:
    failed, troubled = [
        (await site.client.runs(statuses=[status])).items[0].id
        for status in ("failed", "needs_attention")  # type: ignore[list-item]
    ]
    run = (await site.client.approval(invoice)).run_id
    pages = {
        "inbox": "/inbox",
        "decision": f"/approvals/{invoice}",
        "runs": "/runs",
        "run": f"/runs/{run}",
        "run-failed": f"/runs/{failed}",
        "run-attention": f"/runs/{troubled}",
        "run-logs": f"/runs/{run}?tab=logs",
        "cancel": f"/runs/{run}/cancel",
        "missing": "/nothing",
        "webhooks": "/webhooks",
        "api": "/schema",
        "correction": f"/approvals/{invoice}",
        "errors": f"/approvals/{invoice}",
        "review": f"/approvals/{invoice}",
        "keys": "/inbox",
    }
    for (name, path), (size, viewport), scheme in product(pages.items(), SIZES.items(), ("light", "dark")):
        if only and only not in f"{name}-{size}-{scheme}":
            continue
        context = await browser.new_context(viewport=viewport, color_scheme=scheme)  # type: ignore[arg-type]
        page = await context.new_page()
        await page.goto(site.url + path)
        await prepared(page, name)
        if name in WHOLE:  # a taller window, since what is fixed to the window stands in the way of a longer picture
            height = await page.evaluate("document.documentElement.scrollHeight")
            await page.set_viewport_size({"width": viewport["width"], "height": max(height, viewport["height"])})
        await page.screenshot(path=folder / f"{name}-{size}-{scheme}.png")
        await context.close()


async def prepared(page: Page, name: str) -> None:
    """Bring the page into the state its picture is about."""
    if name == "keys":
        await page.keyboard.press("?")
    if name == "correction":
        await typed(page, total="1250.50", notes="Second reminder was sent on 14 November; no discount applies to it.")
        await page.locator("#changes[data-count='2']").wait_for()
    if name == "errors":
        await typed(page, total="1.250,50", issued="2026-02-31")
        await page.locator("#approve").click()
        await page.locator("#errors").wait_for()
    if name == "review":
        await typed(page, total="1250.50")
        await page.locator("#changes[data-count='1']").wait_for()
        await page.evaluate("document.querySelector('[name=reviewed]').value = ''")
        await page.locator("#approve").click()
        await page.locator("#confirm").wait_for()
    if name == "api":
        await page.locator(".opblock").first.wait_for()
    if name.startswith("run"):
        for one in await page.locator(".operation.failed summary").all():
            await one.click()


async def pictures(folder: Path, only: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        with tempfile.TemporaryDirectory() as empty, tempfile.TemporaryDirectory() as full:
            async with served(Path(empty)) as site:
                for scheme in ("light", "dark"):
                    page = await browser.new_page(color_scheme=scheme, viewport=SIZES["wide"])  # type: ignore[arg-type]
                    await page.goto(f"{site.url}/inbox")
                    await page.screenshot(path=folder / f"empty-wide-{scheme}.png")
            async with served(Path(full), reviewer="mia") as site:
                seeds = Seeds(site.store)
                invoice = await an_ordinary_day(seeds)
                await logged(seeds, invoice.run_id)
                await shoot(browser, site, invoice.id, folder, only)
                for size, scheme in product(SIZES, ("light", "dark")):
                    asked = await the_invoice(seeds)
                    context = await browser.new_context(viewport=SIZES[size], color_scheme=scheme)  # type: ignore[arg-type]
                    page = await context.new_page()
                    await conflict(page, site, asked.id)
                    await page.screenshot(path=folder / f"conflict-{size}-{scheme}.png")
                    await page.goto(f"{site.url}/approvals/{asked.id}")
                    await page.screenshot(path=folder / f"decided-{size}-{scheme}.png")
                    await context.close()
        await browser.close()


if __name__ == "__main__":
    if find_chromium() is None:
        sys.exit(HOW_TO_GET_IT)
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    asyncio.run(pictures(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""))
