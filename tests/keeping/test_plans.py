"""What removes rows finds them by an index, however many there are; so a batch is short on a large database, too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agentflow.store.keeping import accounts, ageing, families, removal, restoring
from agentflow.store.sqlite.file import connect
from agentflow.store.statements import Statement
from tests.store.test_query_plans import plan_of
from tests.support.stores import Database, database_of

if TYPE_CHECKING:
    from collections.abc import Iterator

WHOLE_TABLES = {
    "restoring.FORGET_ALL": "as many rows as processes",
    "families.CURSOR": "as many rows as subscriptions",
    "restoring.SKIP_QUEUED": "only what is queued, by the index of it",
    "restoring.END_BACKFILLS": "only those under way, by the index of them",
    "restoring.FAIL_MATCHES": "only those that wait, by the index of them",
    "restoring.MOVE_ON": "as many rows as subscriptions",
    "restoring.DISCARD": "only those on their way, by the index of them",
    "restoring.SIGN_OUT": "as many rows as people who are signed in",
    "restoring.VALID": "as many rows as tokens",
}
INDEXED = {
    "families.WANTED": "ix_agentflow_run_forked_from",
    "removal.REMOVE_BLOB": "ix_agentflow_journal_blob_output",
    "accounts.USAGE": "agentflow_usage USING INTEGER PRIMARY KEY",
    "accounts.NEXT_THREAD": "sqlite_autoindex_agentflow_thread_part_1",
    "accounts.LAST_AT": "sqlite_autoindex_agentflow_thread_part_1",
    "accounts.BLOBS": "sqlite_autoindex_agentflow_thread_part_1",
    "ageing.EVENTS": "ix_agentflow_event_sent_at",
    "ageing.DELIVERIES": "ix_agentflow_delivery_received_at",
    "ageing.OLDEST_FORKED": "ix_agentflow_run_forked_from",
    "ageing.OLDEST_OPEN[0]": "ix_agentflow_run_status",
    "accounts.DISPATCHES": "ix_agentflow_dispatch_created_at",
    "families.NEWEST": "uq_agentflow_journal_run_id_seq",
    "restoring.PAGE": "ix_agentflow_run_status",
}


def _statements() -> Iterator[tuple[str, Statement]]:
    for module in (accounts, ageing, families, removal, restoring):
        for name, value in vars(module).items():
            label = f"{module.__name__.rpartition('.')[2]}.{name}"
            if isinstance(value, Statement):
                yield label, value
            elif isinstance(value, tuple) and value and isinstance(value[0], Statement):
                yield from ((f"{label}[{at}]", one) for at, one in enumerate(value))


STATEMENTS = dict(_statements())


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with database_of("sqlite", tmp_path) as database:
        yield database


def plan(database: Database, name: str) -> list[str]:
    connection = connect(Path(database.url.removeprefix("sqlite:///")))
    try:
        return plan_of(connection, STATEMENTS[name])
    finally:
        connection.close()


@pytest.mark.parametrize("name", sorted(STATEMENTS))
async def test_no_table_is_read_from_end_to_end(database: Database, name: str) -> None:
    found = plan(database, name)
    assert name in WHOLE_TABLES or not [line for line in found if line.startswith("SCAN agentflow_")], found


@pytest.mark.parametrize("name", INDEXED)
async def test_the_index_that_was_made_for_it_is_used(database: Database, name: str) -> None:
    found = plan(database, name)
    assert any(INDEXED[name] in line for line in found), found
    # Rows of one instant may have to be put in order, and no more.
    assert not any("TEMP B-TREE" in line and "LAST" not in line for line in found), found


async def test_a_blob_is_looked_for_by_an_index_of_every_column_that_may_name_it(database: Database) -> None:
    found = [line for line in plan(database, "removal.REMOVE_BLOB") if line.startswith("SEARCH")][1:]
    assert len(found) == 23
    assert all("_blob_" in line for line in found), found
