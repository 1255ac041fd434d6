"""Where calls may go: the policy that stands between a model's wishes and a network.

Whoever chooses a URL, by a tool's argument or in a webhook's settings, has it called from inside, next to the database
and the cloud's credentials (server-side request forgery). So a host is resolved once, every address of it is judged,
and the connection is made to an address that was judged, never to a name that could answer otherwise the second time.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from agentflow.durations import duration
from agentflow.egress import hosts as host_names
from agentflow.egress.ranges import Network, rule_against
from agentflow.errors import DefinitionError, EgressRefused
from agentflow.later import later

if TYPE_CHECKING:
    import ssl

    import httpx
else:
    httpx = later("httpx")

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, as texts; raises `OSError` where it has none."""

_DEFAULT_PORTS = {"https": 443, "http": 80}
_MOST_REDIRECTS = 20
_HIGHEST_PORT = 65535


async def system_resolver(host: str, port: int) -> Sequence[str]:
    """The addresses the system's resolver gives, IPv6 and IPv4, in its order."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """Where calls may go and how large and slow an answer may be.

    Without `hosts`, any host on the public Internet. `allow_private` names the networks, inside, that are meant to be
    reached all the same. An answer counts as it is after decompression; `timeout` holds from the resolving of the name
    to the last byte, redirects included. With `redirects` above 0 that many are followed, each judged as the first
    address was; the headers of the call go along only within one origin. No proxy is used, whatever the environment
    says, unless `proxy` names one: it resolves the names then, and the addresses are for *it* to judge.

    Raises `DefinitionError` or `InvalidDuration`.
    """

    hosts: Sequence[str] | None = None
    ports: Sequence[int] = (443, 80)
    schemes: Sequence[str] = ("https", "http")
    allow_private: Sequence[str] = ()
    redirects: int = 0
    max_bytes: int = 2_000_000
    timeout: str | float | timedelta = timedelta(seconds=30)
    proxy: str | None = None
    resolver: Resolve = system_resolver
    ssl_context: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        if self.hosts is not None:
            _require_sequence("hosts", self.hosts)
            self._set("hosts", tuple(map(host_names.pattern, self.hosts)))
        for name in ("ports", "schemes", "allow_private"):
            _require_sequence(name, getattr(self, name))
            self._set(name, tuple(getattr(self, name)))
        if not self.schemes or not set(self.schemes) <= set(_DEFAULT_PORTS):
            raise DefinitionError(f"schemes={self.schemes!r}: wanted https, http or both")
        if not self.ports or not all(_is_whole(port, 1, _HIGHEST_PORT) for port in self.ports):
            raise DefinitionError(f"ports={self.ports!r}: wanted whole numbers from 1 to {_HIGHEST_PORT}")
        if not _is_whole(self.redirects, 0, _MOST_REDIRECTS):
            raise DefinitionError(f"redirects={self.redirects!r}: wanted how many to follow, 0 to {_MOST_REDIRECTS}")
        if not _is_whole(self.max_bytes, 1, math.inf):
            raise DefinitionError(f"max_bytes={self.max_bytes!r}: wanted a whole number of bytes, 1 or more")
        self._set("timeout", duration(self.timeout))
        if not self.timeout:
            raise DefinitionError("timeout: wanted a span longer than nothing")
        if self.proxy is not None and not self.proxy.startswith(("http://", "https://")):
            raise DefinitionError("proxy: wanted an http:// or https:// address of a proxy")
        self._networks()

    def check(self, url: str | httpx.URL) -> httpx.URL:
        """The URL, if it may be called as far as can be told without resolving its host. Raises `EgressRefused`."""
        text = str(url)
        if not text.isprintable() or " " in text or "\\" in text:
            raise EgressRefused(rule="spelling", said="the URL has a space, a backslash or a control character in it")
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, TypeError, ValueError):
            raise EgressRefused(rule="spelling", said="the URL is none that can be read in one way only") from None
        host = parsed.raw_host.decode("ascii", "replace").lower()
        if parsed.scheme not in self.schemes:
            said = f"scheme {parsed.scheme or '(none)'!r} is not among {', '.join(self.schemes)}"
            raise EgressRefused(rule="scheme", host=host, said=said)
        if parsed.userinfo:
            said = "the URL has a user or password in it; credentials belong in a header"
            raise EgressRefused(rule="userinfo", host=host, said=said)
        self.check_host(host, _DEFAULT_PORTS[parsed.scheme] if parsed.port is None else parsed.port)
        return parsed

    def check_host(self, host: str, port: int) -> None:
        """Raise `EgressRefused` for a host that may not be called, as far as its name and port tell."""
        problem = host_names.problem_of(host)
        if problem is not None:
            raise EgressRefused(rule="spelling", host=host, said=problem)
        if port not in self.ports:
            allowed = ", ".join(map(str, self.ports))
            raise EgressRefused(rule="port", host=host, said=f"port {port} is not among {allowed}; see Egress(ports=)")
        if self.hosts is not None and not host_names.listed(host, self.hosts):
            raise EgressRefused(rule="hosts", host=host, said="it is not among the allowed hosts; see Egress(hosts=)")
        inward = host_names.inward(host)
        if inward is not None and host not in (self.hosts or ()):
            said = f"the name is {inward}; to mean it, name it in Egress(hosts=) and its network in allow_private="
            raise EgressRefused(rule="name", host=host, said=said)
        if host_names.literal(host) is not None:
            self._check_address(host, host)

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """The addresses of the host, every one of which may be called. Raises `EgressRefused` or `OSError`."""
        host = host.lower()
        self.check_host(host, port)
        if host_names.literal(host) is not None:
            return (host,)
        found = tuple(await self.resolver(host, port))
        if not found:
            raise OSError(f"host {host} has no address")
        for address in found:
            self._check_address(host, address)
        return found

    def _check_address(self, host: str, address: str) -> None:
        parsed = host_names.literal(address)
        rule = "no address" if parsed is None else rule_against(parsed, self._networks())
        if rule is not None:
            said = f"{address} is {rule}; to mean it, name its network in Egress(allow_private=)"
            raise EgressRefused(rule="address", host=host, address=address, said=said)

    def _networks(self) -> tuple[Network, ...]:
        return tuple(map(_network, self.allow_private))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


def _network(text: str) -> Network:
    try:
        network = ipaddress.ip_network(text)
    except (ValueError, TypeError):
        raise DefinitionError(
            f'allow_private: {text!r} is no network; write "10.0.0.0/8" or "fd12:3456::/48"'
        ) from None
    if network.prefixlen == 0:
        raise DefinitionError(f"allow_private: {text!r} is the whole Internet, which would switch the check off")
    return network


def _require_sequence(name: str, value: object) -> None:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise DefinitionError(f'{name}={value!r}: wanted a sequence, such as ("…",)')


def _is_whole(value: object, least: float, most: float) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
