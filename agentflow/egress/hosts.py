"""Hosts as they may be written, and lists of them.

What is only a host by somebody's leave is refused, since two programs may read it differently: a number that is no
dotted address (`2130706433`, `0x7f.1`, `127.1`, `0177.0.0.1`: all 127.0.0.1 to the C library), a percent sign, an empty
label, a trailing dot. Names for use inside one machine or network only are refused unless a list has them exactly.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from agentflow.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.egress.ranges import Address

_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER: Final = re.compile(r"\d+|0x[0-9a-f]*", re.ASCII)
_LONGEST: Final = 253

_INWARD: Final = {
    "localhost": "loopback (RFC 6761)",
    "local": "found by multicast DNS (RFC 6762)",
    "internal": "for private use (ICANN, 2024), as the metadata names of clouds are",
    "home.arpa": "for home networks (RFC 8375)",
    "localdomain": "loopback by custom",
    "onion": "no name of the DNS (RFC 7686)",
    "instance-data": "cloud metadata (AWS)",
    "metadata": "cloud metadata by custom",
}


def literal(host: str) -> Address | None:
    """The address that the host is, if it is one and not a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def problem_of(host: str) -> str | None:
    """What is wrong with how the host (lower case, ASCII, an IPv6 address without brackets) is written."""
    if not host:
        return "it names no host"
    if "%" in host:
        return "it has a percent sign: an escape or a zone id, which is no part of a host's name"
    return None if literal(host) is not None else _problem_of_name(host)


def _problem_of_name(host: str) -> str | None:
    if host.endswith("."):
        return "it ends in a dot; write it without"
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return "it is a number that is no address in four decimal parts"
    if len(host) > _LONGEST or not all(map(_LABEL.fullmatch, labels)):
        return "it is no host name"
    return None


def inward(host: str) -> str | None:
    """What says that the name means something else on each machine or network; None for an ordinary one."""
    for suffix, rule in _INWARD.items():
        if host == suffix or host.endswith(f".{suffix}"):
            return rule
    return None


def listed(host: str, patterns: Sequence[str]) -> bool:
    """Whether a list has the host: exactly, or under `*.`, which stands for one label or more."""
    return any(host == one or (one.startswith("*.") and host.endswith(one[1:])) for one in patterns)


def pattern(text: str) -> str:
    """An entry of a list of hosts, in lower case. Raises `DefinitionError` for one that cannot be meant."""
    if not isinstance(text, str) or not text.isascii():
        raise DefinitionError(f"hosts: {text!r} is not ASCII; write the name as the DNS has it, `xn--…`")
    entry = text.strip().lower().removeprefix("[").removesuffix("]")
    name = entry.removeprefix("*.")
    problem = problem_of(name)
    if problem is None and entry != name and ("." not in name or literal(name) is not None):
        problem = "it stands for more than one owner's hosts"
    if problem is not None:
        raise DefinitionError(f'hosts: {text!r}: {problem}; write "api.example.com" or "*.example.com", and no port')
    return entry
