"""Servers that are not there, do not let us in, or are no servers: one sentence each, with the remedy."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from agentflow.errors import StoreUnusable
from agentflow.store import open_store
from agentflow.store.postgres.sentences import explain
from agentflow.store.postgres.server import connect, has_hung_up
from tests.store.postgres.conftest import listening
from tests.support.clusters import Cluster, free_port
from tests.support.processes import until
from tests.support.stores import a_turn, an_entry
from tests.support.wire import made, refusal


def refused(url: str, **options: int) -> str:
    with pytest.raises(StoreUnusable) as error:
        connect(url, **options).close()
    said = str(error.value)
    assert "\n" not in said
    assert ":right" not in said
    assert "wrong-one" not in said
    return said


def at(server: Cluster, user: str, password: str = "", *, name: str = "postgres", more: str = "") -> str:
    credentials = f"{user}:{password}" if password else user
    return f"postgresql://{credentials}@127.0.0.1:{server.port}/{name}{more}"


async def test_the_same_is_said_when_a_store_is_opened(server: Cluster) -> None:
    with pytest.raises(StoreUnusable, match=r"database postgresql://locked:…@.* is refused to this user and password"):
        await open_store(at(server, "locked", "wrong-one"))


def test_a_wrong_password(server: Cluster) -> None:
    assert "is refused to this user and password; correct them" in refused(at(server, "locked", "wrong-one"))


def test_no_password(server: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    assert "asks for a password and none was given; put it into the URL" in refused(at(server, "locked"))


def test_a_database_that_is_not_there(server: Cluster) -> None:
    said = refused(at(server, "postgres", name="nowhere"))
    assert 'the server has no database "nowhere"; make it (`createdb`)' in said


def test_a_user_that_is_not_there(server: Cluster) -> None:
    said = refused(f"postgresql://nobody@/postgres?host={server.folder}&port={server.port}")
    assert 'the server has no user "nobody"; make it (`createuser`)' in said


def test_a_user_who_may_not_come_in_from_here(server: Cluster) -> None:
    assert "is not open to this user from here" in refused(at(server, "unlisted", "right"))


def test_tls_that_the_server_wants(server: Cluster) -> None:
    assert "without TLS; add sslmode=require to the URL" in refused(at(server, "tlsonly", more="?sslmode=disable"))


def test_tls_that_the_server_does_not_speak(server: Cluster) -> None:
    assert "with TLS, which this server does not speak" in refused(at(server, "plain", more="?sslmode=require"))


def test_a_host_without_a_name() -> None:
    assert "whose name is not known; correct the host" in refused("postgresql://u:right@no-such-host.invalid/runs")


def test_a_port_nobody_listens_on() -> None:
    assert "nothing listens on this host and port" in refused(f"postgresql://u:right@127.0.0.1:{free_port()}/runs")


def test_a_socket_nobody_listens_on(tmp_path: Path) -> None:
    assert "no server listens on this socket" in refused(f"postgresql:///runs?host={tmp_path}")


def test_a_port_that_says_nothing() -> None:
    began = time.monotonic()
    with listening(None) as port:
        said = refused(f"postgresql://u:right@127.0.0.1:{port}/runs", patience=2)
    assert "does not answer; is host and port right, and no firewall between?" in said
    assert time.monotonic() - began < 8


def test_several_hosts_of_which_none_answers() -> None:
    said = refused(f"postgresql://u:right@127.0.0.1:{free_port()},127.0.0.1:{free_port()}/runs")
    assert "nothing listens on this host and port" in said


def test_a_server_of_another_kind() -> None:
    def http(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with listening(http) as port:
        for mode in ("prefer", "disable"):
            said = refused(f"postgresql://u:right@127.0.0.1:{port}/runs?sslmode={mode}&gssencmode=disable")
            assert "is not on a PostgreSQL server: something else answers there" in said


def test_something_that_hangs_up() -> None:
    with listening(lambda connection: connection.recv(1000) and None) as port:
        said = refused(f"postgresql://u:right@127.0.0.1:{port}/runs?sslmode=disable&gssencmode=disable")
    assert "hung up in the middle of a conversation" in said


# -- servers that speak, but for which there is no program here

AUTHENTICATED = made("R", b"\0\0\0\0")
READY = made("Z", b"I")


def greeting(version: str) -> bytes:
    told = {"server_version": version, "client_encoding": "UTF8", "standard_conforming_strings": "on"}
    parameters = [made("S", f"{name}\0{value}\0".encode()) for name, value in told.items()]
    return b"".join([AUTHENTICATED, *parameters, made("K", bytes(8)), READY])


def speaking(*replies: bytes) -> AbstractContextManager[int]:
    def answer(connection: socket.socket) -> None:
        for reply in replies:
            if not connection.recv(10_000):
                return
            connection.sendall(reply)
        connection.recv(10_000)

    return listening(answer)


def test_a_server_that_is_too_old() -> None:
    """It is not asked anything before its version is known."""
    with speaking(greeting("13.14")) as port:
        said = refused(f"postgresql://u:right@127.0.0.1:{port}/runs?sslmode=disable&gssencmode=disable")
    assert "is on PostgreSQL 13; agentflow needs 14 or newer: upgrade the server" in said


@pytest.mark.parametrize(
    ("sqlstate", "text", "sentence"),
    [
        ("57P03", "the database system is starting up", "only starting; try again in a moment"),
        ("57P03", "the database system is not yet accepting connections", "only starting"),
        ("57P03", "the database system is shutting down", "is being stopped; start it again"),
        ("53300", "sorry, too many clients already", "has no connection left; raise max_connections"),
        ("53300", "remaining connection slots are reserved for roles with the SUPERUSER", "has no connection left"),
        ("53300", "no more connections allowed (max_client_conn)", "has no connection left"),
        ("08P01", "no such database: runs", 'the server has no database "runs"'),
        ("28000", "connection requires a valid client certificate", "name yours with sslcert and sslkey"),
        ("53200", "out of memory", "out of memory"),
    ],
)
def test_a_server_that_refuses_the_connection(sqlstate: str, text: str, sentence: str) -> None:
    with speaking(refusal(sqlstate, text, severity="FATAL")) as port:
        said = refused(f"postgresql://u:right@127.0.0.1:{port}/runs?sslmode=disable&gssencmode=disable")
    assert sentence in said


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two certificates, each vouched for by itself alone, and their keys."""
    if shutil.which("openssl") is None:
        pytest.skip("making a certificate takes openssl")
    folder = tmp_path_factory.mktemp("tls")
    options = ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=elsewhere")
    for name in ("own", "other"):
        files = ("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")
        subprocess.run(["openssl", "req", *options, *files], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize(
    ("authority", "detail"),
    [
        ("own.pem", 'server certificate for "elsewhere" does not match host name "127.0.0.1"'),
        ("none.pem", "does not exist"),
        ("other.pem", "certificate verify failed"),
    ],
)
def test_a_certificate_that_cannot_be_trusted(certificates: Path, authority: str, detail: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "own.pem", certificates / "own.key")

    def answer(connection: socket.socket) -> None:
        connection.recv(8)
        connection.sendall(b"S")
        with context.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.recv(1000)

    query = f"sslmode=verify-full&sslnegotiation=postgres&gssencmode=disable&sslrootcert={certificates / authority}"
    with listening(answer) as port:
        said = refused(f"postgresql://u:right@127.0.0.1:{port}/runs?{query}")
    assert "cannot be reached with TLS" in said
    assert detail in said
    assert "name the authority that signed the server's certificate with sslrootcert" in said


# -- what happens later, by its SQLSTATE: a server may say it in any language


def test_too_many_connections_to_a_real_server(server: Cluster) -> None:
    with ExitStack() as taken:

        def take_all() -> None:
            for _ in range(40):  # more than there are: some sessions of tests before may be ending only now
                taken.enter_context(connect(at(server, "plain")))

        with pytest.raises(StoreUnusable, match="has no connection left; raise max_connections"):
            take_all()


class Told(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__("in einer fremden Sprache")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("sqlstate", "sentence"),
    [
        ("53100", "is on a full disk; free some space on the server"),
        ("25006", "takes no writes"),
        ("57P01", "is being stopped"),
        ("57014", "took too long over one statement"),
        ("42501", "does not let this user do what is needed (in einer fremden Sprache)"),
        ("42P01", "is not as this program left it"),
        ("XX001", "is damaged"),
        ("58030", "is damaged, or its disk is"),
        ("3D000", "the server has no database"),
        ("28P01", "is refused to this user and password"),
        ("08006", "hung up"),
    ],
)
def test_an_error_is_told_by_its_sqlstate(sqlstate: str, sentence: str) -> None:
    assert sentence in explain("postgresql://mia:right@db/runs", Told(sqlstate))


def test_an_idle_connection_that_the_server_ended_is_known_to_be_ended(server: Cluster) -> None:
    """So that what is sent next is not lost on it, with nobody knowing whether it was done."""
    with connect(at(server, "postgres")) as connection, connect(at(server, "postgres")) as other:
        assert not has_hung_up(connection)
        connection.execute("LISTEN news")
        other.execute("NOTIFY news")
        connection.execute("SELECT 1")
        assert not has_hung_up(connection)
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))
        until(lambda: has_hung_up(connection), "the connection's end is noticed")


async def test_the_first_write_after_a_restart_of_the_server_is_stored(server: Cluster, url: str) -> None:
    """And not reported as perhaps stored, for it was not sent on the old connection."""
    store = await open_store(url)
    lease = await a_turn(store)
    server.restart()
    await store.append(lease, an_entry())
    assert (await store.entries(lease.run_id))[-1].key == "fetch#1"
    await store.close()
