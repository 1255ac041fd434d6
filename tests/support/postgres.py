"""A PostgreSQL server for the tests: one given by the environment, or a throwaway one.

`AGENTFLOW_TEST_PG_DSN` names a server on which databases may be made and dropped. Without it a throwaway one is started
(`tests/support/clusters.py`). Each test gets a database of its own, copied from an empty one with our schema.
"""

from __future__ import annotations

import atexit
import itertools
import os
import re
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING

from agentflow.store import open_store
from tests.support.clusters import Cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

VARIABLE = "AGENTFLOW_TEST_PG_DSN"
_numbers = itertools.count(1)
_templates: set[str] = set()


@cache
def server() -> str:
    """The URL of the server's own database. Skips the test where there is none to be had."""
    given = os.environ.get(VARIABLE)
    if given:
        return given
    cluster = Cluster(max_connections=300)
    atexit.register(cluster.__exit__)
    cluster.start()
    return cluster.url()


def database_url(name: str) -> str:
    """The URL of a database on the server."""
    return re.sub(r"(?<=[^/]/)[^/?]*(?=\?|$)", name, server(), count=1)


def execute(statement: str) -> None:
    """Run a statement in the server's own database, outside a transaction."""
    import psycopg

    with psycopg.connect(server(), autocommit=True) as connection:
        connection.execute(statement.encode())


async def _template() -> str:
    """The name of a database with our schema and nothing in it, migrated once for all tests of this process."""
    name = f"agentflow_empty_{os.getpid()}"
    if name not in _templates:
        execute(f"DROP DATABASE IF EXISTS {name}")
        execute(f"CREATE DATABASE {name}")
        store = await open_store(database_url(name))
        await store.close()
        _templates.add(name)
        if VARIABLE in os.environ:  # a throwaway server goes with all it has
            atexit.register(_drop, name)
    return name


def _drop(name: str) -> None:
    execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@asynccontextmanager
async def postgres_database(*, empty: bool = False) -> AsyncIterator[str]:
    """The URL of a fresh database, with our schema unless it is to be `empty`; dropped afterwards."""
    name = f"agentflow_test_{os.getpid()}_{next(_numbers)}"
    execute(f"CREATE DATABASE {name}" + ("" if empty else f" TEMPLATE {await _template()}"))
    try:
        yield database_url(name)
    finally:
        _drop(name)
