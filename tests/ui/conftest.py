"""A served inbox over a real store, with a clock that moves only when a test says so."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import cached_property
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from tests.support.server import served
from tests.ui.seeding import Seeds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    import httpx

    from tests.support.server import Served


class MovedClock:
    """A clock that a test moves; nobody sleeps on it here."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        self.at += timedelta(microseconds=10)  # ids and journal entries keep their order
        return self.at

    async def sleep(self, span: timedelta) -> None:
        raise AssertionError(f"nothing here waits for {span}")

    def advance(self, **by: float) -> None:
        self.at += timedelta(**by)


class Browsing:
    """A person's browser without scripts: keeps cookies, follows redirects, submits the forms it was shown."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def open(self, path: str) -> Shown:
        return Shown(self, await self.http.get(path, follow_redirects=True))

    async def post(self, path: str, fields: list[tuple[str, str]], **headers: str) -> Shown:
        kind = {"content-type": "application/x-www-form-urlencoded"}
        response = await self.http.post(path, content=urlencode(fields), headers=kind | headers, follow_redirects=True)
        return Shown(self, response)


class Shown:
    """A page as it was answered."""

    def __init__(self, browsing: Browsing, response: httpx.Response) -> None:
        self._browsing = browsing
        self.response = response
        self.status = response.status_code
        self.html = response.text
        self.path = response.url.path

    @property
    def text(self) -> str:
        """What a person reads."""
        bare = re.sub(r"<(script|style|svg)\b.*?</\1>", "", self.html, flags=re.DOTALL)
        return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", bare)))

    @cached_property
    def form(self) -> FormReader:
        """The page's POST form."""
        reader = FormReader()
        reader.feed(self.html)
        assert reader.action, f"the page has no form: {self.status} {self.text[:400]}"
        return reader

    @property
    def fields(self) -> list[tuple[str, str]]:
        """What the form would send."""
        return self.form.fields

    async def submit(self, button: tuple[str, str] | None = None, **changed: str) -> Shown:
        """Send the page's form with these fields changed; a name may be written without its "f:/"."""
        names = {name for name, _ in self.fields}
        given = {f"f:/{name}" if f"f:/{name}" in names else name: text for name, text in changed.items()}
        unknown = set(given) - names
        assert not unknown, f"no such fields: {unknown}"
        sent = [(name, given.get(name, value)) for name, value in self.fields]
        return await self._browsing.post(self.form.action, sent + ([button] if button else []))


class FormReader(HTMLParser):
    """The fields of a page's POST form, as a browser would send them without a button."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.action = ""
        self.fields: list[tuple[str, str]] = []
        self._inside = False
        self._textarea: str | None = None
        self._select: tuple[str, list[tuple[str, bool]]] | None = None
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("name") or ""
        if tag == "form" and given.get("method") == "post" and not self.action:
            self._inside, self.action = True, given["action"] or ""
        if not self._inside or "disabled" in given:
            return
        is_off = given.get("type") in ("checkbox", "radio") and "checked" not in given
        if tag == "input" and name and not is_off:
            self.fields.append((name, given.get("value") or ""))
        elif tag == "textarea":
            self._textarea, self._text = name, []
        elif tag == "select":
            self._select = (name, [])
        elif tag == "option" and self._select:
            self._select[1].append((given.get("value") or "", "selected" in given))

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        if tag == "textarea" and self._textarea is not None:
            text = "".join(self._text).removeprefix("\n").replace("\r\n", "\n").replace("\n", "\r\n")
            self.fields.append((self._textarea, text))
            self._textarea = None
        if tag == "select" and self._select:
            name, options = self._select
            self.fields.append((name, next((value for value, chosen in options if chosen), options[0][0])))
            self._select = None


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
async def site(tmp_path: Path, clock: MovedClock) -> AsyncIterator[Served]:
    async with served(tmp_path, clock=clock, reviewer="mia") as site:
        yield site


@pytest.fixture
def seeds(site: Served) -> Seeds:
    return Seeds(site.store)


@pytest.fixture
async def person(site: Served) -> AsyncIterator[Callable[[], Awaitable[Browsing]]]:
    """Opens browsers, each with a session of its own."""
    async with AsyncExitStack() as stack:

        async def opened(**options: Any) -> Browsing:
            return Browsing(await stack.enter_async_context(site.http(**options)))

        yield opened


@pytest.fixture
async def mia(person: Callable[[], Awaitable[Browsing]]) -> Browsing:
    return await person()
