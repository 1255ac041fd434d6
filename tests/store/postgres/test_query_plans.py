"""On a server too no statement reads a whole table that grows: planned for thousands of runs, most of them finished."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from agentflow.requests import NewCallback, OpenWait, SendEvent
from agentflow.states import WaitKind
from agentflow.store import claiming, open_store
from agentflow.store.waiting import waits
from tests.store.test_query_plans import PAGES, STATEMENTS
from tests.support.spending import a_part, bounded, extended, used
from tests.support.stores import a_gated_run, a_turn, an_entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentflow.store.statements import Statement
    from tests.support.clusters import Cluster

RUNS = 6_000
EACH = {"agentflow_usage": 10}
LARGE = {"agentflow_run", "agentflow_journal", "agentflow_wait", "agentflow_approval", "agentflow_callback"} | {
    "agentflow_usage",
    "agentflow_run_budget",
    "agentflow_thread_part",
}
COPIES = {
    "agentflow_run": """
        'id', 'run_' || n, 'idempotency_key', 'key' || n, 'finished_at', CASE WHEN n % 10 > 0 THEN n END,
        'status', CASE WHEN n % 10 > 0 THEN 'completed' ELSE 'waiting' END, 'queue_key', 'k' || n % 100,
        'available_at', NULL, 'created_at', n, 'parent_id', CASE WHEN n % 3 = 0 THEN 'run_' || n / 3 END
    """,
    "agentflow_journal": "'id', n, 'seq', 1, 'run_id', 'run_' || n",
    "agentflow_wait": "'run_id', 'run_' || n, 'subject', 'other:' || n",
    "agentflow_approval": """
        'id', 'apr_' || n, 'run_id', 'run_' || n, 'decided_at', CASE WHEN n % 10 > 0 THEN n END,
        'status', CASE WHEN n % 10 > 0 THEN 'approved' ELSE 'pending' END, 'urgency', n, 'created_at', n
    """,
    "agentflow_callback": "'id', 'cbk_' || n, 'run_id', 'run_' || n, 'token_digest', n::text, 'status', 'completed'",
    "agentflow_usage": "'id', n + 1, 'run_id', 'run_' || n / 10, 'at', n",
    "agentflow_run_budget": "'run_id', 'run_' || n, 'root_id', 'run_' || n",
    "agentflow_thread_part": "'thread', 't' || n / 10, 'seq', n, 'key', 'k', 'run_id', 'run_' || n",
    "agentflow_event": "'id', 'evt_' || n, 'key', 'k' || n % 1000, 'seq', n, 'sent_at', n",
}
COPY = """
    INSERT INTO {table} SELECT (jsonb_populate_record(one, jsonb_build_object({changes}))).*
    FROM {table} AS one, generate_series(1, {count}) AS n WHERE one.ctid = (SELECT ctid FROM {table} LIMIT 1)
"""
READ_WHOLE = {
    "alarms.STUCK": "read once in a while, and not in the order of an index",
    "reads.COUNT_RUNS": "counts every run",
    "queues.COUNT_DEFAULT": "counts the runs that line up",
    "reads.COUNT_PENDING": "counts every pending approval",
}


@pytest.fixture(scope="module")
def planner(server: Cluster) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a database with much in it, where plans are made for any parameters."""
    url = server.create("large")
    with ThreadPoolExecutor(1) as elsewhere:  # where no event loop runs yet
        elsewhere.submit(asyncio.run, _begin(url)).result()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # no foreign key is looked up
        for table, changes in COPIES.items():
            connection.execute(COPY.format(table=table, changes=changes, count=RUNS * EACH.get(table, 1)).encode())
        connection.execute("ANALYZE")
        connection.execute("SET plan_cache_mode = force_generic_plan")
        yield connection


async def _begin(url: str) -> None:
    """One row of each kind, to be copied."""
    store = await open_store(url)
    await a_gated_run(store)
    lease = await a_turn(store, task="other")
    new = NewCallback(id="cbk_0", key="callback#1", token_digest="0", timeout=None, heartbeat_for=None)
    await store.create_callback(lease, new, an_entry("callback#1"))
    await store.open_waits(lease, [OpenWait(key="other#1", kind=WaitKind.EVENT, subject="other:")])
    await used(store, lease)
    await bounded(store, lease)
    await extended(store, lease, a_part())
    await store.send_event(SendEvent(id="evt_0", name="paid", key="k", payload="1", sent_by="me"))
    await store.close()


def plan_of(connection: psycopg.Connection[Any], statement: Statement) -> str:
    names: list[str] = []

    def place(found: re.Match[str]) -> str:
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    text = re.sub(r"%\((\w+)\)s", place, statement.postgres).replace("%%", "%")
    connection.execute(f"PREPARE planned AS {text}".encode())
    given = f"({', '.join(['NULL'] * len(names))})" if names else ""
    try:
        return "\n".join(row[0] for row in connection.execute(f"EXPLAIN EXECUTE planned{given}".encode()))
    finally:
        connection.execute("DEALLOCATE planned")


def read_whole(plan: str) -> set[str]:
    return LARGE & set(re.findall(r"Seq Scan on (\w+)", plan))


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_no_statement_reads_a_large_table_from_end_to_end(planner: psycopg.Connection[Any], name: str) -> None:
    plan = plan_of(planner, STATEMENTS[name])
    assert not read_whole(plan) or name in READ_WHOLE, plan


@pytest.mark.parametrize("name", PAGES)
def test_a_listing_goes_along_an_index(planner: psycopg.Connection[Any], name: str) -> None:
    plan = plan_of(planner, PAGES[name][0])
    assert not read_whole(plan), plan


FOUND_BY_ID = {
    "a claim": claiming.taking(1),
    "a claim that looks by itself": claiming.taking_due(2, 0),
    "an answer": waits.WAKE,
}


@pytest.mark.parametrize("name", FOUND_BY_ID)
def test_a_run_is_found_by_its_id_though_the_server_believes_that_none_waits(
    planner: psycopg.Connection[Any], name: str
) -> None:
    """Its figures are of some minutes ago, when they may have been few; since then thousands have been parked."""
    with planner.transaction(force_rollback=True):
        planner.execute("UPDATE agentflow_run SET status = 'completed' WHERE status = 'waiting'")
        planner.execute("ANALYZE agentflow_run")
        plan = plan_of(planner, FOUND_BY_ID[name])
    assert "ix_agentflow_run_status" not in plan, plan
    assert not read_whole(plan), plan
