"""The schema on a server: what the migrations make is what the tables say, and entries keep their order."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from agentflow.requests import RunFilter
from agentflow.store import Store, migrate, open_store
from agentflow.store.revision import SCHEMA
from agentflow.store.tables import Base
from tests.support.postgres import postgres_database
from tests.support.stores import a_trigger, a_turn, an_entry, claimed

COLLATIONS = """
    SELECT DISTINCT collation_name FROM information_schema.columns
    WHERE table_name LIKE 'agentflow\\_%' AND table_name <> 'agentflow_schema' AND data_type = 'text'
"""
WRITE_AN_ENTRY = """
    INSERT INTO agentflow_journal (run_id, seq, kind, epoch, attempt, at)
    SELECT %s, 1000, 'succeeded', 1, 1, %s
"""


def test_the_migrations_make_what_the_tables_say(url: str) -> None:
    migrate.upgrade_postgres(url)
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    with engine.connect() as connection:
        options = {"version_table": "agentflow_schema", "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []
        assert context.get_current_revision() == SCHEMA
    engine.dispose()


def test_texts_are_in_order_byte_by_byte(url: str) -> None:
    migrate.upgrade_postgres(url)
    with psycopg.connect(url) as connection:
        assert connection.execute(COLLATIONS).fetchall() == [("C",)]


async def test_stores_that_open_an_empty_database_at_once_make_its_schema_once() -> None:
    async with postgres_database(empty=True) as url:
        stores = await asyncio.gather(*(open_store(url) for _ in range(6)))
        made = [await store.trigger(a_trigger()) for store in stores]
        assert {run.id for run in (await stores[0].runs(RunFilter())).items} == {run.id for run in made}
        await asyncio.gather(*(store.close() for store in stores))


@pytest.fixture
async def two_stores() -> Any:
    async with postgres_database() as url:
        stores = [await open_store(url), await open_store(url)]
        yield url, *stores
        for store in stores:
            await store.close()


async def test_a_follower_is_shown_nothing_that_a_transaction_under_way_may_come_before(two_stores: Any) -> None:
    url, store, other = two_stores
    lease = await a_turn(store)
    start = await store.head()
    slow = await psycopg.AsyncConnection.connect(url)
    at = int(store.now().timestamp() * 1_000_000)
    await slow.execute(WRITE_AN_ENTRY.encode(), (lease.run_id, at))

    later = await other.trigger(a_trigger())
    assert await store.head() == start
    assert await store.feed(after=start, limit=10) == []

    await slow.commit()
    await slow.close()
    shown = await store.feed(after=start, limit=10)
    assert [(one.run_id, one.seq) for one in shown] == [(lease.run_id, 1000), (later.id, 1)]
    assert await store.head() == shown[-1].id


async def test_entries_go_on_in_order_on_a_server_that_has_counted_fewer_transactions() -> None:
    async with postgres_database() as url:
        store = await open_store(url)
        lease = await a_turn(store)
        await store.append(lease, an_entry())
        await store.close()
        with psycopg.connect(url) as connection:  # as if another server had written them, after many more transactions
            connection.execute("UPDATE agentflow_journal SET id = id + (9000000000::bigint << 20)")
        await _goes_on_in_order(url, lease.run_id)


async def _goes_on_in_order(url: str, run_id: str) -> None:
    stores: list[Store] = await asyncio.gather(open_store(url), open_store(url))
    newest = (await stores[0].entries(run_id))[-1].id
    made = [await store.trigger(a_trigger(task="other")) for store in stores]
    entered = [(await stores[0].entries(run.id))[0].id for run in made]
    assert newest < entered[0] < entered[1]
    assert [one.id for one in await stores[1].feed(after=newest, limit=10)] == entered
    (lease,) = await claimed(stores[0], task="other")
    await stores[0].append(lease, an_entry())
    assert (await stores[0].entries(lease.run_id))[-1].id > entered[1]
    for store in stores:
        await store.close()
