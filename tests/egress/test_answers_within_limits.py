"""Size, time, redirects and encryption of the calls that are made."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from agentflow.egress import Egress, fetch
from agentflow.errors import AnswerLost, AnswerTooLarge, EgressRefused, HostUnreachable

Handle = Callable[[bytes, asyncio.StreamWriter], object]
SECRET = {"Authorization": "Bearer s3cret", "X-Api-Key": "s3cret", "Accept": "text/plain"}


@asynccontextmanager
async def serving(handle: Handle, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await handle(head, writer)  # type: ignore[misc]
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls) as server:
        yield server.sockets[0].getsockname()[1]


def at(port: int, *more: int, **options) -> Egress:
    async def here(host: str, port: int) -> list[str]:
        return ["127.0.0.2" if host == "inside.example.com" else "127.0.0.1"]

    return Egress(ports=(port, *more), allow_private=("127.0.0.1/32",), resolver=here, **options)


def answer(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    lines = [b"HTTP/1.1 " + status, b"content-length: %d" % len(body), *headers, b"", body]
    return b"\r\n".join(lines)


def bomb(size: int) -> bytes:
    return gzip.compress(b"\0" * size)


async def test_a_small_answer_that_unpacks_to_a_huge_one_is_dropped_and_never_held():
    packed = bomb(50_000_000)
    assert len(packed) < 60_000

    async def handle(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(packed, b"content-encoding: gzip"))

    async with serving(handle) as port:
        with pytest.raises(AnswerTooLarge, match="more than 100000 bytes"):
            await fetch(at(port, max_bytes=100_000), "GET", f"http://api.example.com:{port}/")


async def test_unpacking_stops_at_the_limit(monkeypatch):
    """The library is never asked for more than the limit and one byte, so a bomb costs no memory."""
    asked: list[int] = []
    real = zlib.decompressobj

    class Watched:
        def __init__(self, wbits: int) -> None:
            self._real = real(wbits)

        def decompress(self, part: bytes, most: int) -> bytes:
            asked.append(most)
            return self._real.decompress(part, most)

    monkeypatch.setattr("agentflow.egress.fetching.zlib.decompressobj", Watched)

    async def handle(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(bomb(10_000_000), b"content-encoding: gzip"))

    async with serving(handle) as port:
        with pytest.raises(AnswerTooLarge):
            await fetch(at(port, max_bytes=9_999), "GET", f"http://api.example.com:{port}/")
    assert asked
    assert all(0 < most <= 10_000 for most in asked)


async def test_a_compressed_answer_of_fair_size_is_read():
    async def handle(head: bytes, writer: asyncio.StreamWriter) -> None:
        assert b"accept-encoding: gzip\r\n" in head.lower()
        writer.write(answer(gzip.compress(b"hello"), b"content-encoding: gzip", b"content-type: text/plain"))

    async with serving(handle) as port:
        got = await fetch(at(port), "GET", f"http://api.example.com:{port}/")
    assert (got.text, got.media_type) == ("hello", "text/plain")


@pytest.mark.parametrize(
    ("body", "header", "words"),
    [
        (b"x" * 1001, b"x-y: z", "more than 1000 bytes"),
        (b"hello", b"content-encoding: br", "not asked for"),
        (b"hello", b"content-encoding: gzip, gzip", "not asked for"),
        (b"hello", b"content-encoding: gzip", "gzip and is not"),
        (gzip.compress(b"hello" * 20, mtime=0)[:-9], b"content-encoding: gzip", "broke off"),
    ],
)
async def test_an_answer_that_is_too_much_or_unreadable_is_none(body: bytes, header: bytes, words: str):
    async def handle(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(body, header))

    async with serving(handle) as port:
        with pytest.raises((AnswerTooLarge, AnswerLost), match=words):
            await fetch(at(port, max_bytes=1000), "GET", f"http://api.example.com:{port}/")


async def test_an_endless_answer_is_dropped():
    async def handle(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()

    async with serving(handle) as port:
        with pytest.raises(AnswerTooLarge):
            await fetch(at(port), "GET", f"http://api.example.com:{port}/")


async def test_a_slow_drip_is_cut_off_by_the_limit_on_the_whole():
    """A byte every while keeps a limit on each read from ever being reached."""
    gone = asyncio.Event()

    async def handle(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        loop = asyncio.get_running_loop()
        try:
            while not writer.is_closing():
                writer.write(b"x")
                await writer.drain()
                tick = loop.create_future()
                loop.call_later(0.02, tick.set_result, None)
                await tick
        finally:
            gone.set()

    async with serving(handle) as port:
        with pytest.raises(AnswerLost, match=r"no whole answer within 0\.2 s"):
            await fetch(at(port, timeout="200ms"), "POST", f"http://api.example.com:{port}/")
        await gone.wait()


async def test_a_call_that_was_never_sent_says_so():
    async def stuck(host: str, port: int) -> list[str]:
        return await asyncio.get_running_loop().create_future()

    with pytest.raises(HostUnreachable, match="Nothing was sent"):
        await fetch(Egress(resolver=stuck, timeout="50ms"), "POST", "https://api.example.com/")
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(HostUnreachable, match="Nothing was sent"):
        await fetch(at(port), "POST", f"http://api.example.com:{port}/")


async def test_a_call_whose_connection_broke_may_have_been_heard():
    async def handle(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with serving(handle) as port:
        with pytest.raises(AnswerLost, match="may have been heard") as lost:
            await fetch(at(port), "POST", f"http://api.example.com:{port}/a?key=s3cret", headers=SECRET)
    assert "s3cret" not in str(lost.value)


async def test_a_header_that_would_be_two_is_refused_and_not_shown():
    with pytest.raises(EgressRefused, match="'x-key'") as refused:
        await fetch(Egress(), "GET", "https://api.example.com/", headers={"X-Key": "s3cret\r\nX-Other: 1"})
    assert "s3cret" not in str(refused.value)


# -- redirects


def redirecting(target: str, status: bytes, heard: list[bytes]) -> Handle:
    async def handle(head: bytes, writer: asyncio.StreamWriter) -> None:
        heard.append(head)
        if b" /first " in head:
            writer.write(answer(b"", b"location: " + target.encode(), status=status))
        else:
            writer.write(answer(b"there"))

    return handle


async def test_a_redirect_is_not_followed_unless_the_policy_says_so():
    heard: list[bytes] = []
    async with serving(redirecting("/second", b"302 Found", heard)) as port:
        got = await fetch(at(port), "GET", f"http://api.example.com:{port}/first")
        assert (got.status, got.headers["location"], len(heard)) == (302, "/second", 1)
        got = await fetch(at(port, redirects=1), "GET", f"http://api.example.com:{port}/first", headers=SECRET)
    assert (got.status, got.content, got.url) == (200, b"there", f"http://api.example.com:{port}/second")
    assert b"s3cret" in heard[2]


@pytest.mark.parametrize(
    "target",
    [
        "http://inside.example.com:{port}/",
        "http://127.0.0.2:{port}/",
        "http://169.254.169.254:{port}/",
        "http://localhost:{port}/",
        "http://2130706434:{port}/",
        "file:///etc/passwd",
        "//user@api.example.com:{port}/",
        "http://api.example.com:22/",
        "http://api.example.com:{port}\\@127.0.0.2/",
    ],
)
async def test_a_redirect_inside_is_refused(target: str):
    heard: list[bytes] = []
    targets: list[str] = []

    async def handle(head: bytes, writer: asyncio.StreamWriter) -> None:
        heard.append(head)
        writer.write(answer(b"", b"location: " + targets[0].encode(), status=b"307 Temporary Redirect"))

    async with serving(handle) as port:
        targets.append(target.format(port=port))
        with pytest.raises(EgressRefused):
            await fetch(at(port, redirects=5), "GET", f"http://api.example.com:{port}/first")
    assert len(heard) == 1


async def test_credentials_do_not_follow_to_another_origin():
    heard: list[bytes] = []
    async with (
        serving(redirecting("", b"", heard)) as other,
        serving(redirecting(f"http://api.example.com:{other}/second", b"302 Found", heard)) as port,
    ):
        url = f"http://api.example.com:{port}/first"
        await fetch(at(port, other, redirects=1), "GET", url, headers=SECRET | {"Cookie": "s3cret"})
    assert b"s3cret" in heard[0]
    assert b"s3cret" not in heard[1]
    assert b"text/plain" in heard[1]


async def test_a_body_does_not_follow_to_another_origin():
    heard: list[bytes] = []
    async with (
        serving(redirecting("", b"", heard)) as other,
        serving(redirecting(f"http://api.example.com:{other}/second", b"307 Temporary Redirect", heard)) as port,
    ):
        with pytest.raises(EgressRefused, match="a body to another origin"):
            await fetch(at(port, other, redirects=1), "POST", f"http://api.example.com:{port}/first", content=b"x")
    assert len(heard) == 1


async def test_a_circle_of_redirects_ends():
    heard: list[bytes] = []
    async with serving(redirecting("/first", b"302 Found", heard)) as port:
        got = await fetch(at(port, redirects=3), "GET", f"http://api.example.com:{port}/first")
    assert (got.status, len(heard)) == (302, 4)


# -- encryption


def certificate(host: str, folder) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server that is `host` and of a client that trusts it."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = made.public_bytes(serialization.Encoding.PEM)
    (folder / "cert.pem").write_bytes(text)
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return server, ssl.create_default_context(cadata=text.decode())


async def test_the_certificate_is_checked_against_the_name_and_not_the_address(tmp_path):
    server, client = certificate("api.example.com", tmp_path)
    asked: list[str | None] = []
    server.sni_callback = lambda _, name, __: asked.append(name)

    async def handle(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"safe"))

    async with serving(handle, tls=server) as port:
        policy = at(port, ssl_context=client)
        assert (await fetch(policy, "GET", f"https://api.example.com:{port}/")).content == b"safe"
        with pytest.raises(HostUnreachable, match=r"(?i)certificate"):
            await fetch(policy, "GET", f"https://other.example.com:{port}/")
    assert asked == ["api.example.com", "other.example.com"]
