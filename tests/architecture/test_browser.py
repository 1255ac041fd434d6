"""The browser fixture itself, against pages served from this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.browser import VARIABLE, Watch

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from playwright.async_api import Browser, Page

ROOT = Path(__file__).parents[2]


class OnePage(BaseHTTPRequestHandler):
    """Answers every request with the same page."""

    def __init__(self, *args, html: str, **kwargs) -> None:
        self.html = html
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        self.send_response(200 if self.path in {"/", "/favicon.ico"} else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Security-Policy", "default-src 'self'; script-src 'nonce-ours'; connect-src *")
        self.end_headers()
        self.wfile.write(self.html.encode())

    def log_message(self, *args) -> None:
        """Say nothing."""


Serve = Callable[[str], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves a page until the test is over; returns where."""
    with ExitStack() as running:

        def served(html: str) -> str:
            server = running.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), partial(OnePage, html=html)))
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            running.callback(thread.join)
            running.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}/"

        yield served


async def test_a_clean_page_is_read_and_clicked(page: Page, serve: Serve) -> None:
    html = """<h1>Inbox</h1><button>Approve</button>
        <script nonce=ours>document.querySelector("button").onclick = () => {document.title = "approved"}</script>"""
    await page.goto(serve(html))
    await page.get_by_role("button", name="Approve").click()
    assert await page.title() == "approved"
    assert await page.get_by_role("heading").inner_text() == "Inbox"


BAD_PAGES = {
    "console error": "<script nonce=ours>console.error('a note for nobody')</script>",
    "Content Security Policy": "<script>document.title = 'not ours'</script>",
    "uncaught exception": "<script nonce=ours>throw new Error('lost')</script>",
    "dialog: alert": "<script nonce=ours>alert('hello')</script>",
    "request to another machine": "<script nonce=ours>fetch('http://elsewhere.test/').catch(() => {})</script>",
    "request to another machine: ws": "<script nonce=ours>new WebSocket('ws://elsewhere.test/')</script>",
    "404": "<link rel=stylesheet href=/missing.css>",
}


@pytest.mark.parametrize("problem", BAD_PAGES)
async def test_what_a_person_would_find_in_the_console_is_a_problem(
    browser: Browser, serve: Serve, problem: str
) -> None:
    watch = Watch()
    context = await browser.new_context()
    watch.over(context)
    page = await context.new_page()
    await page.goto(serve(BAD_PAGES[problem]), wait_until="networkidle")
    assert any(problem in found for found in watch.unexpected()), watch.problems


async def test_a_problem_that_was_announced_passes(page: Page, serve: Serve, watch: Watch) -> None:
    watch.allow("a note for nobody")
    await page.goto(serve(BAD_PAGES["console error"]), wait_until="networkidle")


async def test_a_page_closes_before_the_server_it_talks_to(page: Page, serve: Serve, request) -> None:
    await page.goto(serve("<h1>Inbox</h1>"))
    names = request.fixturenames
    assert names.index("serve") < names.index("page")


def test_an_announced_problem_that_never_comes_is_a_problem() -> None:
    watch = Watch()
    watch.allow("409")
    assert watch.unexpected() == ["allowed, but did not happen: 409"]


async def test_two_pages_are_two_people(open_page: Callable[..., Awaitable[Page]], serve: Serve) -> None:
    url = serve("<h1>Inbox</h1>")
    mia, tom = await open_page(), await open_page(java_script_enabled=False)
    await mia.goto(url)
    await mia.context.add_cookies([{"name": "session", "value": "mia", "url": url}])
    await tom.goto(url)
    assert await tom.context.cookies() == []


@pytest.mark.parametrize(("ci", "result"), [("true", "1 error"), ("", "1 skipped")])
def test_without_chromium_a_page_test_is_skipped_here_and_fails_in_ci(tmp_path: Path, ci: str, result: str) -> None:
    test = f"{Path(__file__).relative_to(ROOT)}::{test_a_clean_page_is_read_and_clicked.__name__}"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    environment = os.environ | {VARIABLE: str(tmp_path / "absent"), "CI": ci}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result in run.stdout, run.stdout + run.stderr
    assert "apt-get install chromium" in run.stdout
