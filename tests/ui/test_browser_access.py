"""Signing in, deciding and signing out in a real browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from agentflow.states import ApprovalStatus
from approvals_ui import streams
from approvals_ui.sessions import COOKIE
from tests.ui.seeding import Seeds
from tests.ui.signing import Guarded, guarded
from tests.ui.stories import the_invoice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from playwright.async_api import Page

    from tests.support.browser import Watch
    from tests.ui.conftest import MovedClock


@pytest.fixture
async def inbox(tmp_path: Path, clock: MovedClock) -> AsyncIterator[Guarded]:
    async with guarded(tmp_path, clock) as inbox:
        yield inbox


async def sign_in(page: Page, text: str) -> None:
    await page.get_by_label("Token", exact=True).fill(text)
    await page.get_by_role("button", name="Sign in").click()


async def test_a_person_signs_in_decides_and_signs_out(inbox: Guarded, page: Page) -> None:
    asked = await the_invoice(Seeds(inbox.site.store))
    _, text = await inbox.token(name="Mia Sand")
    await page.goto(f"{inbox.site.url}/approvals/{asked.id}")
    await page.wait_for_url("**/sign-in?next=*")
    assert await page.locator("nav[aria-label=Main]").count() == 0
    await sign_in(page, text)
    await page.wait_for_url(f"**/approvals/{asked.id}")
    await page.locator("#approve").click()
    await page.locator("#outcome[data-status=approved]").wait_for()
    decided = await inbox.site.client.approval(asked.id)
    assert (decided.status, decided.decided_by) == (ApprovalStatus.APPROVED, "Mia Sand")
    [cookie] = await page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (COOKIE, True, "Lax")
    assert await page.evaluate("document.cookie") == ""
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url("**/sign-in")
    assert cookie["value"] not in {one["value"] for one in await page.context.cookies()}
    await page.goto(f"{inbox.site.url}/inbox")
    await page.wait_for_url("**/sign-in?next=*")
    await page.context.add_cookies([{"name": COOKIE, "value": cookie["value"], "url": inbox.site.url}])
    await page.goto(f"{inbox.site.url}/inbox")
    assert "/sign-in" in page.url, "a copy of the cookie is worth nothing after that"


async def test_a_wrong_token_is_said_to_be_none_and_kept_out_of_the_page(
    inbox: Guarded, page: Page, watch: Watch
) -> None:
    watch.allow("401")
    await page.goto(f"{inbox.site.url}/sign-in")
    await sign_in(page, "af_not_a_token")
    await page.get_by_text("unknown, revoked or expired").wait_for()
    assert "af_not_a_token" not in await page.content()


async def test_an_open_page_goes_to_the_sign_in_when_its_token_is_revoked_and_comes_back(
    inbox: Guarded, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "ASK_SECONDS", 0)
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.05)
    _, text = await inbox.token(name="mia")
    await page.goto(f"{inbox.site.url}/runs")
    await sign_in(page, text)
    await page.get_by_role("heading", name="Runs", exact=True).wait_for()
    await inbox.site.streams(1)
    await inbox.site.client.tokens.revoke("mia", by="root")
    await page.wait_for_url("**/sign-in?next=%2Fruns")
    _, another = await inbox.token(name="mia")
    await sign_in(page, another)
    await page.wait_for_url(f"{inbox.site.url}/runs")


async def test_a_token_is_made_with_chosen_scopes_shown_once_and_revoked(
    inbox: Guarded, page: Page, open_page: Callable[..., Awaitable[Page]]
) -> None:
    _, text = await inbox.token("tokens:write", "runs:read", name="ana")
    await page.goto(f"{inbox.site.url}/tokens")
    await sign_in(page, text)
    await page.wait_for_url("**/tokens")
    offered = await page.locator("[name=scope]").evaluate_all("all => all.map((one) => one.value)")
    assert offered == ["runs:read", "tokens:write"], "nobody gives what they have not got"
    await page.get_by_label("Name").fill("ci")
    await page.locator("[name=scope][value='runs:read']").check()
    await page.get_by_role("button", name="Make the token").click()
    made = (await page.locator(".secret").inner_text()).strip()
    assert re.fullmatch(r"af_[0-9a-z]+_[0-9A-Za-z]{43}", made)
    await page.get_by_role("link", name="I have it").click()
    await page.locator(".secret").wait_for(state="detached")
    assert made not in await page.content()
    token = await inbox.site.client.tokens.check(made)
    assert token is not None
    assert (token.name, token.scopes, token.created_by) == ("ci", '["runs:read"]', "ana")
    assert token.expires_at is not None
    await page.locator(f"#{token.id}").get_by_role("button", name="Revoke").click()
    await page.locator(f"#{token.id}").get_by_text("Revoked", exact=True).wait_for()
    assert await inbox.site.client.tokens.check(made) is None


async def test_a_form_that_asks_for_more_than_its_sender_has_makes_nothing(
    inbox: Guarded, page: Page, watch: Watch
) -> None:
    watch.allow("403")
    _, text = await inbox.token("tokens:write", name="ana")
    await page.goto(f"{inbox.site.url}/tokens")
    await sign_in(page, text)
    await page.get_by_label("Name").fill("boss")
    await page.locator("[name=scope]").evaluate("one => { one.value = '*'; one.checked = true; }")
    await page.get_by_role("button", name="Make the token").click()
    await page.get_by_text("cannot give what it has not").wait_for()
    assert [one.name for one in await inbox.site.client.tokens.all()] == ["ana"]


async def test_without_a_script_signing_in_works_as_well(
    inbox: Guarded, open_page: Callable[..., Awaitable[Page]]
) -> None:
    page = await open_page(java_script_enabled=False, viewport={"width": 390, "height": 844})
    _, text = await inbox.token(name="mia")
    await page.goto(f"{inbox.site.url}/inbox")
    await sign_in(page, text)
    await page.wait_for_url("**/inbox")
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url("**/sign-in")
