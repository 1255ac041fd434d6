"""Pages in a real browser: live, by keyboard, on a narrow screen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from agentflow.states import Verdict
from tests.support.browser import LASTING
from tests.ui.stories import an_ordinary_day, logged, the_invoice

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Page

    from tests.support.server import Served
    from tests.ui.seeding import Seeds


async def test_a_new_request_waits_for_a_key_and_moves_no_row(site: Served, seeds: Seeds, page: Page) -> None:
    await an_ordinary_day(seeds)
    await page.goto(f"{site.url}/inbox")
    await page.keyboard.press("j")
    focused = await page.locator(".row.focused").get_attribute("id")
    before = await page.locator("[data-row]").evaluate_all("(rows) => rows.map((row) => row.id)")
    new = await seeds.asks({"a": 1}, title="The newcomer", priority=500)
    await expect(page.locator("#arrivals")).to_contain_text("Show 1 new")
    assert await page.locator("[data-row]").evaluate_all("(rows) => rows.map((row) => row.id)") == before
    await expect(page.locator('[data-count="pending"]')).to_have_text("5")
    await page.keyboard.press(".")
    await expect(page.locator(f"#{new.id}")).to_be_visible()
    await expect(page.locator("#arrivals")).to_be_hidden()
    assert await page.locator(".row.focused").get_attribute("id") == focused


async def test_the_first_request_appears_by_itself_and_a_decided_one_fades(
    site: Served, seeds: Seeds, page: Page
) -> None:
    await page.goto(f"{site.url}/inbox")
    await expect(page.locator(".empty")).to_contain_text("Nothing has asked")
    asked = await the_invoice(seeds)
    row = page.locator(f"#{asked.id}")
    await expect(row).to_be_visible()
    await site.client.decide(asked.id, Verdict.APPROVE, by="ana")
    await expect(row).to_have_class(re.compile("gone"))


async def arrived(page: Page, heading: str) -> None:
    """The page with this heading is there, its script included."""
    await expect(page.locator("h1")).to_have_text(heading)
    await page.wait_for_load_state("load")


async def test_the_inbox_is_worked_by_keyboard(site: Served, seeds: Seeds, page: Page) -> None:
    await an_ordinary_day(seeds)
    await page.add_init_script(LASTING)
    await page.goto(f"{site.url}/inbox")
    await expect(page.locator("[data-row]").first).to_have_class(re.compile("focused"))
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("k")
    second = page.locator("[data-row]").nth(1)
    await expect(second).to_have_class(re.compile("focused"))
    title = await second.locator(".row-title").inner_text()
    await expect(page.locator("#preview h2")).to_have_text(title)
    await page.keyboard.press("/")
    await page.keyboard.type("jkgr?")
    await expect(page.locator("#q")).to_have_value("jkgr?")
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("o")
    await arrived(page, title)
    await page.keyboard.press("]")
    await expect(page.locator("h1")).not_to_have_text(title)
    await page.wait_for_load_state("load")
    await page.keyboard.press("[")
    await arrived(page, title)
    await page.keyboard.press("g")
    await page.keyboard.press("r")
    await arrived(page, "Runs")
    await page.keyboard.press("g")
    await page.keyboard.press("i")
    await expect(page.locator("h1")).to_have_text("Inbox")


async def test_a_run_page_follows_its_run_and_keeps_what_was_unfolded(site: Served, seeds: Seeds, page: Page) -> None:
    claimed = await seeds.claimed()
    await seeds.did(claimed, "fetch#1")
    await page.goto(f"{site.url}/runs/{claimed.run.id}")
    await page.locator(".operation summary").first.click()
    await seeds.did(claimed, "save#1")
    await expect(page.locator(".operation")).to_have_count(2)
    await expect(page.locator(".operation details").first).to_have_attribute("open", "")
    await expect(page.locator(".operation details").nth(1)).not_to_have_attribute("open", "")


async def test_a_hidden_tab_gives_its_connection_back_and_misses_nothing(
    site: Served, seeds: Seeds, page: Page
) -> None:
    await page.goto(f"{site.url}/inbox")
    await site.streams(1)
    await hide(page, hidden=True)
    await site.streams(0)
    asked = await the_invoice(seeds)
    assert await page.locator(f"#{asked.id}").count() == 0
    await hide(page, hidden=False)
    await expect(page.locator(f"#{asked.id}")).to_be_visible()


async def hide(page: Page, *, hidden: bool) -> None:
    """What a browser does when another tab is chosen."""
    await page.evaluate(
        """(hidden) => { Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange")); }""",
        hidden,
    )


async def test_a_lost_stream_is_said_and_comes_back(site: Served, page: Page, watch) -> None:
    watch.allow("ERR_")
    await page.route("**/live*", lambda route: route.abort())
    await page.goto(f"{site.url}/inbox")
    await expect(page.locator("#live-lost")).to_be_visible()
    await page.unroute("**/live*")
    await page.reload()
    await expect(page.locator("#live-lost")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_is_wider_than_a_telephone(
    site: Served, seeds: Seeds, open_page: Callable[..., Awaitable[Page]], scheme: str
) -> None:
    invoice = await an_ordinary_day(seeds)
    await logged(seeds, invoice.run_id)
    page = await open_page(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    run = f"/runs/{invoice.run_id}"
    for path in ("/inbox", f"/approvals/{invoice.id}", "/runs", run, f"{run}?tab=logs", f"{run}/cancel", "/schedules"):
        await page.goto(site.url + path)
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360, f"{path} is {width} wide"
        seen = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert seen == {"light": "rgb(246, 247, 249)", "dark": "rgb(15, 17, 21)"}[scheme]


async def test_every_control_has_a_name_a_size_and_a_focus_ring(site: Served, seeds: Seeds, page: Page) -> None:
    invoice = await an_ordinary_day(seeds)
    for path in ("/inbox", f"/approvals/{invoice.id}", "/runs", f"/runs/{invoice.run_id}/cancel"):
        await page.goto(site.url + path)
        nameless = await page.evaluate(
            """[...document.querySelectorAll("input:not([type=hidden]), select, textarea, button")]
            .filter((one) => !one.hidden && !(one.labels?.length) && !one.innerText?.trim() && !one.ariaLabel
              && !one.textContent.trim()).map((one) => one.outerHTML)"""
        )
        assert nameless == [], path
        small = await page.evaluate(
            """[...document.querySelectorAll("button, select, input:not([type=checkbox])")]
            .filter((one) => one.checkVisibility() && one.tabIndex >= 0 && !one.classList.contains("visually-hidden"))
            .map((one) => [one.outerHTML, one.getBoundingClientRect()])
            .filter(([, box]) => box.width < 24 || box.height < 24).map(([html]) => html)"""
        )
        assert small == [], path
    landmarks = await page.evaluate("['header', 'nav', 'main'].map((one) => !!document.querySelector(one))")
    assert landmarks == [True, True, True]


async def test_the_reference_of_the_api_needs_nothing_from_elsewhere(site: Served, page: Page) -> None:
    answer = await page.request.get(f"{site.url}/schema/openapi.json")
    operations = sum(len(path) for path in (await answer.json())["paths"].values())
    assert operations > 20

    await page.goto(f"{site.url}/schema")

    await expect(page.locator(".opblock")).to_have_count(operations)
