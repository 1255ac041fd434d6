"""Through a pooler nothing is left in a session and nothing expected of one; a mode that cannot work is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from agentflow.errors import StoreUnusable
from agentflow.store import open_store
from agentflow.store.postgres.server import OURS, begin, connect, is_pooled
from tests.store.postgres.conftest import name_of
from tests.support.clusters import Cluster
from tests.support.pooler import Pooler, _Server
from tests.support.stores import a_trigger, a_turn, an_entry
from tests.support.wire import Framer, made, refusal

SETTINGS = """
    SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout'),
        current_setting('synchronous_commit'), current_setting('enable_seqscan')
"""


class WithKeysOfItsOwn(Pooler):
    """As PgBouncer does it: the process a client is told of is none of the server's, for it gets several."""

    async def _take(self, startup: bytes) -> _Server:
        server = await super()._take(startup)
        messages = Framer().feed(server.greeting)
        server.greeting = b"".join(made("K", bytes(8)) if one.kind == "K" else one.raw for one in messages)
        return server


class WithoutOptions(WithKeysOfItsOwn):
    """A pooler that refuses whatever would be the session's alone, as PgBouncer does unless told otherwise."""

    async def _serve(self, startup: bytes, client: Any) -> None:
        if b"options\0" in startup:
            client.writer.write(refusal("08P01", "unsupported startup parameter: options", severity="FATAL"))
            raise EOFError
        await super()._serve(startup, client)


@pytest.fixture(params=[WithKeysOfItsOwn, WithoutOptions], ids=["takes-options", "refuses-options"])
def pooled(request: pytest.FixtureRequest, server: Cluster, url: str) -> Iterator[str]:
    """A database through a pooler in transaction mode; the server's own default is to flush nothing."""
    server.run_sql(f"ALTER DATABASE {name_of(url)} SET synchronous_commit = off")
    with request.param(server.host, server.port) as pooler:
        yield pooler.url(name_of(url))


def test_a_direct_connection_has_our_limits_and_flushes_what_it_commits(server: Cluster, url: str) -> None:
    server.run_sql(f"ALTER DATABASE {name_of(url)} SET synchronous_commit = off")
    with connect(url) as connection:
        assert not is_pooled(connection)
        assert connection.execute(SETTINGS).fetchone() == ("20s", "10s", "on", "off")


def test_limits_of_the_url_come_before_ours(url: str) -> None:
    with connect(f"{url}?options=-cstatement_timeout%3D7s") as connection:
        assert connection.execute(SETTINGS).fetchone() == ("7s", "10s", "on", "off")


def test_a_stricter_wait_for_the_disk_is_left_as_it_is(server: Cluster, url: str) -> None:
    server.run_sql(f"ALTER DATABASE {name_of(url)} SET synchronous_commit = remote_apply")
    with connect(url) as connection:
        assert connection.execute(SETTINGS).fetchone() == ("20s", "10s", "remote_apply", "off")


def test_a_pooled_connection_has_them_in_each_transaction_and_prepares_nothing(pooled: str) -> None:
    with connect(pooled) as connection:
        assert is_pooled(connection)
        for _ in range(12):
            begin(connection)
            assert connection.execute(SETTINGS).fetchone() == ("20s", "10s", "on", "off")
            connection.execute("COMMIT")
        assert connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)


def test_nothing_of_ours_stays_in_a_session_others_use(server: Cluster, url: str) -> None:
    with WithoutOptions(server.host, server.port, size=1) as pooler:
        through = pooler.url(name_of(url))
        with closing(connect(through)) as connection:
            begin(connection)
            connection.execute("COMMIT")
        with psycopg.connect(through, autocommit=True) as other:
            found = other.execute(SETTINGS).fetchone()
    assert found is not None
    assert (set(found[:2]), found[3]) == ({"0"}, "on")
    assert set(OURS) == {"statement_timeout", "idle_in_transaction_session_timeout", "enable_seqscan"}


async def test_a_store_works_through_a_pooler_in_transaction_mode(pooled: str) -> None:
    stores = [await open_store(pooled) for _ in range(3)]
    made_by = [await asyncio.gather(*(store.trigger(a_trigger()) for _ in range(20))) for store in stores]
    lease = await a_turn(stores[0])
    await asyncio.gather(*(stores[0].append(lease, an_entry(f"fetch#{n}")) for n in range(30)))
    for store in stores:
        assert sum((await store.counts()).runs.values()) == 61
        assert len(await store.entries(lease.run_id)) == 31
        await store.close()
    assert len({run.id for runs in made_by for run in runs}) == 60


async def test_a_pooler_in_statement_mode_is_refused(server: Cluster, url: str) -> None:
    said = r"pooler in statement mode.*set its pool_mode to transaction"
    with (
        WithKeysOfItsOwn(server.host, server.port, mode="statement") as pooler,
        pytest.raises(StoreUnusable, match=said),
    ):
        await open_store(pooler.url(name_of(url)))
