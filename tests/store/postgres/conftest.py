"""A server whose users, databases and rules are the tests' to spoil; and things that only look like one."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from tests.support.clusters import Cluster

RULES = """
local all all trust
host all locked all scram-sha-256
hostssl all tlsonly all trust
host all unlisted all reject
host all postgres,plain all trust
"""
USERS = ("locked", "tlsonly", "unlisted", "plain")
NAMES = (f"own{number}" for number in itertools.count())


@pytest.fixture(scope="session")
def server() -> Iterator[Cluster]:
    """A server with users that may come in by one way only: all of them have the password `right`."""
    with Cluster(max_connections=20, superuser_reserved_connections=3, fsync="off") as cluster:
        for user in USERS:
            cluster.run_sql(f"CREATE USER {user} PASSWORD 'right'")
        (cluster.data / "pg_hba.conf").write_text(RULES)
        cluster.run_sql("SELECT pg_reload_conf()")
        yield cluster


@pytest.fixture
def url(server: Cluster) -> str:
    """An empty database of its own."""
    return server.create(next(NAMES))


def name_of(url: str) -> str:
    return url.rsplit("/", 1)[1].partition("?")[0]


@contextmanager
def listening(answer: Callable[[socket.socket], None] | None) -> Iterator[int]:
    """The port of something that takes connections and answers each with `answer`; with none it never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        if answer is not None:
                            answer(connection)

        if answer is not None:
            threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
