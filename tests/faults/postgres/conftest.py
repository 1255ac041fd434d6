"""Servers of the tests' own, and ways to them through a proxy that makes the weather."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crash.scenes import ServerScene, made_on_server
from tests.support.checker import ServerDatabase, Tables
from tests.support.clusters import Cluster, fresh_database, shared
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Cluster:
    """A server that many tests share: they make databases in it, and leave it as it is."""
    return shared()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A server of one test's own, to be restarted, killed and limited."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def proxy(server: Cluster) -> Iterator[Proxy]:
    """A way to the shared server, with weather."""
    with Proxy(server.host, server.port) as proxy:
        yield proxy


@pytest.fixture
def database(server: Cluster) -> str:
    """The name of a fresh database on the shared server, with our schema."""
    return fresh_database().rpartition("/")[2]


@pytest.fixture
def tables(server: Cluster, database: str) -> Tables:
    """Its tables, read past the store and the proxy."""
    return ServerDatabase(server.url(database))


@pytest.fixture
def scene(tmp_path: Path) -> ServerScene:
    """A fresh database on the shared server, reached directly, and the ledger beside it."""
    return made_on_server(tmp_path / "scene")


@pytest.fixture
def stormy(tmp_path: Path, proxy: Proxy, database: str) -> tuple[ServerScene, ServerScene]:
    """One database as its workers and callers reach it, through the proxy, and as the checker does, directly."""
    folder = tmp_path / "scene"
    direct = made_on_server(folder, shared().url(database))
    return ServerScene(folder, proxy.url(database)), direct
