"""Every statement the store runs finds its rows by an index: none reads a table that grows from end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow.store import (
    claiming,
    control,
    decisions,
    journal,
    maintenance,
    outcomes,
    reads,
    runs,
    triggering,
    triggers,
    waits,
)
from agentflow.store.sqlite import SqliteStore
from agentflow.store.statements import Statement
from tests.support.stores import a_gated_run

if TYPE_CHECKING:
    from sqlite3 import Connection

MODULES = (claiming, control, decisions, journal, maintenance, outcomes, reads, runs, triggering, triggers, waits)
STATEMENTS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": value
    for module in MODULES
    for name, value in vars(module).items()
    if isinstance(value, Statement)
}
WHOLE_TABLES = {
    "reads.WORKERS": "as many rows as processes",
    "reads.SCHEDULES": "as many rows as schedules in the code",
    "triggers.SCHEDULES": "as many rows as schedules in the code",
    "reads.COUNT_RUNS": "counts every run, along an index",
    "reads.COUNT_PENDING": "counts every pending approval, along an index",
    "reads.DELIVERIES": "reads the latest, along an index",
    "maintenance.ABANDONED": "reads the running runs, along an index",
    "reads.HEAD": "the last row only",
}
PAGES = {
    "the inbox": (reads._approvals(True, False, False, False), "ix_agentflow_approval_inbox"),
    "a later page of the inbox": (reads._approvals(True, False, False, True), "ix_agentflow_approval_inbox"),
    "resolved approvals": (reads._approvals(False, False, False, False), "ix_agentflow_approval_decided_at"),
    "a later page of resolved ones": (reads._approvals(False, False, False, True), "ix_agentflow_approval_decided_at"),
    "a run's approvals": (reads._approvals(None, True, False, False), "ix_agentflow_approval_run_id_key"),
    "runs in a status": (reads._runs(("failed",), False, False, False, True), "ix_agentflow_run_status"),
    "a run's children": (reads._runs((), False, True, False, False), "ix_agentflow_run_parent_id"),
    "all runs": (reads._runs((), False, False, False, True), "sqlite_autoindex_agentflow_run_1"),
    "due runs": (claiming._claim(3, 0), "ix_agentflow_run_due"),
    "due runs of a queue": (claiming._claim(3, 2), "ix_agentflow_run_due"),
    "overdue approvals": (decisions.OVERDUE, "ix_agentflow_approval_deadline"),
    "overdue runs": (maintenance.OVERDUE, "ix_agentflow_run_deadline"),
    "the next run": (maintenance.NEXT_RUN, "ix_agentflow_run_due"),
    "the next deadline of a run": (maintenance.NEXT_DEADLINE, "ix_agentflow_run_deadline"),
    "the next deadline of an approval": (maintenance.NEXT_APPROVAL, "ix_agentflow_approval_deadline"),
    "the latest deliveries": (reads.DELIVERIES, "ix_agentflow_delivery_received_at"),
    "a worker's runs": (maintenance.HELD, "ix_agentflow_run_held"),
    "who waits for a run": (waits.FOR_CHILD, "ix_agentflow_wait_subject"),
    "the next entry's number": (journal.APPEND, "uq_agentflow_journal_run_id_seq"),
    "the run of a key": (triggering.BY_KEY, "uq_agentflow_run_task_idempotency_key"),
}
IN_ORDER = {name for name in PAGES if name not in {"a run's approvals", "a run's children"}}


def plan_of(connection: Connection, statement: Statement) -> list[str]:
    names = dict.fromkeys(_parameters(statement.sqlite), 1)
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement.sqlite}", names)]


def _parameters(sql: str) -> list[str]:
    return [word.strip("(),;") for part in sql.split(":")[1:] for word in part.replace(")", " ").split()[:1]]


def test_every_module_of_the_store_is_looked_at() -> None:
    assert len(STATEMENTS) > 40


@pytest.mark.parametrize("name", sorted(STATEMENTS))
async def test_no_statement_reads_a_whole_table(store: SqliteStore, outside: Connection, name: str) -> None:
    plan = plan_of(outside, STATEMENTS[name])
    read_whole = [line for line in plan if line.startswith("SCAN agentflow_")]
    along_an_index = all("USING" in line for line in read_whole)

    assert not read_whole or name in WHOLE_TABLES, plan
    assert along_an_index or "as many rows" in WHOLE_TABLES[name] or name == "reads.HEAD", plan


@pytest.mark.parametrize("name", PAGES)
async def test_a_listing_uses_its_index_and_sorts_nothing(store: SqliteStore, outside: Connection, name: str) -> None:
    """So a page costs the same whichever it is, and however much there is besides."""
    await a_gated_run(store)
    statement, index = PAGES[name]
    plan = plan_of(outside, statement)

    assert any(index in line for line in plan), plan
    assert name not in IN_ORDER or not any("TEMP B-TREE" in line for line in plan), plan
