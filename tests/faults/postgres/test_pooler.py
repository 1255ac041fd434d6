"""The pooler takes from its clients what a real one takes; shown with a plain driver."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.support.pooler import Pooler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.clusters import Cluster


@pytest.fixture
def pooler(server: Cluster) -> Iterator[Pooler]:
    with Pooler(server.host, server.port, size=1) as pooler:
        yield pooler


def connected(pooler: Pooler, **options: Any) -> psycopg.Connection[Any]:
    options = {"autocommit": True, "connect_timeout": 60, "prepare_threshold": None} | options
    return psycopg.connect(pooler.url(), **options)


def server_of(connection: psycopg.Connection[Any]) -> Any:
    return connection.execute("SELECT pg_backend_pid()").fetchone()


def test_many_clients_share_one_server_connection(pooler: Pooler) -> None:
    with connected(pooler) as one, connected(pooler) as two:
        assert server_of(one) == server_of(two)
        with one.transaction():
            assert one.execute("SELECT 1 + %s::int", (1,)).fetchone() == (2,)
    assert pooler.lent == 3


def test_a_transaction_keeps_its_connection_until_it_is_over(pooler: Pooler) -> None:
    order: list[str] = []
    with connected(pooler) as one, connected(pooler) as two:

        def ask() -> None:
            two.execute("SELECT 1")
            order.append("the other")

        with one.transaction():
            one.execute("SELECT 1")
            asking = threading.Thread(target=ask)
            asking.start()
            one.execute("SELECT pg_sleep(0.1)")
            order.append("the transaction")
        asking.join(60)
    assert order == ["the transaction", "the other"]


def test_settings_are_somebody_else_s(pooler: Pooler) -> None:
    with connected(pooler) as one, connected(pooler) as two:
        one.execute("SET statement_timeout = '7s'")
        assert two.execute("SHOW statement_timeout").fetchone() == ("7s",)


def test_a_statement_prepared_by_name_clashes(pooler: Pooler) -> None:
    with connected(pooler, prepare_threshold=0) as one, connected(pooler, prepare_threshold=0) as two:
        one.execute("SELECT 1")
        with pytest.raises(psycopg.errors.DuplicatePreparedStatement):
            two.execute("SELECT 2")


def test_nobody_is_notified(pooler: Pooler) -> None:
    with connected(pooler) as one, connected(pooler) as two:
        one.execute("LISTEN here")
        two.execute("NOTIFY here")
        assert list(one.notifies(timeout=0.2)) == []


def test_a_round_of_several_statements_passes(pooler: Pooler) -> None:
    with connected(pooler) as one, one.pipeline():
        cursors = [one.execute("SELECT %s::int", (n,)) for n in range(30)]
        assert [cursor.fetchone() for cursor in cursors] == [(n,) for n in range(30)]


def test_in_statement_mode_a_transaction_is_thrown_out(server: Cluster) -> None:
    with Pooler(server.host, server.port, mode="statement") as pooler, connected(pooler) as one:
        one.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError, match="statement pooling mode"):
            one.execute("BEGIN")
