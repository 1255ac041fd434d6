"""Bring a database to this release's schema, under a lock: the first of several starting processes does it."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from agentflow.errors import StoreUnusable
from agentflow.store.postgres import server
from agentflow.store.sqlite.file import connect, driver, explain

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without a file."""
    config = Config()
    config.set_main_option("script_location", str(files("agentflow.store") / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade_sqlite(path: Path) -> None:
    """Upgrade the file to the newest revision, in one transaction. Raises `StoreUnusable` if it is newer than that."""
    raw = connect(path)
    raw.execute("PRAGMA foreign_keys = OFF")  # a table that is made anew is for a moment not there to be referred to
    engine = create_engine("sqlite://", creator=lambda: raw, module=driver, poolclass=StaticPool)
    event.listen(engine, "begin", _begin_immediate)
    try:
        with engine.begin() as connection:
            command.upgrade(configuration(connection), "head")
    except CommandError as error:
        raise StoreUnusable(
            f"database {path} was written by a newer agentflow ({error}); upgrade this program, "
            "or name another database"
        ) from error
    except DBAPIError as error:
        raise StoreUnusable(explain(path, error.orig or error)) from error
    finally:
        engine.dispose()
        raw.close()


def upgrade_postgres(url: str) -> None:
    """Upgrade the database to the newest revision, in one transaction, one at a time. Raises `StoreUnusable`."""
    raw = server.connect(url)
    raw.autocommit = False
    engine = create_engine("postgresql+psycopg://", creator=lambda: raw, poolclass=StaticPool)
    event.listen(engine, "begin", _begin_locked)
    try:
        with engine.begin() as connection:
            command.upgrade(configuration(connection), "head")
    except CommandError as error:
        raise StoreUnusable(
            f"database {server.shown(url)} was written by a newer agentflow ({error}); upgrade this program, "
            "or name another database"
        ) from error
    except DBAPIError as error:
        raise StoreUnusable(server.explain(url, error.orig or error)) from error
    finally:
        engine.dispose()
        raw.close()


def _begin_locked(connection: Any) -> None:
    """Wait for whoever upgrades at the moment, however long; then there is nothing left to do."""
    for name in server.LIMITS:  # a large table takes its time
        connection.exec_driver_sql(f"SET LOCAL {name} = 0")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({server.MIGRATION_LOCK})")


def _begin_immediate(connection: Any) -> None:
    """Take the write lock first: a second process that starts now waits, then finds nothing to do."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def newest() -> str | None:
    """The newest revision among the scripts."""
    return ScriptDirectory.from_config(configuration()).get_current_head()
