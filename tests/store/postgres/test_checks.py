"""Databases that let us in but cannot be used, or hold something else: refused in a sentence, with nothing changed."""

from __future__ import annotations

import logging
from urllib.parse import quote

import psycopg
import pytest

from agentflow.errors import StoreUnavailable, StoreUnusable
from agentflow.store import open_store
from agentflow.store.revision import SCHEMA
from tests.store.postgres.conftest import name_of
from tests.support.clusters import Cluster
from tests.support.stores import a_trigger

TABLES = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relname LIKE 'agentflow%' ORDER BY 1, 2
"""


def run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def tables(url: str) -> list[tuple[str, str]]:
    with psycopg.connect(url) as connection:
        return connection.execute(TABLES).fetchall()


def as_user(url: str, user: str) -> str:
    return url.replace("//postgres@", f"//{user}@")


def with_path(url: str, path: str) -> str:
    return f"{url}?options={quote(f'-csearch_path={path}')}"


async def made(url: str) -> str:
    store = await open_store(url)
    await store.trigger(a_trigger())
    await store.close()
    return url


async def refused(url: str) -> str:
    """What is said of it, twice the same, with the tables as they were."""
    admin = url.replace("//plain@", "//postgres@").partition("?")[0]
    before = tables(admin)
    said = []
    for _ in range(2):
        with pytest.raises(StoreUnusable) as error:
            await open_store(url)
        said.append(str(error.value))
    assert said[0] == said[1]
    assert tables(admin) == before
    return said[0]


async def test_a_database_in_another_encoding(server: Cluster, url: str) -> None:
    name = f"{name_of(url)}_latin"
    server.run_sql(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    said = await refused(server.url(name))
    assert "holds LATIN1, which cannot hold every text; make one with `createdb --encoding=UTF8" in said


async def test_a_database_that_takes_no_writes(server: Cluster, url: str) -> None:
    server.run_sql(f"ALTER DATABASE {name_of(url)} SET default_transaction_read_only = on")
    assert "takes no writes: the server is a standby, or default_transaction_read_only is on" in await refused(url)


async def test_a_user_who_may_make_no_tables(url: str) -> None:
    said = await refused(as_user(url, "plain"))
    assert 'lets this user make no tables in schema public; GRANT CREATE ON SCHEMA public TO "plain"' in said


async def test_a_user_who_may_not_even_look_into_a_schema(url: str) -> None:
    run(url, "REVOKE ALL ON SCHEMA public FROM public")
    said = await refused(as_user(url, "plain"))
    assert "has no schema that user plain may use (search_path is " in said


async def test_a_user_with_some_of_the_rights_is_told_the_others(url: str) -> None:
    await made(url)
    run(url, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO plain")
    run(url, "REVOKE INSERT ON agentflow_run FROM plain")

    said = await refused(as_user(url, "plain"))

    assert "does not give user plain what it needs" in said
    assert "INSERT on agentflow_run" in said
    assert "USAGE on agentflow_journal_id_seq" in said
    assert "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES" in said


async def test_a_user_with_all_rights_and_none_of_the_tables_is_let_in(url: str) -> None:
    await made(url)
    run(
        url,
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO plain",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO plain",
    )
    await made(as_user(url, "plain"))


async def test_an_older_schema_of_another_owner_is_left_to_that_owner(url: str) -> None:
    await made(url)
    run(
        url,
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO plain",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO plain",
        "UPDATE agentflow_schema SET version_num = '0001'",
    )
    said = await refused(as_user(url, "plain"))
    assert "only the owner of its tables can bring up to date; run `agentflow db upgrade` once as postgres" in said


async def test_a_newer_schema(url: str) -> None:
    await made(url)
    run(url, "UPDATE agentflow_schema SET version_num = '9999'")
    said = await refused(url)
    assert f"was written by a newer agentflow (its schema is 9999, this one's {SCHEMA}); upgrade this program" in said


async def test_half_a_schema(url: str) -> None:
    await made(url)
    run(url, "DELETE FROM agentflow_schema")
    assert "is only half made; restore it from a backup" in await refused(url)


async def test_a_schema_that_lacks_tables(url: str) -> None:
    await made(url)
    run(url, "DROP TABLE agentflow_log, agentflow_decision")
    said = await refused(url)
    assert "lacks the tables agentflow_decision, agentflow_log; restore it from a whole backup" in said


async def test_somebody_elses_tables(url: str) -> None:
    run(url, "CREATE TABLE agentflow_notes (id int)", "CREATE TABLE agentflow_run (id int)")
    said = await refused(url)
    assert "has tables named agentflow_notes, agentflow_run in schema public that agentflow did not make" in said


async def test_other_tables_are_left_alone(url: str) -> None:
    run(url, "CREATE TABLE invoice (id int)", "CREATE TABLE agentflows (id int)")
    await made(url)


async def test_tables_that_another_search_path_hides(url: str) -> None:
    """Or the program would make new ones, and everything would seem to be gone."""
    await made(url)
    run(url, "CREATE SCHEMA app")

    said = await refused(with_path(url, "app,public"))

    assert "has agentflow's tables in schema public, but search_path puts app first" in said
    assert "add options=-csearch_path%3Dpublic to the URL" in said
    await made(f"{url}?options=-csearch_path%3Dpublic")


async def test_two_schemas_of_one_database_hold_two_lots_of_runs(url: str) -> None:
    run(url, "CREATE SCHEMA one", "CREATE SCHEMA two")
    for schema, count in (("one", 1), ("two", 2)):
        for _ in range(count):
            await made(with_path(url, schema))
    for schema, count in (("one", 1), ("two", 2)):
        store = await open_store(with_path(url, schema))
        assert sum((await store.counts()).runs.values()) == count
        await store.close()


async def test_a_forgetful_server_is_told_of_and_let_in(
    server: Cluster, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The tests' server flushes nothing; this database's users would not wait for it either."""
    server.run_sql(f"ALTER DATABASE {name_of(url)} SET synchronous_commit = off")
    with caplog.at_level(logging.WARNING, "agentflow.store"):
        await made(url)

    said = [record.message for record in caplog.records if record.name == "agentflow.store"]
    assert any("runs with fsync=off: a power cut or a crash of its host can destroy all of it" in one for one in said)
    assert any("runs with synchronous_commit=off: so it is turned on for every transaction here" in one for one in said)


async def test_a_database_that_was_moved_away_is_told_of_and_takes_no_writes(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As `agentflow db move` leaves it: whoever only reads may still do so."""
    await made(url)
    run(
        url,
        "CREATE FUNCTION agentflow_moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'its runs were moved to postgresql://db/runs; name that one instead'; END $$",
        "CREATE TRIGGER agentflow_moved BEFORE INSERT ON agentflow_run EXECUTE FUNCTION agentflow_moved()",
    )
    store = await open_store(url)

    assert "takes no writes: its runs were moved to another" in caplog.text
    assert sum((await store.counts()).runs.values()) == 1
    with pytest.raises(StoreUnavailable, match=r"runs; name that one instead; nothing was stored$"):
        await store.trigger(a_trigger())
    await store.close()
