"""Second defences: what holds even where the first one is gone, and bugs that are planted to see that tests notice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agentflow.requests import NewCallback, ResolveCallback
from agentflow.states import ApprovalStatus, CallbackStatus
from agentflow.store import decisions, runs
from agentflow.store.sqlite.file import driver
from agentflow.store.sqlite.store import SqliteStore
from agentflow.store.sqlite.transaction import SqliteTransaction
from agentflow.store.waiting import callbacks
from tests.crash.mutations import BUGS, ROOT, Bug
from tests.support.stores import a_decision, a_gated_run, a_turn, an_entry, database_of


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with database_of("sqlite", tmp_path) as database:
        opened = await database.open()
        assert isinstance(opened, SqliteStore)
        yield opened


def changed_by(store: SqliteStore, statement: Any, **params: Any) -> int:
    """How many rows the statement alone changes, whatever the verb around it would have looked at first."""
    with driver.connect(str(store.path), isolation_level=None) as connection:
        connection.execute("BEGIN IMMEDIATE")
        changed = SqliteTransaction(connection, 0).run(statement, params)
        connection.execute("ROLLBACK")
    connection.close()
    return changed


async def test_a_decided_approval_is_not_resolved_again_by_whoever_did_not_look(store: SqliteStore) -> None:
    approval = await a_gated_run(store)
    given = dict.fromkeys(decisions.RESOLVED) | {"status": ApprovalStatus.TIMED_OUT, "approval_id": approval.id}
    given |= {"comment": "", "decided_at": 1}
    assert changed_by(store, decisions.RESOLVE, **given) == 1
    await store.decide(a_decision(approval.id))
    assert changed_by(store, decisions.RESOLVE, **given) == 0


async def test_a_turn_that_lost_its_run_does_not_park_it_though_it_did_not_look(store: SqliteStore) -> None:
    lease = await a_turn(store)
    given = {"run_id": lease.run_id, "status": "waiting", "available_at": None}
    assert changed_by(store, runs.RELEASE, **given, epoch=lease.epoch) == 1
    assert changed_by(store, runs.RELEASE, **given, epoch=lease.epoch - 1) == 0


async def test_a_resolved_callback_is_not_resolved_again_by_whoever_did_not_look(store: SqliteStore) -> None:
    lease = await a_turn(store)
    new = NewCallback(id="cbk_1", key="callback#1", token_digest="d", timeout=None, heartbeat_for=None)
    await store.create_callback(lease, new, an_entry("callback#1"))
    given = {"callback_id": "cbk_1", "status": CallbackStatus.TIMED_OUT, "output": None, "error": None, "now": 1}
    assert changed_by(store, callbacks.RESOLVE, **given) == 1
    await store.resolve_callback(ResolveCallback(token_digest="d", output="1"))
    assert changed_by(store, callbacks.RESOLVE, **given) == 0


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_still_fits_the_source(bug: Bug) -> None:
    """`tests/crash/mutations.py` plants them one by one; a bug that fits nowhere would show nothing."""
    assert (ROOT / "agentflow" / bug.file).read_text(encoding="utf-8").count(bug.old) == 1
