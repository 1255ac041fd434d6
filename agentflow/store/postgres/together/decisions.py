"""Decisions that nothing stands against: three statements do any number of them, one alone too.

The first locks the runs and then their approvals and reads these as they are once locked; a second records and answers
everything. An id that was used for another approval meanwhile is refused by the table, and found by the next try.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import InvalidDecision
from agentflow.states import RunStatus, Transition
from agentflow.store import blobs, decisions, journal, rows
from agentflow.store.postgres.together.appends import COLUMNS, LAST_SEQ
from agentflow.store.postgres.together.given import arrays, given, names, one

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import Approval
    from agentflow.requests import Decide
    from agentflow.store.calls import Call
    from agentflow.store.postgres.transaction import PostgresTransaction

APPROVAL: Final = decisions.approval.c
ASKED: Final = [decisions.decision.c.id, decisions.decision.c.approval_id]
MADE: Final = [*decisions.decision.c, APPROVAL.patch]
TO_RUN: Final = ("decided_at", "decided_by", "channel", "comment", "final", "final_digest", "patch")
WAITING: Final = ", ".join(f"'{one.value}'" for one in sorted(Transition.WAKE.sources))


def _lock(asked: str) -> str:
    return f"""
SELECT given.place, {names(APPROVAL, "approval.")}
FROM {asked}
JOIN agentflow_approval AS approval ON approval.id = given.approval_id
JOIN agentflow_run AS run ON run.id = approval.run_id
WHERE NOT EXISTS (SELECT 1 FROM agentflow_decision AS known WHERE known.id = given.id)
ORDER BY run.id, given.place FOR UPDATE OF run, approval
"""  # noqa: S608  put together from the names of columns


def _record(made: str, said: str) -> str:
    return f"""
WITH made AS MATERIALIZED (SELECT * FROM {made}), said AS MATERIALIZED (SELECT * FROM {said}),
recorded AS (
    INSERT INTO agentflow_decision ({names(decisions.decision.c)}) SELECT {names(decisions.decision.c)} FROM made
), resolved AS (
    UPDATE agentflow_approval AS approval
    SET status = made.outcome, decision_id = made.id, version = approval.version + 1,
        {", ".join(f"{name} = made.{name}" for name in TO_RUN)}
    FROM made WHERE approval.id = made.approval_id
), woken AS (
    UPDATE agentflow_run AS run SET status = '{RunStatus.QUEUED.value}', available_at = said.at
    FROM said WHERE run.id = said.run_id AND (run.status IN ({WAITING})) IS TRUE
)
INSERT INTO agentflow_journal (seq, {names(COLUMNS)})
SELECT {LAST_SEQ} + 1, {names(COLUMNS, "given.")} FROM said AS given
"""  # noqa: S608  put together from the names of columns and states


LOCK_ONE, RECORD_ONE = _lock(one(ASKED)), _record(one(MADE), one(COLUMNS))
LOCK_ALL, RECORD_ALL = _lock(given(ASKED)), _record(given(MADE), given(COLUMNS))


class Decisions:
    """`decisions.decide`, with payloads that fit into their row."""

    fewest = 1

    def takes(self, call: Call) -> bool:
        return call.verb is decisions.decide

    def run(self, tx: PostgresTransaction, calls: Sequence[Call]) -> Sequence[Call]:
        asked = [{"id": call.args[0].id, "approval_id": call.args[0].approval_id} for call in calls]
        made: list[dict[str, Any]] = []
        said: list[dict[str, Any]] = []
        done: dict[int, str] = {}
        found_all = tx.fetch(LOCK_ALL, arrays(ASKED, asked)) if len(asked) > 1 else tx.fetch(LOCK_ONE, asked[0])
        for place, *columns in found_all:
            call = calls[place - 1]
            found = rows.approval(tuple(columns))
            values = None if found.run_id in done.values() else self._values(tx, found, call)
            if values is not None:
                done[id(call)] = found.run_id
                made.append(values[0])
                said.append(values[1])
        if len(done) == 1:
            tx.execute(RECORD_ONE, made[0] | said[0])
        elif done:
            tx.execute(RECORD_ALL, arrays(MADE, made) | arrays(COLUMNS, said))
        if done:
            tx.touched.update(done.values())
            tx.moved.update(done.values())
        return [call for call in calls if id(call) not in done]

    @staticmethod
    def _values(tx: PostgresTransaction, found: Approval, call: Call) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """What to record and what to tell the run; None for a decision that the verb itself has to look at."""
        request: Decide = call.args[0]
        if blobs.is_large(found.data) or not decisions.is_welcome(found, request, tx.now):
            return None
        try:
            receipt = decisions.receipt(found, request, tx.now)
        except InvalidDecision:
            return None
        recorded = decisions.recorded(receipt, request)
        resolved = decisions.resolved(found, receipt)
        entered = journal.params(tx, found.run_id, 0, decisions.answer(found, receipt))
        stored = ((decisions.RECORD, recorded), (decisions.RESOLVE, resolved), (journal.ENTER, entered))
        if any(blobs.large(statement, params) for statement, params in stored):
            return None
        call.result = receipt
        return recorded | {"patch": resolved["patch"]}, entered
