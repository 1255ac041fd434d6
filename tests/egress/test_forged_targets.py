"""What a model may be talked into calling (S20): a table of URLs, a lying resolver, a server that must not hear."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator

import pytest

from agentflow.egress import Egress, EgressTransport, fetch
from agentflow.egress.ranges import rule_against
from agentflow.errors import DefinitionError, EgressRefused, HostUnreachable

NAMES = {
    "ok.example.com": ["93.184.215.14"],
    "ok6.example.com": ["2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
    "nat64.example.com": ["64:ff9b::5db8:d70e"],
    "loop.example.com": ["127.0.0.1"],
    "loop6.example.com": ["::1"],
    "ten.example.com": ["10.1.2.3"],
    "mixed.example.com": ["93.184.215.14", "10.1.2.3"],
    "mixed6.example.com": ["93.184.215.14", "fd00::1"],
    "meta.example.com": ["169.254.169.254"],
    "meta6.example.com": ["fd00:ec2::254"],
    "azure.example.com": ["168.63.129.16"],
    "mapped.example.com": ["::ffff:127.0.0.1"],
    "compat.example.com": ["::127.0.0.1"],
    "sixtofour.example.com": ["2002:7f00:1::"],
    "nat64in.example.com": ["64:ff9b::a00:1"],
    "zone.example.com": ["fe80::1%eth0"],
    "cgnat.example.com": ["100.64.0.1"],
    "zero.example.com": ["0.0.0.0"],
    "multi.example.com": ["224.0.0.1"],
    "broad.example.com": ["255.255.255.255"],
    "rubbish.example.com": ["not an address"],
}

ALLOWED = [
    "https://ok.example.com/",
    "http://OK.example.com:80/a?b=c",
    "https://ok6.example.com/",
    "https://nat64.example.com/",
    "https://93.184.215.14/",
    "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/",
    "https://[::ffff:93.184.215.14]/",
]

REFUSED = [
    # other schemes
    ("file:///etc/passwd", "scheme"),
    ("gopher://ok.example.com:80/_GET", "scheme"),
    ("ftp://ok.example.com/", "scheme"),
    ("ws://ok.example.com/", "scheme"),
    ("dict://ok.example.com:80/", "scheme"),
    ("data:text/plain,hello", "scheme"),
    ("//ok.example.com/", "scheme"),
    ("/path", "scheme"),
    ("", "scheme"),
    # this machine and the networks about it
    ("http://127.0.0.1/", "address"),
    ("http://127.1.2.3/", "address"),
    ("http://localhost/", "name"),
    ("http://LOCALHOST/", "name"),
    ("http://a.localhost/", "name"),
    ("http://printer.local/", "name"),
    ("http://[::1]/", "address"),
    ("http://[0:0:0:0:0:0:0:1]/", "address"),
    ("http://[::]/", "address"),
    ("http://0.0.0.0/", "address"),
    ("http://10.0.0.1/", "address"),
    ("http://172.16.0.1/", "address"),
    ("http://172.31.255.255/", "address"),
    ("http://192.168.1.1/", "address"),
    ("http://100.64.0.1/", "address"),
    ("http://192.0.0.8/", "address"),
    ("http://198.18.0.1/", "address"),
    ("http://192.0.2.1/", "address"),
    ("http://224.0.0.1/", "address"),
    ("http://240.0.0.1/", "address"),
    ("http://255.255.255.255/", "address"),
    ("http://[fc00::1]/", "address"),
    ("http://[fe80::1]/", "address"),
    ("http://[fec0::1]/", "address"),
    ("http://[ff02::1]/", "address"),
    ("http://[4000::1]/", "address"),
    # the clouds' credentials
    ("http://169.254.169.254/latest/meta-data/", "address"),
    ("http://169.254.170.2/", "address"),
    ("http://100.100.100.200/", "address"),
    ("http://168.63.129.16/", "address"),
    ("http://[fd00:ec2::254]/", "address"),
    ("http://metadata.google.internal/", "name"),
    ("http://metadata/", "name"),
    ("http://instance-data/", "name"),
    # IPv4 carried by IPv6
    ("http://[::ffff:127.0.0.1]/", "address"),
    ("http://[::ffff:7f00:1]/", "address"),
    ("http://[::ffff:a9fe:a9fe]/", "address"),
    ("http://[::127.0.0.1]/", "address"),
    ("http://[2002:7f00:1::]/", "address"),
    ("http://[64:ff9b::7f00:1]/", "address"),
    ("http://[64:ff9b:1::7f00:1]/", "address"),
    ("http://[2001:0:53aa:64c::80ff:fffe]/", "address"),
    ("http://[fe80::1%25eth0]/", "spelling"),
    ("http://[fe80::1%eth0]/", "spelling"),
    # one address, many spellings
    ("http://2130706433/", "spelling"),
    ("http://0x7f000001/", "spelling"),
    ("http://0x7f.0.0.1/", "spelling"),
    ("http://127.0.0x1/", "spelling"),
    ("http://0177.0.0.1/", "spelling"),
    ("http://127.1/", "spelling"),
    ("http://127.0.1/", "spelling"),
    ("http://0/", "spelling"),
    ("http://134744072/", "spelling"),
    ("http://127.0.0.1./", "spelling"),
    ("http://127%2e0%2e0%2e1/", "spelling"),
    ("http://１２７.0.0.1/", "spelling"),
    ("http://①②⑦.0.0.1/", "spelling"),
    ("http://127。0。0。1/", "address"),
    ("http://localhost./", "spelling"),
    ("http://ok.example.com./", "spelling"),
    ("http://ok..example.com/", "spelling"),
    ("http://ok.example.com\\@127.0.0.1/", "spelling"),
    ("http://ok.example.com\r\nHost: x/", "spelling"),
    ("http:// ok.example.com/", "spelling"),
    ("http://ok.example.com\t/", "spelling"),
    ("http://-x.example.com/", "spelling"),
    ("http:///path", "spelling"),
    # users, ports
    ("http://user@ok.example.com/", "userinfo"),
    ("http://ok.example.com:pass@127.0.0.1/", "userinfo"),
    ("http://ok.example.com:22/", "port"),
    ("http://ok.example.com:6379/", "port"),
    ("http://ok.example.com:0/", "port"),
    ("http://ok.example.com:99999/", "port"),
    # names that answer with an address inside
    *((f"http://{name}/", "address") for name in NAMES if not name.startswith(("ok", "nat64."))),
]


class Canary:
    """A server on this machine that counts who comes."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.port = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    heard = Canary()
    server = await asyncio.start_server(heard, "127.0.0.1", 0)
    heard.port = server.sockets[0].getsockname()[1]
    async with server:
        yield heard


async def resolver(host: str, port: int) -> list[str]:
    if host not in NAMES:
        raise OSError("no such name")
    return NAMES[host]


async def refusal_of(url: str, policy: Egress) -> EgressRefused | None:
    try:
        parsed = policy.check(url)
        await policy.addresses(parsed.raw_host.decode(), 80 if parsed.port is None else parsed.port)
    except EgressRefused as refused:
        return refused
    return None


def test_the_table_is_long_enough_to_mean_something():
    assert len(REFUSED) + len(ALLOWED) > 80


@pytest.mark.parametrize(("url", "rule"), REFUSED)
async def test_what_points_inside_is_refused(url: str, rule: str):
    refused = await refusal_of(url, Egress(resolver=resolver))
    assert refused is not None
    assert refused.rule == rule


@pytest.mark.parametrize("url", ALLOWED)
async def test_what_is_public_is_let_pass(url: str):
    assert await refusal_of(url, Egress(resolver=resolver)) is None


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "loop.example.com", "mixed.example.com"]
)
async def test_a_server_on_this_machine_hears_nothing(canary: Canary, host: str):
    async def answers(name: str, port: int) -> list[str]:
        return ["127.0.0.1"] if name == "loop.example.com" else ["127.0.0.1", "93.184.215.14"]

    with pytest.raises(EgressRefused):
        await fetch(Egress(ports=(canary.port,), resolver=answers), "GET", f"http://{host}:{canary.port}/")
    assert canary.heard == []


async def test_a_name_is_resolved_once_so_that_a_second_answer_is_never_used(canary: Canary):
    """DNS rebinding: the first answer is one that may be called, each later one is not."""
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    policy = Egress(ports=(canary.port,), allow_private=("127.0.0.1/32",), resolver=rebinding)
    answer = await fetch(policy, "GET", f"http://rebind.example.com:{canary.port}/")
    assert (answer.status, answer.content, asked) == (200, b"hi", ["rebind.example.com"])
    assert f"host: rebind.example.com:{canary.port}".encode() in canary.heard[0].lower()


async def test_a_name_that_turns_inside_between_two_calls_is_refused_at_the_second(canary: Canary):
    answers = [["127.0.0.1"], ["127.0.0.2"]]

    async def rebinding(host: str, port: int) -> list[str]:
        return answers.pop(0)

    policy = Egress(ports=(canary.port,), allow_private=("127.0.0.1/32",), resolver=rebinding)
    await fetch(policy, "GET", f"http://rebind.example.com:{canary.port}/")
    with pytest.raises(EgressRefused, match=r"127\.0\.0\.2 is loopback \(RFC 1122\)") as refused:
        await fetch(policy, "GET", f"http://rebind.example.com:{canary.port}/")
    assert (refused.value.host, refused.value.address) == ("rebind.example.com", "127.0.0.2")
    assert len(canary.heard) == 1


async def test_the_transport_itself_judges_whatever_client_is_above_it(canary: Canary):
    import httpx

    async with httpx.AsyncClient(transport=EgressTransport(Egress(ports=(canary.port,))), trust_env=False) as client:
        with pytest.raises(EgressRefused):
            await client.get(f"http://127.0.0.1:{canary.port}/")
        with pytest.raises(EgressRefused, match="Host header"):
            await client.get(f"http://ok.example.com:{canary.port}/", headers={"Host": "127.0.0.1"})
    assert canary.heard == []


async def test_an_environment_s_proxy_is_not_used(canary: Canary, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    with pytest.raises(HostUnreachable):
        await fetch(Egress(resolver=resolver), "GET", "http://nowhere.example.com/")
    assert canary.heard == []


async def test_a_proxy_that_is_named_is_given_the_host_and_resolves_it_itself(canary: Canary):
    policy = Egress(proxy=f"http://127.0.0.1:{canary.port}")
    assert (await fetch(policy, "GET", "http://ok.example.com/x")).content == b"hi"
    assert canary.heard[0].startswith(b"GET http://ok.example.com/x ")
    with pytest.raises(EgressRefused):
        await fetch(policy, "GET", "http://127.0.0.1/")


@pytest.mark.parametrize(
    ("host", "is_listed"),
    [
        ("api.example.com", True),
        ("API.Example.com", True),
        ("a.shop.example.com", True),
        ("a.b.shop.example.com", True),
        ("shop.example.com", False),
        ("evilshop.example.com", False),
        ("api.example.com.evil.com", False),
        ("93.184.215.14", False),
        ("xn--bcher-kva.example.com", True),
        ("bücher.example.com", True),
    ],
)
def test_a_list_of_hosts_lets_pass_what_it_names(host: str, is_listed: bool):
    policy = Egress(hosts=("api.example.com", "*.Shop.example.com", "xn--bcher-kva.example.com"))
    if is_listed:
        policy.check(f"https://{host}/")
    else:
        with pytest.raises(EgressRefused, match="not among the allowed hosts"):
            policy.check(f"https://{host}/")


async def test_a_listed_host_is_no_leave_to_reach_inside():
    refused = await refusal_of("http://ten.example.com/", Egress(hosts=("ten.example.com",), resolver=resolver))
    assert refused is not None
    assert refused.address == "10.1.2.3"


async def test_a_private_network_that_is_meant_is_reached_and_no_other():
    policy = Egress(allow_private=("10.0.0.0/8",), resolver=resolver)
    assert await refusal_of("http://ten.example.com/", policy) is None
    assert await refusal_of("http://[::ffff:10.0.0.1]/", policy) is None
    assert await refusal_of("http://loop.example.com/", policy) is not None


async def test_credentials_of_the_cloud_need_to_be_meant_by_their_very_address():
    assert await refusal_of("http://169.254.169.254/", Egress(allow_private=("169.254.0.0/16",))) is not None
    assert await refusal_of("http://169.254.169.254/", Egress(allow_private=("169.254.169.254/32",))) is None


def test_whatever_python_calls_not_global_is_refused_too():
    """The ends of every range, ours against the standard library's table, which has no metadata and less of IPv6."""
    ends = [0, 1, 2**32 - 1, *(base for first in range(256) for base in (first << 24, (first << 24) + 2**16 * 168))]
    for number in ends:
        address = ipaddress.IPv4Address(number)
        assert address.is_global or rule_against(address), address
    for group in range(0, 0x10000, 0x40):
        address = ipaddress.IPv6Address(group << 112 | 1)
        assert address.is_global or rule_against(address), address


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hosts": "api.example.com"}, "wanted a sequence"),
        ({"hosts": ("*",)}, "no host name"),
        ({"hosts": ("*.com",)}, "more than one owner"),
        ({"hosts": ("https://api.example.com",)}, "no port"),
        ({"hosts": ("api.example.com:443",)}, "no port"),
        ({"hosts": ("bücher.de",)}, "xn--"),
        ({"ports": ()}, "wanted whole numbers"),
        ({"ports": (True,)}, "wanted whole numbers"),
        ({"schemes": ("ftp",)}, "wanted https"),
        ({"allow_private": ("10.0.0.1/8",)}, "is no network"),
        ({"allow_private": ("0.0.0.0/0",)}, "switch the check off"),
        ({"redirects": -1}, "how many to follow"),
        ({"max_bytes": 0}, "1 or more"),
        ({"timeout": 0}, "longer than nothing"),
        ({"proxy": "socks5://p"}, "address of a proxy"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused_where_it_is_written(options, words: str):
    with pytest.raises(DefinitionError, match=words):
        Egress(**options)
