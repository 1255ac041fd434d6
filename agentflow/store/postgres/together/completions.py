"""Runs that completed, and that nobody waits for: moved and recorded together.

A first statement locks them, a second looks and writes: whoever begins to wait for a run locks it too, so what the
second sees is all there is. A run that has a parent is not even locked, since the verb locks the parent before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentflow.requests import Completed, NewEntry
from agentflow.states import ApprovalStatus, CallbackStatus, EntryKind, RunStatus, WaitKind
from agentflow.store import blobs, journal, outcomes
from agentflow.store.postgres.together.appends import COLUMNS, LAST_SEQ
from agentflow.store.postgres.together.given import arrays, given, names, one

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.store.calls import Call
    from agentflow.store.postgres.transaction import PostgresTransaction

LOCK_ONE: Final = "SELECT id FROM agentflow_run WHERE id = %(run_id)s AND parent_id IS NULL FOR UPDATE"
LOCK_ALL: Final = """
SELECT id FROM agentflow_run WHERE id = ANY (%(run_id)s::text[]) AND parent_id IS NULL ORDER BY id FOR UPDATE
"""


def _complete(new: str) -> str:
    return f"""
WITH new AS MATERIALIZED (SELECT * FROM {new}), moved AS (
    UPDATE agentflow_run AS run
    SET status = '{RunStatus.COMPLETED.value}', worker_id = NULL, output = new.output, error = NULL, pause = NULL,
        available_at = NULL, finished_at = new.at
    FROM new
    WHERE run.id = new.run_id AND run.epoch = new.epoch
        AND (run.status = '{RunStatus.RUNNING.value}') IS TRUE
        AND run.parent_id IS NULL
        AND NOT EXISTS (SELECT 1 FROM agentflow_wait AS own WHERE own.run_id = run.id)
        AND NOT EXISTS (
            SELECT 1 FROM agentflow_approval AS gate
            WHERE gate.run_id = run.id AND (gate.status = '{ApprovalStatus.PENDING.value}') IS TRUE
        )
        AND NOT EXISTS (
            SELECT 1 FROM agentflow_wait AS other WHERE other.subject = run.id AND other.kind = '{WaitKind.CHILD.value}'
        )
        AND NOT EXISTS (
            SELECT 1 FROM agentflow_callback AS asked
            WHERE asked.run_id = run.id AND asked.status = '{CallbackStatus.PENDING.value}'
        )
    RETURNING run.id
)
INSERT INTO agentflow_journal (seq, {names(COLUMNS)})
SELECT {LAST_SEQ} + 1, {names(COLUMNS, "given.")}
FROM new AS given JOIN moved ON moved.id = given.run_id
RETURNING run_id
"""  # noqa: S608  put together from the names of columns and states


COMPLETE_ONE, COMPLETE_ALL = _complete(one(COLUMNS)), _complete(given(COLUMNS))


class Completions:
    """`outcomes.finish` of a run that completed, with an output that fits into its row."""

    fewest = 1

    def takes(self, call: Call) -> bool:
        if call.verb is not outcomes.finish:
            return False
        outcome = call.args[1]
        return isinstance(outcome, Completed) and (outcome.output is None or not blobs.is_large(outcome.output))

    def run(self, tx: PostgresTransaction, calls: Sequence[Call]) -> Sequence[Call]:
        by_run = {call.args[0].run_id: call for call in calls}
        if len(by_run) < len(calls):
            return calls  # two turns say that one run completed: one of them has lost it
        values = [self._values(tx, call) for call in calls]
        if len(values) == 1:
            lock, complete, params = LOCK_ONE, COMPLETE_ONE, values[0]
        else:
            lock, complete, params = LOCK_ALL, COMPLETE_ALL, arrays(COLUMNS, values)
        if not tx.fetch(lock, params):
            return calls
        done = {row[0] for row in tx.fetch(complete, params)}
        tx.touched |= done
        tx.moved |= done
        return [call for run_id, call in by_run.items() if run_id not in done]

    @staticmethod
    def _values(tx: PostgresTransaction, call: Call) -> dict[str, Any]:
        lease, outcome = call.args
        entry = NewEntry(kind=EntryKind.RUN_COMPLETED, output=outcome.output)
        return journal.params(tx, lease.run_id, lease.epoch, entry)
