"""Deciding in a real browser, with scripts and without."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from playwright.async_api import expect

from agentflow.states import ApprovalStatus, Verdict
from tests.ui.stories import the_invoice

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Locator, Page

    from agentflow.records import Approval
    from tests.support.browser import Watch
    from tests.support.server import Served
    from tests.ui.seeding import Seeds


def field(page: Page, path: str) -> Locator:
    return page.locator(f'[name="f:/{path}"]:not([type=hidden])')


async def opened(page: Page, site: Served, asked: Approval) -> None:
    await page.goto(f"{site.url}/approvals/{asked.id}")


async def final(site: Served, asked: Approval) -> dict[str, object]:
    return json.loads((await site.client.approval(asked.id)).final or "null")


async def test_a_and_ctrl_enter_approve(site: Served, seeds: Seeds, page: Page) -> None:
    asked = await the_invoice(seeds)
    await opened(page, site, asked)
    await page.keyboard.press("a")
    await expect(page.locator("#approve")).to_be_focused()
    assert (await site.client.approval(asked.id)).is_pending, "one bare key never decides"
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".outcome-word")).to_contain_text("Approved")
    assert await final(site, asked) == json.loads(asked.data)


async def test_a_correction_is_counted_shown_and_recorded_with_its_types(
    site: Served, seeds: Seeds, page: Page
) -> None:
    asked = await the_invoice(seeds)
    await opened(page, site, asked)
    await field(page, "total").fill("1250.50")
    await expect(page.locator("#approve")).to_contain_text("Approve with 1 change")
    await expect(page.locator("#changes ins")).to_have_text("+1250.50")
    await field(page, "lines/0/quantity").fill("9")
    await field(page, "paid").check()
    await field(page, "due").fill("2026-12-24")
    await expect(page.locator("#approve")).to_contain_text("Approve with 4 changes")
    await page.locator("#approve").click()
    await expect(page.locator(".outcome-word")).to_contain_text("Approved with 4 changes")
    expected = json.loads(asked.data) | {"total": "1250.50", "paid": True, "due": "2026-12-24"}
    expected["lines"][0]["quantity"] = 9
    assert await final(site, asked) == expected
    assert (await site.client.approval(asked.id)).status is ApprovalStatus.CORRECTED


async def test_a_change_taken_back_is_no_change(site: Served, seeds: Seeds, page: Page) -> None:
    asked = await the_invoice(seeds)
    await opened(page, site, asked)
    await field(page, "total").fill("1")
    await expect(page.locator("#approve")).to_contain_text("with 1 change")
    await field(page, "supplier").fill("Meyer")
    await expect(page.locator("#approve")).to_contain_text("with 2 changes")
    await page.locator(".field.changed [data-reset]").first.click()
    await expect(field(page, "total")).to_have_value("1200.50")
    await field(page, "supplier").fill("Müller & Söhne GmbH")
    await expect(page.locator("#approve")).not_to_contain_text("change")
    await page.locator("#approve").click()
    await expect(page.locator(".outcome-word")).to_have_text("Approved")
    assert (await site.client.approval(asked.id)).status is ApprovalStatus.APPROVED


async def test_r_asks_for_the_reason_and_ctrl_enter_rejects(site: Served, seeds: Seeds, page: Page) -> None:
    asked = await the_invoice(seeds)
    await opened(page, site, asked)
    await page.keyboard.press("r")
    await expect(page.locator("#comment")).to_be_focused()
    await page.keyboard.type("area 51 is no supplier")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".outcome-word")).to_contain_text("Rejected")
    assert (await site.client.approval(asked.id)).comment == "area 51 is no supplier"


async def test_e_goes_to_what_needs_attention_and_u_takes_a_change_back(site: Served, seeds: Seeds, page: Page) -> None:
    asked = await the_invoice(seeds)
    await opened(page, site, asked)
    await page.keyboard.press("e")
    await expect(field(page, "total")).to_be_focused()
    await page.keyboard.type("7")
    await page.keyboard.press("Escape")
    await page.locator(".field.changed [data-reset]").focus()
    await page.keyboard.press("u")
    await expect(field(page, "total")).to_have_value("1200.50")


async def test_enter_goes_to_the_next_field_that_needs_attention(site: Served, seeds: Seeds, page: Page) -> None:
    asked = await the_invoice(seeds)
    await opened(page, site, asked)
    await field(page, "total").press("Enter")
    await expect(field(page, "issued")).to_be_focused()
    await field(page, "number").press("Enter")
    await expect(field(page, "due")).to_be_focused()
    await field(page, "lines/1/unit_price").press("Enter")
    await expect(page.locator("#comment")).to_be_focused()
    assert page.url.endswith(asked.id), "nothing was sent"


async def test_what_does_not_fit_stays_typed_and_is_said(site: Served, seeds: Seeds, page: Page, watch: Watch) -> None:
    watch.allow("422")
    asked = await the_invoice(seeds)
    await opened(page, site, asked)
    await field(page, "issued").fill("2026-02-31")
    await field(page, "lines/0/quantity").fill("1.000,5")
    await expect(page.locator("#changes")).to_contain_text("2 fields need attention")
    await page.locator("#approve").click()
    await expect(page.locator("#errors")).to_be_focused()
    await expect(field(page, "issued")).to_have_value("2026-02-31")
    await expect(field(page, "lines/0/quantity")).to_have_value("1.000,5")
    assert (await site.client.approval(asked.id)).is_pending


async def test_rows_change_in_place(site: Served, seeds: Seeds, page: Page) -> None:
    asked = await the_invoice(seeds)
    await opened(page, site, asked)
    await page.evaluate("window.same = true")
    await field(page, "supplier").fill("Meyer")
    await page.get_by_role("button", name="Add row").click()
    await field(page, "lines/+1/description").fill("Hotel")
    await field(page, "lines/+1/quantity").fill("2")
    await field(page, "lines/+1/unit_price").fill("50.00")
    await page.get_by_role("button", name="Remove 1").click()
    await expect(page.locator(".form-row")).to_have_count(2)
    await expect(page.locator("#approve")).to_contain_text("Approve with 3 changes")
    assert await page.evaluate("window.same"), "the page was not loaded again"
    await page.locator("#approve").click()
    await expect(page.locator(".outcome-word")).to_contain_text("Approved with 3 changes")
    decided = await final(site, asked)
    assert decided["supplier"] == "Meyer"
    assert [line["description"] for line in decided["lines"]] == ["Travel", "Hotel"]  # type: ignore[index, attr-defined]


async def test_everything_works_without_scripts(
    site: Served, seeds: Seeds, open_page: Callable[..., Awaitable[Page]]
) -> None:
    asked = await the_invoice(seeds)
    page = await open_page(java_script_enabled=False)
    await page.goto(f"{site.url}/inbox")
    await page.get_by_role("link", name="Invoice INV-4711").click()
    await field(page, "total").fill("1250.50")
    await page.get_by_role("button", name="Add row").click()
    await field(page, "lines/+1/description").fill("Hotel")
    await field(page, "lines/+1/quantity").fill("2")
    await field(page, "lines/+1/unit_price").fill("50.00")
    await page.locator("#comment").fill("Seen\nthe stamp")
    await field(page, "lines/+1/unit_price").press("Enter")
    await expect(page.locator("#review-title")).to_have_text("Review your changes")
    await page.get_by_role("button", name="Back to editing").click()
    await expect(field(page, "lines/+1/description")).to_have_value("Hotel")
    await page.locator("#approve").click()
    await page.locator("#confirm").click()
    await expect(page.locator(".outcome-word")).to_contain_text("Approved with 2 changes")
    decided = await final(site, asked)
    assert decided["total"] == "1250.50"
    assert decided["lines"][2]["quantity"] == 2  # type: ignore[index]
    assert (await site.client.approval(asked.id)).comment == "Seen\nthe stamp"


async def test_a_rejection_without_scripts_is_asked_for_its_reason(
    site: Served, seeds: Seeds, open_page: Callable[..., Awaitable[Page]], watch: Watch
) -> None:
    watch.allow("422")
    asked = await the_invoice(seeds)
    page = await open_page(java_script_enabled=False)
    await opened(page, site, asked)
    await page.locator("#reject").click()
    await page.locator("#comment").fill("No order")
    await page.locator("#reject").click()
    await expect(page.locator(".outcome-word")).to_contain_text("Rejected")


async def test_a_form_overtaken_by_another_reviewer_says_so_at_once(
    site: Served, seeds: Seeds, page: Page, watch: Watch
) -> None:
    asked = await the_invoice(seeds)
    await opened(page, site, asked)
    await field(page, "total").fill("1250.50")
    await site.client.decide(asked.id, Verdict.APPROVE, by="ana")
    await expect(page.locator("#overtaken")).to_contain_text("Approved meanwhile")
    await expect(page.locator("#approve")).to_be_disabled()
    await expect(field(page, "total")).to_have_value("1250.50")
    watch.allow("409")
    await page.evaluate("document.querySelector('#approve').disabled = false")
    await page.locator("#approve").click()
    await expect(page.get_by_role("alert")).to_contain_text("ana was first")
    await expect(page.locator("ins").last).to_have_text("+1250.50")


async def test_a_draft_survives_leaving_the_page(site: Served, seeds: Seeds, page: Page) -> None:
    asked = await the_invoice(seeds)
    await opened(page, site, asked)
    await field(page, "total").fill("1250.50")
    await page.get_by_role("button", name="Add row").click()
    await field(page, "lines/+1/description").fill("Hotel")
    await page.keyboard.press("Escape")
    await page.keyboard.press("Escape")
    await expect(page.locator("h1")).to_have_text("Inbox")
    await opened(page, site, asked)
    await expect(field(page, "total")).to_have_value("1200.50")
    await page.get_by_role("button", name="Restore it").click()
    await expect(field(page, "total")).to_have_value("1250.50")
    await expect(field(page, "lines/+1/description")).to_have_value("Hotel")
    assert (await site.client.approval(asked.id)).is_pending


async def test_a_double_click_is_one_decision(site: Served, seeds: Seeds, page: Page) -> None:
    asked = await the_invoice(seeds)
    await opened(page, site, asked)
    await page.locator("#approve").dblclick()
    await expect(page.locator(".outcome-word")).to_contain_text("Approved")
    entries = await site.client.journal(asked.run_id)
    assert sum(entry.kind == "wait_resolved" for entry in entries) == 1
