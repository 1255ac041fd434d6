"""The proxy does what the tests of the store take it to do; shown with a plain driver."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.support.processes import until
from tests.support.proxy import Act, Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.clusters import Cluster

INSERT = "INSERT INTO agentflow_trial VALUES (%s)"


@pytest.fixture(autouse=True)
def _table(server: Cluster) -> Iterator[None]:
    server.run_sql("CREATE TABLE agentflow_trial (n int PRIMARY KEY)")
    yield
    server.run_sql("DROP TABLE agentflow_trial")


def connected(proxy: Proxy, **options: Any) -> psycopg.Connection[Any]:
    return psycopg.connect(proxy.url(), autocommit=True, connect_timeout=60, **options)


def stored(server: Cluster) -> list[int]:
    return [int(line) for line in server.run_sql("SELECT n FROM agentflow_trial ORDER BY 1").split()]


def in_one_round(connection: psycopg.Connection[Any], *statements: str) -> None:
    """Send them all before the first answer is read."""
    with connection.pipeline():
        for statement in statements:
            connection.execute(statement.encode())


def test_it_carries_what_it_is_given(proxy: Proxy) -> None:
    with connected(proxy) as connection:
        for size in (1, 1000, 300_000):
            row = connection.execute("SELECT repeat('x', %s::int), %s::text", (size, "y" * size)).fetchone()
            assert row == ("x" * size, "y" * size)
        many = [n for (n,) in connection.execute("SELECT generate_series(1, 20000)")]
        assert len(many) == 20_000
        with connection.pipeline():
            cursors = [connection.execute("SELECT %s::int", (n,)) for n in range(50)]
            assert [cursor.fetchone() for cursor in cursors] == [(n,) for n in range(50)]
    assert proxy.counts["connections"] == 1


@pytest.mark.parametrize("prepared", [False, True], ids=["at first", "prepared"])
def test_a_commit_that_is_reset_has_not_happened(prepared: bool, proxy: Proxy, server: Cluster) -> None:
    with connected(proxy, prepare_threshold=0 if prepared else None) as connection:
        for n in (1, 2, 3):
            connection.execute("BEGIN")
            connection.execute(INSERT, (n,))
            connection.execute("COMMIT")
        rule = proxy.strike(lambda one: one.commits, Act.RESET, skip=1)
        for n in (4, 5):
            connection.execute("BEGIN")
            connection.execute(INSERT, (n,))
            if n == 5:
                with pytest.raises(psycopg.OperationalError):
                    connection.execute("COMMIT")
            else:
                connection.execute("COMMIT")
    assert "COMMIT" in rule.struck[0].text
    assert INSERT.replace("%s", "$1") in rule.struck[0].texts
    until(lambda: stored(server) == [1, 2, 3, 4], "only what was committed is there")


@pytest.mark.parametrize("act", [Act.SWALLOW, Act.DISOWN])
def test_a_commit_whose_reply_is_swallowed_has_happened(act: Act, proxy: Proxy, server: Cluster) -> None:
    with connected(proxy) as connection:
        proxy.strike(lambda one: one.commits, act, "08P01")
        with pytest.raises(psycopg.OperationalError):
            in_one_round(connection, "BEGIN", INSERT % 1, "COMMIT")
    assert stored(server) == [1]


def test_the_same_for_a_statement_that_is_its_own_transaction(proxy: Proxy, server: Cluster) -> None:
    for n, act in enumerate((Act.RESET, Act.SWALLOW), start=1):
        with connected(proxy) as connection:
            proxy.strike(lambda one: one.commits, act)
            with pytest.raises(psycopg.OperationalError):
                connection.execute(INSERT, (n,))
    assert stored(server) == [2]


@pytest.mark.parametrize("prepared", [False, True], ids=["at first", "prepared"])
def test_a_statement_that_is_to_fail_fails_on_the_server(prepared: bool, proxy: Proxy, server: Cluster) -> None:
    with connected(proxy, prepare_threshold=0 if prepared else None) as connection:
        rule = proxy.strike(lambda one: one.writes, Act.FAIL, "40001", skip=1)
        connection.execute("BEGIN")
        connection.execute(INSERT, (1,))
        with pytest.raises(psycopg.errors.SerializationFailure):
            connection.execute(INSERT, (2,))
        connection.execute("ROLLBACK")
        for n in (3, 4):
            connection.execute(INSERT, (n,))
    assert len(rule.struck) == 1
    assert stored(server) == [3, 4]


def test_a_round_of_many_statements_fails_as_one(proxy: Proxy, server: Cluster) -> None:
    with connected(proxy) as connection:
        proxy.strike(lambda one: one.writes, Act.FAIL, "40P01", skip=2)
        with pytest.raises(psycopg.errors.DeadlockDetected):
            in_one_round(connection, *(INSERT % n for n in range(5)))
        connection.execute(INSERT, (9,))
    assert stored(server) == [9]


def test_reset_ends_every_connection_and_refusal_every_new_one(proxy: Proxy) -> None:
    with connected(proxy) as one, connected(proxy) as two:
        proxy.refuse()
        one.execute("SELECT 1")
        assert proxy.reset() == 2
        for connection in (one, two):
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="refused"):
        connected(proxy)
    proxy.accept()
    with connected(proxy) as three:
        three.execute("SELECT 1")


def test_silence_carries_nothing_until_it_is_over(proxy: Proxy) -> None:
    with connected(proxy) as connection:
        proxy.silence()
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            psycopg.connect(proxy.url(), connect_timeout=2)
        proxy.speak()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_connection_that_hushes_leaves_the_others_alone(proxy: Proxy) -> None:
    with connected(proxy) as deaf, connected(proxy) as other:
        deaf.execute("LISTEN here")
        proxy.strike(lambda one: one.text == "SELECT 'hush'", Act.HUSH)
        deaf.pgconn.send_query(b"SELECT 'hush'")
        until(lambda: proxy.rules[0].struck, "it is hushed")
        other.execute("NOTIFY here")
        assert deaf.pgconn.is_busy()
        deaf.pgconn.finish()


def test_latency_and_bandwidth_slow_it_down(proxy: Proxy) -> None:
    with connected(proxy) as connection:
        proxy.latency = 0.2
        before = time.monotonic()
        connection.execute("SELECT 1")
        assert time.monotonic() - before >= 0.2
        proxy.latency, proxy.bandwidth = 0.0, 64_000.0
        before = time.monotonic()
        connection.execute("SELECT repeat('x', 32000)")
        assert time.monotonic() - before >= 0.5


def test_a_server_that_ends_a_session_is_heard_of(proxy: Proxy, server: Cluster) -> None:
    with connected(proxy) as connection:
        server.run_sql(f"SELECT pg_terminate_backend({connection.info.backend_pid})")
        with pytest.raises(psycopg.errors.AdminShutdown):
            connection.execute("SELECT 1")
