"""An inbox that lets nobody in without a token, and tokens for it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from litestar.routes import HTTPRoute

from agentflow.access import SCOPES
from tests.support.server import served
from tests.ui.conftest import Browsing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    import httpx
    from litestar import Litestar

    from agentflow.records import ApiToken
    from tests.support.server import Served
    from tests.ui.conftest import MovedClock, Shown

VALUES = {"file_path": "app.js", "path": "none", "name": "default", "key": "none"}


@dataclass(frozen=True)
class Guarded:
    """A running inbox with its clock."""

    site: Served
    clock: MovedClock

    async def token(self, *scopes: str, name: str = "", **options: Any) -> tuple[ApiToken, str]:
        """A token with these scopes, every one if none is named."""
        found = await self.site.client.tokens.all()
        return await self.site.client.tokens.create(
            name or f"token {len(found)}", scopes=scopes or ["*"], by="root", **options
        )

    async def bearer(self, *scopes: str, name: str = "") -> dict[str, str]:
        """The header of a program with such a token."""
        _, text = await self.token(*scopes, name=name)
        return {"authorization": f"Bearer {text}"}


@asynccontextmanager
async def guarded(folder: Path, clock: MovedClock, **options: Any) -> AsyncIterator[Guarded]:
    """An inbox without `dev`."""
    async with served(folder, clock=clock, dev=False, **options) as site:
        yield Guarded(site, clock)


async def signed_in(http: httpx.AsyncClient, text: str, path: str = "/inbox") -> Shown:
    """The page somebody wanted to see, once they have signed in."""
    page = await Browsing(http).open(path)
    assert page.path == "/sign-in"
    return await page.submit(token=text)


@dataclass(frozen=True)
class Asked:
    """One method of one route."""

    method: str
    template: str
    wanted: Any

    @property
    def path(self) -> str:
        """The route's path with ids of nothing."""
        path = self.template
        for part in self.template.split("/"):
            if part.startswith("{"):
                name = part.strip("{}").partition(":")[0]
                path = path.replace(part, VALUES.get(name, f"{name}_none"))
        return path

    @property
    def scopes(self) -> tuple[str, ...]:
        """Those of which one is enough."""
        return self.wanted if isinstance(self.wanted, tuple) else (self.wanted,)

    @property
    def others(self) -> list[str]:
        """Every scope but those."""
        return [scope for scope in SCOPES if scope not in self.scopes]

    async def sent(self, http: httpx.AsyncClient, headers: Mapping[str, str]) -> tuple[int, httpx.Response]:
        """The answer to it, of which no more than the beginning is read where it has no end."""
        kind = "application/json" if self.path.startswith("/api/") else "application/x-www-form-urlencoded"
        given: dict[str, Any] = {"headers": dict(headers)}
        if self.method not in ("GET", "HEAD"):
            given = {"headers": {"content-type": kind, **headers}, "content": b"{}" if kind.endswith("json") else b""}
        async with http.stream(self.method, self.path, **given) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                await response.aread()
        return response.status_code, response


def asked_of(app: Litestar) -> Iterator[Asked]:
    """Every method of every route; OPTIONS is Litestar's own."""
    for route in app.routes:
        assert isinstance(route, HTTPRoute)
        for handler in route.route_handlers:
            for method in sorted(handler.http_methods):
                if method != "OPTIONS":
                    yield Asked(str(method), route.path, handler.opt.get("scope"))
