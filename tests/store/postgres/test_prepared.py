"""Statements by the driver's lower layer: values go and come as they are, and no thread keeps the others waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest

from agentflow.store.postgres.prepared import Prepared
from agentflow.store.postgres.server import PREPARE_AFTER, connect
from tests.support.postgres import postgres_database
from tests.support.stores import until

TEXTS = [
    "",
    "plain",
    'say "no"',
    "back\\slash",
    "{braces, commas}",
    "NULL",
    "line\nfeed\ttab",
    "ünïcode ☃ 𝄞",
    "%s %% $1",
]
MANY = """
SELECT a, n FROM unnest(%(texts)s::text[], %(numbers)s::bigint[]) WITH ORDINALITY AS x (a, n, place) ORDER BY place
"""
WAITERS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
LOCK = "SELECT pg_advisory_lock(%(key)s)"


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with postgres_database(empty=True) as url:
        yield url


@pytest.fixture
def statements(url: str) -> Iterator[Prepared]:
    connection = connect(url)
    yield Prepared(connection)
    connection.close()


def fetched(statements: Prepared, asked: str, **params: Any) -> Any:
    return statements.rows(statements.run(asked, params))


@pytest.mark.parametrize("text", [*TEXTS, None])
def test_a_text_comes_back_as_it_went(text: str | None, statements: Prepared) -> None:
    for _ in range(PREPARE_AFTER + 2):
        assert fetched(statements, "SELECT %(text)s::text, %(number)s::bigint", text=text, number=7) == [(text, 7)]


def test_an_array_comes_back_as_it_went(statements: Prepared) -> None:
    given = [*TEXTS, None]
    found = fetched(statements, MANY, texts=given, numbers=[None, *range(1, len(given))])
    assert [row[0] for row in found] == given
    assert [row[1] for row in found] == [None, *range(1, len(given))]


def test_a_parameter_may_stand_in_several_places_and_a_percent_sign_for_itself(statements: Prepared) -> None:
    found = fetched(statements, "SELECT %(a)s::text || %(b)s::text || %(a)s::text LIKE 'x%%x'", a="x", b="y")
    assert found == [(True,)]


def test_how_many_rows_a_statement_changed_is_told(statements: Prepared) -> None:
    statements.say(b"CREATE TABLE kept (id int)")
    assert statements.run("INSERT INTO kept SELECT generate_series(1, %(n)s)", {"n": 3}).command_tuples == 3
    assert statements.run("UPDATE kept SET id = id WHERE id > %(n)s", {"n": 9}).command_tuples == 0


def test_an_error_has_its_class_and_leaves_the_connection_usable(statements: Prepared) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        statements.run("SELECT 1 / %(zero)s::int", {"zero": 0})
    assert fetched(statements, "SELECT %(n)s::int", n=1) == [(1,)]


def test_a_begin_that_was_put_off_begins_with_what_follows(url: str, statements: Prepared) -> None:
    statements.say(b"CREATE TABLE kept (id int)")
    statements.say_later(b"BEGIN")
    statements.run("INSERT INTO kept VALUES (%(n)s)", {"n": 1})
    with connect(url) as other:
        assert other.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        statements.say(b"COMMIT")
        assert other.execute("SELECT count(*) FROM kept").fetchone() == (1,)


def test_what_fails_on_the_journey_of_a_begin_is_the_error_of_that_statement(statements: Prepared) -> None:
    statements.say_later(b"BEGIN")
    with pytest.raises(psycopg.errors.UndefinedTable):
        statements.run("SELECT * FROM missing WHERE id = %(n)s", {"n": 1})
    statements.say(b"ROLLBACK")
    assert fetched(statements, "SELECT %(n)s::int", n=1) == [(1,)]


def test_a_session_that_the_server_ends_is_said_to_be_ended(url: str, statements: Prepared) -> None:
    with connect(url) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (statements.connection.info.backend_pid,))
    statements.say_later(b"BEGIN")
    with pytest.raises(psycopg.OperationalError):
        statements.run("SELECT %(n)s::int", {"n": 1})
    assert statements.connection.closed


@pytest.mark.parametrize("put_off", [False, True])
async def test_other_threads_go_on_while_one_waits_for_the_server(
    put_off: bool, url: str, statements: Prepared
) -> None:
    """What it waits for, only another thread of this process can give."""
    with connect(url) as holder:
        holder.execute("SELECT pg_advisory_lock(1)")
        if put_off:
            statements.say_later(b"BEGIN")
        begun = threading.Event()

        def wait() -> Any:
            begun.set()
            return fetched(statements, LOCK, key=1)

        waiting = asyncio.ensure_future(asyncio.to_thread(wait))
        await asyncio.to_thread(begun.wait)
        await until(lambda: holder.execute(WAITERS).fetchone() == (1,))
        holder.execute("SELECT pg_advisory_unlock(1)")
        assert len(await waiting) == 1
