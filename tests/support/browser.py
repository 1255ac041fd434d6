"""A real Chromium for the page tests, and a watch over what a person would find in its console.

`page` is an empty page of its own for one test; `open_page` makes further ones (another reviewer, no JavaScript, a
narrow screen). A test fails for any console error, blocked content, uncaught exception, dialog or request to another
machine in any of its pages, unless it announced the text with `watch.allow(...)`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import async_playwright, expect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request

VARIABLE = "AGENTFLOW_CHROMIUM"
COMMANDS = ("chromium", "chromium-browser", "google-chrome")
HOW_TO_GET_IT = (
    f"no Chromium: put one of {', '.join(COMMANDS)} on the PATH (Debian: `apt-get install chromium`) "
    f"or name the program in {VARIABLE}"
)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Other machines cannot be found, so that a page which asks for one fails here as it would offline.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost"})
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)

LASTING = """
    const later = window.setTimeout;
    window.setTimeout = (act, after, ...given) => later(act, after === 1500 ? 1e9 : after, ...given);
"""
"""For `add_init_script`: what lasts a second and a half for a person lasts, however busy the machine is."""


def find_chromium() -> str | None:
    """The Chromium to drive. What the environment names is taken or refused, never replaced by another."""
    named = os.environ.get(VARIABLE)
    if named:
        return named if os.access(named, os.X_OK) and Path(named).is_file() else None
    return next((found for command in COMMANDS if (found := shutil.which(command))), None)


class Watch:
    """What went wrong in the pages of one test."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._allowed: list[str] = []

    def allow(self, text: str) -> None:
        """Let problems that contain `text` pass, such as the console's note of a wanted 409."""
        self._allowed.append(text)

    def over(self, context: BrowserContext) -> None:
        """Watch every page of `context`, pop-ups included."""
        context.on("console", self._console)
        context.on("weberror", lambda error: self.problems.append(f"uncaught exception: {error.error}"))
        context.on("dialog", self._dialog)
        context.on("request", self._request)
        context.on("page", self._page)

    def unexpected(self) -> list[str]:
        """The problems no `allow` accounts for, and the allowances nothing made use of."""
        unused = [text for text in self._allowed if not any(text in problem for problem in self.problems)]
        return [
            *(problem for problem in self.problems if not any(text in problem for text in self._allowed)),
            *(f"allowed, but did not happen: {text}" for text in unused),
        ]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"console error: {message.text} ({message.location.get('url', '')})")

    async def _dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.type} {dialog.message!r}")
        await dialog.dismiss()

    def _request(self, request: Request) -> None:
        self._visit(request.url)

    def _page(self, page: Page) -> None:
        page.on("crash", lambda _: self.problems.append("the page crashed"))
        page.on("websocket", lambda socket: self._visit(socket.url))

    def _visit(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname not in LOCAL_HOSTS:
            self.problems.append(f"request to another machine: {url}")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium; without one the test is skipped, which conftest turns into a failure in CI."""
    found = find_chromium()
    if found is None:
        pytest.skip(HOW_TO_GET_IT)
    return found


@pytest.fixture
def watch() -> Iterator[Watch]:
    """The watch over this test's pages; it is read after the last page has closed."""
    watch = Watch()
    yield watch
    unexpected = watch.unexpected()
    if unexpected:
        pytest.fail("in the pages of this test:\n" + "\n".join(unexpected), pytrace=False)


@pytest.fixture
async def browser(chromium: str, watch: Watch) -> AsyncIterator[Browser]:
    """A headless Chromium in the test's own event loop. It asks for `watch` so as to close before that is read."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield browser
        await browser.close()


@pytest.fixture
def open_page(browser: Browser, watch: Watch) -> Callable[..., Awaitable[Page]]:
    """Opens a page with a session of its own; takes what a Playwright context takes (viewport, color_scheme, …)."""

    async def opened(**options: Any) -> Page:
        context = await browser.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        watch.over(context)
        return await context.new_page()

    return opened


@pytest.fixture
async def page(open_page: Callable[..., Awaitable[Page]]) -> Page:
    """An empty page."""
    return await open_page()
