"""The last defence: what the schema itself refuses, were a verb to forget its own check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow.store.sqlite.file import driver
from agentflow.store.sqlite.store import SqliteStore
from tests.support.stores import a_decision, a_gated_run, a_trigger, a_turn

if TYPE_CHECKING:
    from sqlite3 import Connection

FORBIDDEN = {
    "a second decision on an approval": (
        "INSERT INTO agentflow_decision SELECT 'dec_2', approval_id, digest, verdict, outcome, decided_by, channel, "
        "comment, final, final_digest, decided_at FROM agentflow_decision"
    ),
    "a decision on no approval": "UPDATE agentflow_decision SET approval_id = 'apr_none'",
    "a second journal entry of one number": "UPDATE agentflow_journal SET seq = 1 WHERE seq = 2",
    "an entry of no run": "UPDATE agentflow_journal SET run_id = 'run_none'",
    "a second run of one key": "UPDATE agentflow_run SET idempotency_key = 'a'",
    "a running run that nobody holds": "UPDATE agentflow_run SET worker_id = NULL WHERE status = 'running'",
    "a queued run that somebody holds": "UPDATE agentflow_run SET worker_id = 'wrk_1' WHERE status = 'queued'",
    "a run in a state there is not": "UPDATE agentflow_run SET status = 'lost', worker_id = NULL",
    "an approval in a state there is not": "UPDATE agentflow_approval SET status = 'perhaps'",
    "a text where a number belongs": "UPDATE agentflow_run SET epoch = 'three'",
}


@pytest.mark.parametrize("statement", FORBIDDEN.values(), ids=FORBIDDEN)
async def test_the_schema_refuses(store: SqliteStore, outside: Connection, statement: str) -> None:
    outside.execute("PRAGMA foreign_keys=ON")
    approval = await a_gated_run(store)
    await store.decide(a_decision(approval.id))
    await a_turn(store)
    await store.trigger(a_trigger(idempotency_key="b"))

    with pytest.raises(driver.IntegrityError):
        outside.execute(statement)
