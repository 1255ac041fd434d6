"""Runs that are started inside the caller's own transaction are there with its rows, or not at all."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from agentflow import AgentFlow, enlist, task, wait_for_event
from agentflow.errors import IdempotencyMismatch, InvalidInput, InvalidSetting, StoreUnusable
from agentflow.store.sqlite.file import driver
from tests.support.clusters import fresh_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine


@task
async def ship(order: int) -> str:
    return f"shipped {order}"


@task
async def pack(order: int) -> str:
    event = await wait_for_event("paid", key=str(order))
    return f"packed {order} for {event['euro']} euro"


@pytest.fixture(params=["sqlite", "postgres"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'shop.db'}" if request.param == "sqlite" else fresh_database()


@pytest.fixture
async def app(url: str) -> Any:
    async with AgentFlow(ship, pack, database=url) as opened:
        yield opened


@pytest.fixture
def engine(url: str, app: AgentFlow) -> Iterator[Engine]:
    assert app.client is not None
    made = _engine(url)
    with made.begin() as connection:
        connection.execute(text("CREATE TABLE orders (id INTEGER PRIMARY KEY)"))
    yield made
    made.dispose()


def _engine(url: str) -> Engine:
    if url.startswith("sqlite"):
        return create_engine(url, module=driver)
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


def place(session: Session, order: int) -> None:
    session.execute(text("INSERT INTO orders VALUES (:order)"), {"order": order})


def placed(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM orders")).scalar_one())


async def test_a_run_is_there_with_the_rows_of_its_transaction_and_is_taken_at_once(
    app: AgentFlow, engine: Engine
) -> None:
    with Session(engine) as session:
        place(session, 7)
        run = enlist(session).trigger(ship, 7)
        session.commit()
    ended = await app.client.result(run.id, timeout=60)
    assert (ended.status, ended.output) == ("completed", '"shipped 7"')
    assert placed(engine) == 1


async def test_nothing_is_started_by_a_transaction_that_is_rolled_back(app: AgentFlow, engine: Engine) -> None:
    with Session(engine) as session:
        place(session, 7)
        enlist(session).trigger(ship, 7)
        session.rollback()
    assert placed(engine) == 0
    assert (await app.client.runs()).items == []


async def test_an_event_wakes_its_run_when_the_transaction_is_committed(app: AgentFlow, engine: Engine) -> None:
    run = await app.client.trigger(pack, 7)
    with engine.begin() as connection:
        enlist(connection).send_event("paid", {"euro": 5}, key="7")
    ended = await app.client.result(run.id, timeout=60)
    assert ended.output == '"packed 7 for 5 euro"'


async def test_an_idempotency_key_holds_across_transactions(app: AgentFlow, engine: Engine) -> None:
    with Session(engine) as session:
        first = enlist(session).trigger(ship.options(idempotency_key="order-7"), 7)
        session.commit()
    with Session(engine) as session:
        again = enlist(session).trigger(ship.options(idempotency_key="order-7"), 7)
        with pytest.raises(IdempotencyMismatch):
            enlist(session).trigger(ship.options(idempotency_key="order-7"), 8)
        session.commit()
    assert again.id == first.id
    assert len((await app.client.runs()).items) == 1


async def test_arguments_that_do_not_fit_leave_the_transaction_as_it_was(app: AgentFlow, engine: Engine) -> None:
    with Session(engine) as session:
        place(session, 7)
        with pytest.raises(InvalidInput):
            enlist(session).trigger(ship, "seven")
        session.commit()
    assert placed(engine) == 1
    assert (await app.client.runs()).items == []


async def test_a_large_input_is_stored_whole(app: AgentFlow, engine: Engine) -> None:
    @task
    async def read(words: str) -> int:
        return len(words)

    with Session(engine) as session:
        run = enlist(session).trigger(read, "é" * 200_000)
        session.commit()
    assert (await app.client.run(run.id)).input.count("é") == 200_000


async def test_many_threads_start_each_their_own_run(app: AgentFlow, engine: Engine) -> None:
    def order(number: int) -> str:
        with Session(engine) as session:
            place(session, number)
            run = enlist(session).trigger(ship, number)
            session.commit()
            return run.id

    run_ids = await asyncio.gather(*(asyncio.to_thread(order, number) for number in range(20)))
    ended = [await app.client.result(run_id, timeout=60) for run_id in run_ids]
    assert sorted(one.output or "" for one in ended) == sorted(f'"shipped {number}"' for number in range(20))
    assert placed(engine) == 20


async def test_an_asynchronous_session_starts_runs_too(tmp_path: Path) -> None:
    url = fresh_database()
    async with AgentFlow(ship, database=url) as app:
        engine = create_async_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        async with AsyncSession(engine) as session:
            run = await enlist(session).trigger(ship, 7)
            await session.commit()
        async with engine.begin() as connection:
            sent = await enlist(connection).send_event("paid", key="7")
        await engine.dispose()
        assert (await app.client.result(run.id, timeout=60)).output == '"shipped 7"'
        assert [one.id for one in await app.client.events()] == [sent.id]


def test_a_database_of_somebody_else_is_refused(tmp_path: Path) -> None:
    with Session(_engine(f"sqlite:///{tmp_path / 'other.db'}")) as session:
        place_tables = text("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        session.execute(place_tables)
        with pytest.raises(StoreUnusable, match="has no tables of agentflow"):
            enlist(session).trigger(ship, 7)


def test_what_is_no_session_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="str is no session"):
        enlist("sqlite://")  # type: ignore[call-overload]


@pytest.mark.skipif(driver is sqlite3, reason="the store uses Python's own SQLite here")
def test_another_copy_of_sqlite_is_refused(tmp_path: Path) -> None:
    """The locks of one are unknown to the other, and closing a file in one lets go of those of both."""
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}", module=sqlite3)
    with Session(engine) as session, pytest.raises(InvalidSetting, match=r"module=pysqlite3\.dbapi2"):
        enlist(session).trigger(ship, 7)
    engine.dispose()
