"""Attempts to sign in that came to nothing: so many from one address, and it has to wait."""

from __future__ import annotations

from collections import OrderedDict, deque
from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

MOST: Final = 10
WITHIN: Final = timedelta(minutes=5)
MOST_ADDRESSES: Final = 10_000
ONE_SITE: Final = 64
"""A single customer has as many addresses of IPv6 as share these first bits."""


class Attempts:
    """The failed attempts of the last minutes, by address; of the latest addresses only."""

    def __init__(self) -> None:
        self._failed: OrderedDict[str, deque[datetime]] = OrderedDict()

    def wait(self, address: str, now: datetime) -> timedelta | None:
        """How long this address has to wait before it may try, None if it may."""
        failed = self._failed.get(_site(address))
        while failed and now - failed[0] >= WITHIN:
            failed.popleft()
        return None if not failed or len(failed) < MOST else WITHIN - (now - failed[0])

    def has_failed(self, address: str, now: datetime) -> None:
        """Count one more failure of this address."""
        site = _site(address)
        self._failed.setdefault(site, deque(maxlen=MOST)).append(now)
        self._failed.move_to_end(site)
        if len(self._failed) > MOST_ADDRESSES:
            self._failed.popitem(last=False)


def _site(address: str) -> str:
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    return address if found.version == 4 else str(ip_network((address.partition("%")[0], ONE_SITE), strict=False))  # noqa: PLR2004  the version
