"""Which addresses are no place on the public Internet, by range, each with what says so.

The ranges are those of IANA's "IPv4 Special-Purpose Address Registry" and "IPv6 Special-Purpose Address Registry"
(RFC 6890, as kept up to date by IANA), its "IPv4 Multicast Address Space Registry" (RFC 5771) and its "IPv6 Global
Unicast Address Assignments" (RFC 4291: only 2000::/3 is handed out). The standard of each stands beside it. Ranges that
the registries call globally reachable (AS112, AMT) are left out, but for those inside a range that is not.

An IPv6 address that carries an IPv4 one is judged by that: IPv4-mapped (RFC 4291), NAT64 under its well-known prefix
(RFC 6052). Other ways of carrying one (IPv4-compatible, 6to4, Teredo, local NAT64 prefixes) are refused whole. A NAT64
prefix that a network has chosen for itself among its own global addresses cannot be told from outside.

The addresses at which clouds hand out credentials to whoever asks are a table of their own. They are not opened by a
range that holds them, but only by themselves.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_RANGES: Final[tuple[tuple[Network, str], ...]] = tuple(
    (ip_network(network), rule)
    for network, rule in (
        ("0.0.0.0/8", "this network, unspecified (RFC 791)"),
        ("10.0.0.0/8", "private (RFC 1918)"),
        ("100.64.0.0/10", "shared by carrier-grade NAT (RFC 6598)"),
        ("127.0.0.0/8", "loopback (RFC 1122)"),
        ("169.254.0.0/16", "link-local (RFC 3927)"),
        ("172.16.0.0/12", "private (RFC 1918)"),
        ("192.0.0.0/24", "reserved for protocols (RFC 6890)"),
        ("192.0.2.0/24", "documentation (RFC 5737)"),
        ("192.88.99.0/24", "reserved, once 6to4 relays (RFC 7526)"),
        ("192.168.0.0/16", "private (RFC 1918)"),
        ("198.18.0.0/15", "benchmarking (RFC 2544)"),
        ("198.51.100.0/24", "documentation (RFC 5737)"),
        ("203.0.113.0/24", "documentation (RFC 5737)"),
        ("224.0.0.0/4", "multicast (RFC 5771)"),
        ("255.255.255.255/32", "broadcast (RFC 919)"),
        ("240.0.0.0/4", "reserved (RFC 1112)"),
        ("::/128", "unspecified (RFC 4291)"),
        ("::1/128", "loopback (RFC 4291)"),
        ("::/96", "IPv4-compatible (RFC 4291)"),
        ("64:ff9b:1::/48", "NAT64 for local use (RFC 8215)"),
        ("100::/64", "discarded (RFC 6666)"),
        ("100:0:0:1::/64", "dummy prefix (RFC 9780)"),
        ("2001::/32", "Teredo (RFC 4380)"),
        ("2001::/23", "reserved for protocols (RFC 2928)"),
        ("2001:db8::/32", "documentation (RFC 3849)"),
        ("2002::/16", "6to4 (RFC 3056)"),
        ("3fff::/20", "documentation (RFC 9637)"),
        ("5f00::/16", "segment routing (RFC 9602)"),
        ("fc00::/7", "unique local (RFC 4193)"),
        ("fe80::/10", "link-local (RFC 4291)"),
        ("fec0::/10", "site-local (RFC 3879)"),
        ("ff00::/8", "multicast (RFC 4291)"),
    )
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")

_METADATA: Final[dict[Address, str]] = {
    ip_address(address): f"cloud metadata ({cloud})"
    for address, cloud in (
        ("169.254.169.254", "AWS, Azure, Google and others"),
        ("169.254.170.2", "AWS ECS credentials"),
        ("169.254.170.23", "AWS EKS credentials"),
        ("100.100.100.200", "Alibaba"),
        ("192.0.0.192", "Oracle"),
        ("168.63.129.16", "Azure's host, a public address"),
        ("fd00:ec2::254", "AWS"),
        ("fd00:ec2::23", "AWS EKS credentials"),
        ("fd20:ce::254", "Google"),
    )
}


def rule_against(address: Address, allowed: Sequence[Network] = ()) -> str | None:
    """What the address is that keeps it from being called; None for one on the public Internet, or in `allowed`."""
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return "bound to an interface by its zone id (RFC 4007)"
    address = _carried(address)
    within = [network for network in allowed if network.version == address.version and address in network]
    if address in _METADATA:
        return None if any(network.num_addresses == 1 for network in within) else _METADATA[address]
    if within:
        return None
    for network, rule in _RANGES:
        if network.version == address.version and address in network:
            return rule
    if address.version == 6 and address not in _GLOBAL_UNICAST:  # noqa: PLR2004  the version's name
        return "not handed out to anyone (RFC 4291)"
    return None


def _carried(address: Address) -> Address:
    """The IPv4 address that is reached by it, where it is a way of writing or reaching one."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else address
