"""The conversation in a real browser: words appear as they are said, and what is recorded takes their place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.browser import LASTING
from tests.ui.talking import PRIMARY, a_talk, wish
from tests.ui.test_tokens import KEY, fails, says

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Page

    from tests.support.server import Served
    from tests.ui.seeding import Seeds


async def test_words_appear_while_the_model_speaks(site: Served, seeds: Seeds, page: Page) -> None:
    talk = await a_talk(seeds)
    await page.goto(f"{site.url}/runs/{talk.run_id}")
    await says(talk, "I look ", "it up")
    speaking = page.locator(".speaking .words-said")
    await page.locator(".speaking", has_text="I look it up").wait_for()
    await says(talk, " for you.", start=2)
    await page.locator(".speaking", has_text="I look it up for you.").wait_for()
    assert await page.locator(".speaking .who").inner_text() == PRIMARY

    await talk.answers("I looked it up for you.")
    await page.locator(".talk:not(.live-talk) .said.assistant", has_text="I looked it up for you.").wait_for()
    await speaking.wait_for(state="detached")


async def test_another_attempt_takes_the_place_of_the_one_before(site: Served, seeds: Seeds, page: Page) -> None:
    talk = await a_talk(seeds)
    await page.goto(f"{site.url}/runs/{talk.run_id}")
    await says(talk, "Nonsense that was cut o")
    await page.locator(".speaking", has_text="Nonsense").wait_for()
    await fails(talk)
    await page.locator(".speaking", has_text="Nonsense").wait_for(state="detached")
    await page.locator(".hops", has_text="cut off").wait_for()
    await says(talk, "Sense.", attempt=2)
    await page.locator(".speaking", has_text="Sense.").wait_for()
    assert "Nonsense" not in await page.locator(".conversation").inner_text()


async def test_what_was_said_before_the_page_was_opened_is_there(site: Served, seeds: Seeds, page: Page) -> None:
    talk = await a_talk(seeds)
    await says(talk, "Long ", "ago.")
    await page.goto(f"{site.url}/runs/{talk.run_id}")
    await page.locator(".speaking", has_text="Long ago.").wait_for()
    await page.reload()
    await page.locator(".speaking", has_text="Long ago.").wait_for()


async def test_words_stay_while_the_page_around_them_changes(site: Served, seeds: Seeds, page: Page) -> None:
    talk = await a_talk(seeds)
    await page.goto(f"{site.url}/runs/{talk.run_id}")
    await says(talk, "Still speaking")
    await page.locator(".speaking", has_text="Still speaking").wait_for()
    await page.locator("#tell-text").fill("Half a message")
    await talk.reads("In German, please.")
    await page.locator(".said.person", has_text="In German, please.").wait_for()
    assert await page.locator(".speaking", has_text="Still speaking").count() == 1
    assert await page.locator("#tell-text").input_value() == "Half a message"


async def test_what_a_model_says_is_never_markup(site: Served, seeds: Seeds, page: Page) -> None:
    talk = await a_talk(seeds)
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script> https://evil.test \u202e"
    await page.goto(f"{site.url}/runs/{talk.run_id}")
    await says(talk, evil)
    await page.locator(".speaking", has_text="RIGHT-TO-LEFT OVERRIDE").wait_for()
    assert await page.locator(".conversation img, .conversation script").count() == 0
    assert await page.locator(".speaking a").count() == 0
    await talk.answers(evil, wish(evil, "c1", x=evil), again=False)
    await page.locator(".use").wait_for()
    assert await page.locator(".conversation img, .conversation script, .conversation a[href*=evil]").count() == 0


async def test_without_scripts_a_reload_shows_all_that_is_recorded(
    site: Served, seeds: Seeds, open_page: Callable[..., Awaitable[Page]]
) -> None:
    talk = await a_talk(seeds)
    page = await open_page(java_script_enabled=False)
    await page.goto(f"{site.url}/runs/{talk.run_id}")
    await talk.answers("I look it up.", wish("look_up", order="A-17"))
    await talk.uses("look_up", {"total": 12}, arguments={"order": "A-17"})
    await page.reload()
    await page.locator(".use summary").first.click()
    await page.get_by_text('"total": 12').first.wait_for()
    await page.locator("#tell-text").fill("Be quick.")
    await page.get_by_role("button", name="Send").click()
    await page.locator(".unread", has_text="Be quick.").wait_for()


async def test_a_call_is_copied_as_it_is(site: Served, seeds: Seeds, open_page: Callable[..., Awaitable[Page]]) -> None:
    talk = await a_talk(seeds)
    await talk.answers("I look it up.")
    page = await open_page()
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.add_init_script(LASTING)
    await page.goto(f"{site.url}/runs/{talk.run_id}/calls/{KEY.replace('#', '%23')}")
    await page.get_by_role("button", name="Copy").first.click()
    await page.get_by_role("button", name="Copied").wait_for()
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert '"text": "I look it up."' in copied


async def test_the_pages_fit_a_phone(site: Served, seeds: Seeds, open_page: Callable[..., Awaitable[Page]]) -> None:
    talk = await a_talk(seeds, thread="x" * 300, agent="y" * 200)
    await talk.answers("z" * 400, wish("w" * 200, order="v" * 500))
    page = await open_page(viewport={"width": 390, "height": 800})
    for path in (f"/runs/{talk.run_id}", f"/runs/{talk.run_id}/calls/model%231", "/costs"):
        await page.goto(site.url + path)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
