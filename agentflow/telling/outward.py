"""Where subscribers may be: on the public Internet by HTTPS, and inside only where an operator has said so.

Whoever may add a subscription chooses a URL that is called from inside. The policy of `agentflow.egress` judges every
address of the host and connects to what it judged; redirects are not followed.
"""

from __future__ import annotations

import os
from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from agentflow.egress import Egress
from agentflow.errors import DefinitionError, InvalidSetting
from agentflow.settings import SUBSCRIBERS_PRIVATE_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

PORTS: Final = (443, 8443)
_PORT_OF: Final = {"https": 443, "http": 80}
LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
LOCALHOST: Final = "localhost"
MOST_BYTES: Final = 65_536
"""Of an answer, more of which nobody reads; a larger one counts by its status."""


class Outward:
    """The policy for each URL.

    `private` is what AGENTFLOW_SUBSCRIBERS_PRIVATE holds: networks, and names of hosts that mean something inside only
    ("10.0.0.0/8,hooks.internal"). With it, or with `dev`, which adds this very machine, plain HTTP and any port will
    do. Raises `InvalidSetting`.
    """

    def __init__(self, *, dev: bool = False, private: str | None = None, base: Egress | None = None) -> None:
        given = os.environ.get(SUBSCRIBERS_PRIVATE_VARIABLE, "") if private is None else private
        entries = [one.strip() for one in given.split(",") if one.strip()]
        networks = [one for one in entries if _is_network(one)]
        self._names = {one.lower() for one in entries if one not in networks} | ({LOCALHOST} if dev else set())
        allowed = (*networks, *(LOOPBACK if dev else ()))
        self._is_inside = bool(entries) or dev
        self._policy = self._made(base or Egress(), allowed)
        self._known: dict[tuple[str, int, timedelta], Egress] = {}

    def _made(self, base: Egress, networks: Sequence[str]) -> Egress:
        try:
            policy = replace(
                base,
                allow_private=networks,
                schemes=("https", "http") if self._is_inside else ("https",),
                ports=PORTS,
                redirects=0,
                max_bytes=MOST_BYTES,
            )
            for name in self._names:
                replace(policy, hosts=(name,))
        except DefinitionError as error:
            raise InvalidSetting(f"{SUBSCRIBERS_PRIVATE_VARIABLE}: {error}") from error
        return policy

    def policy(self, url: str, *, timeout: timedelta) -> Egress:
        """What a call of this URL has to keep to."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port or _PORT_OF.get(parts.scheme, PORTS[0])
        except ValueError:
            return self._policy  # `fetch` says what is wrong with it
        which = (host if host in self._names else "", port, timeout)
        if which not in self._known:
            ports = (port,) if self._is_inside else PORTS
            hosts = (host,) if host in self._names else None
            self._known[which] = replace(self._policy, hosts=hosts, ports=ports, timeout=timeout)
        return self._known[which]


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True
