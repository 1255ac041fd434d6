"""The HTTP clients: one for each server and event loop, kept open between calls and closed when the loop ends.

Opening a connection costs as much as a small model's whole answer, so a client outlives the call that made it. Nobody
who defines an agent holds it, though: it is closed by what every event loop does last before it is closed itself, which
is to end the asynchronous generators that are still open.
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from agentflow._version import __version__
from agentflow.errors import InvalidSetting
from agentflow.later import later

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator
    from http import cookiejar as cookies

    import httpx
else:
    cookies, httpx = later("http.cookiejar"), later("httpx")

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104  compared with, not bound to
KEPT_OPEN: Final = 100
KEPT_FOR: Final = 60.0


class _Clients:
    """The open clients of one event loop, by server; and what closes them with it."""

    def __init__(self) -> None:
        self._open: dict[str, httpx.AsyncClient] = {}
        self._closing: AsyncGenerator[None, None] | None = None

    async def at(self, server: str) -> httpx.AsyncClient:
        found = self._open.get(server)
        if found is None or found.is_closed:
            found = self._open[server] = _client(server)
        if self._closing is None:
            self._closing = self._until_the_end()
            await anext(self._closing)
        return found

    async def _until_the_end(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            clients, self._open = self._open, {}
            self._closing = None
            for client in clients.values():
                await client.aclose()


_CLIENTS: WeakKeyDictionary[asyncio.AbstractEventLoop, _Clients] = WeakKeyDictionary()


async def client_of(url: str) -> httpx.AsyncClient:
    """The client for the server of this URL, in this event loop. Raises `InvalidSetting` for a proxy that is none."""
    loop = asyncio.get_running_loop()
    clients = _CLIENTS.get(loop)
    if clients is None:
        for ended in [one for one in _CLIENTS if one.is_closed()]:
            del _CLIENTS[ended]  # closed without ending its generators; what was open goes with it
        clients = _CLIENTS[loop] = _Clients()
    return await clients.at(server_of(url))


def server_of(url: str) -> str:
    """Scheme, host and port of a URL."""
    parsed = httpx.URL(url)
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"


def _client(server: str) -> httpx.AsyncClient:
    """A client with the environment's proxies; what listens on this machine's own loopback is behind none."""
    options: dict[str, Any] = {
        "headers": {"user-agent": f"agentflow/{__version__}"},
        "follow_redirects": False,
        "limits": httpx.Limits(max_connections=None, max_keepalive_connections=KEPT_OPEN, keepalive_expiry=KEPT_FOR),
        # One client serves every key and every run: what a server tells one of them to keep is not for the next.
        "cookies": cookies.CookieJar(cookies.DefaultCookiePolicy(allowed_domains=[])),
        "trust_env": httpx.URL(server).host not in LOOPBACK,
    }
    try:
        return httpx.AsyncClient(verify=_certificates(), **options)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise InvalidSetting(
            f"no client for {server}: a proxy of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY cannot be used "
            f"({type(error).__name__}); wanted http://host:port, or socks5://host:port with the package socksio"
        ) from None


@cache
def _certificates() -> ssl.SSLContext:
    """The authorities that servers are checked by. To read them takes tens of milliseconds, so it is done once."""
    return httpx.create_ssl_context()
