"""The schema: what the migrations make is what the tables say, once, however many processes start."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from agentflow.errors import StoreUnusable
from agentflow.payloads import digest
from agentflow.states import RunStatus
from agentflow.store import migrate, open_store, opening
from agentflow.store.sqlite.file import connect, driver
from agentflow.store.tables import Base
from tests.store.programs import HOLD_THE_LOCK, programs
from tests.support.stores import a_decision, a_trigger

OPEN = """
import asyncio, sys
from agentflow.store import open_store
from agentflow.requests import TriggerRun
async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    store = await open_store(f"sqlite:///{sys.argv[1]}")
    await store.trigger(TriggerRun(task="t", version="1", input="{}"))
    await store.close()
    print("alembic.command" in sys.modules)
asyncio.run(main())
"""


def test_a_database_is_opened_at_the_newest_revision() -> None:
    """So a migration that is added without this constant is never forgotten."""
    assert migrate.newest() == opening.SCHEMA


def test_the_migrations_make_what_the_tables_say(path: Path) -> None:
    migrate.upgrade_sqlite(path)
    engine = create_engine("sqlite://", creator=lambda: driver.connect(str(path)), module=driver)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": "agentflow_schema", "compare_type": True}
        )
        assert compare_metadata(context, Base.metadata) == []
        assert context.get_current_revision() == opening.SCHEMA
    engine.dispose()


def test_every_table_is_strict_and_named_as_ours(path: Path) -> None:
    migrate.upgrade_sqlite(path)
    connection = connect(path)
    tables = connection.execute("SELECT name, strict FROM pragma_table_list WHERE schema = 'main'").fetchall()
    connection.close()
    ours = {name: strict for name, strict in tables if not name.startswith("sqlite_")}
    assert set(ours) == {table.name for table in Base.metadata.sorted_tables} | {"agentflow_schema"}
    assert {name for name, strict in ours.items() if not strict} == {"agentflow_schema"}


async def test_processes_that_start_at_once_migrate_once(path: Path) -> None:
    with programs(OPEN, (path,), (path,), (path,)) as started:
        for program in started:
            assert await program.line() == "ready"
        for program in started:
            program.go_on()
        for program in started:
            assert await program.output() in {"True", "False"}

    store = await open_store(f"sqlite:///{path}")
    assert sum((await store.counts()).runs.values()) == 3
    await store.close()


async def test_a_database_that_is_up_to_date_is_opened_without_alembic(path: Path) -> None:
    """Which takes longer to import than all else."""
    store = await open_store(f"sqlite:///{path}")
    await store.close()
    with programs(OPEN, (path,)) as (program,):
        assert await program.line() == "ready"
        program.go_on()
        assert await program.output() == "False"


async def test_a_migration_that_cannot_have_the_lock_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(path).close()
    monkeypatch.setattr(migrate, "connect", partial(connect, busy_ms=20))
    with programs(HOLD_THE_LOCK, (path,)) as (holder,):
        assert await holder.line() == "held"
        with pytest.raises(StoreUnusable, match="locked by another program"):
            await open_store(f"sqlite:///{path}")
        holder.go_on()
        await holder.output()
    store = await open_store(f"sqlite:///{path}")
    await store.trigger(a_trigger())
    await store.close()


async def test_a_migration_that_fails_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole upgrade is one transaction, so the next start begins at the same place."""

    def failing(config: object, revision: str) -> None:
        upgrade(config, revision)
        raise ZeroDivisionError

    upgrade = migrate.command.upgrade
    monkeypatch.setattr(migrate.command, "upgrade", failing)
    with pytest.raises(ZeroDivisionError):
        await open_store(f"sqlite:///{path}")
    connection = connect(path)
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()

    monkeypatch.undo()
    store = await open_store(f"sqlite:///{path}")
    await store.trigger(a_trigger())
    await store.close()
    assert "alembic" in sys.modules


def _make(path: Path, revision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database of an earlier release."""
    upgrade = migrate.command.upgrade
    monkeypatch.setattr(migrate.command, "upgrade", lambda config, _: upgrade(config, revision))
    migrate.upgrade_sqlite(path)
    monkeypatch.undo()


async def test_what_waited_in_an_older_database_waits_in_this_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _make(path, "0002", monkeypatch)
    connection = connect(path)
    connection.execute(
        "INSERT INTO agentflow_run (id, task, version, status, queue, priority, input, epoch, attempt, recoveries, "
        "origin, root_id, created_at) VALUES ('run_old', 't', '1', 'waiting', 'default', 0, '{}', 1, 1, 0, 'api', "
        "'run_old', 1)"
    )
    connection.execute("INSERT INTO agentflow_wait VALUES ('run_old', 'answer#1', 'event', 'paid', 1, NULL)")
    connection.close()

    store = await open_store(f"sqlite:///{path}")

    assert [(one.key, one.kind, one.subject) for one in await store.waits("run_old")] == [("answer#1", "event", "paid")]
    assert (await store.run("run_old")).root_id == "run_old"
    await store.close()


async def test_who_was_asked_in_an_older_database_is_asked_in_this_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make(path, "0005", monkeypatch)
    bound = digest("1")
    said = json.dumps({"approval": "apr_old", "digest": bound})
    connection = connect(path)
    connection.execute(
        "INSERT INTO agentflow_run (id, task, version, status, queue, priority, input, epoch, attempt, recoveries, "
        "origin, root_id, created_at) VALUES ('run_old', 't', '1', 'waiting', 'default', 0, '{}', 1, 1, 0, 'api', "
        "'', 1)"
    )
    connection.execute("INSERT INTO agentflow_wait VALUES ('run_old', 'approval#1', 'approval', 'apr_old', 1, NULL)")
    connection.execute(
        "INSERT INTO agentflow_approval (id, run_id, task, key, status, title, summary, body, reason, risk, priority, "
        "field_confidence, evidence, tags, allow, data, schema, digest, on_timeout, version, created_at, comment, "
        "urgency) VALUES ('apr_old', 'run_old', 't', 'approval#1', 'pending', '', '', '', '', '', 0, '{}', '{}', "
        "'{\"a\":\"b\"}', 'approve,reject', '1', '{}', ?, 'reject', 1, 1, '', 1)",
        (bound,),
    )
    connection.execute(
        "INSERT INTO agentflow_journal (run_id, seq, kind, key, operation, epoch, attempt, at, detail) "
        "VALUES ('run_old', 1, 'wait_opened', 'approval#1', 'approval', 1, 1, 1, ?)",
        (said,),
    )
    connection.close()

    store = await open_store(f"sqlite:///{path}")

    assert [(one.key, one.kind, one.subject) for one in await store.waits("run_old")] == [
        ("approval#1", "approval", "apr_old")
    ]
    asked = await store.approval("apr_old")
    assert (asked.digest, asked.allow, asked.tags, asked.evidence) == (bound, "approve,reject", '{"a":"b"}', "{}")
    assert [one.detail for one in await store.entries("run_old")] == [said]
    await store.decide(a_decision("apr_old"))
    assert await store.waits("run_old") == []
    assert (await store.run("run_old")).status is RunStatus.QUEUED
    await store.close()
