"""Triggers that make a run and nothing else: no key that may have made one before, no queue with limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentflow.clock import from_micros
from agentflow.ids import RUN, new_id
from agentflow.requests import NewEntry
from agentflow.states import EntryKind
from agentflow.store import blobs, journal, rows, triggering
from agentflow.store.postgres.together.appends import COLUMNS
from agentflow.store.postgres.together.given import arrays, given, names
from agentflow.store.queueing.lines import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.requests import TriggerRun
    from agentflow.store.calls import Call
    from agentflow.store.postgres.transaction import PostgresTransaction

RUN_COLUMNS: Final = list(triggering.run.columns)
MAKE_ALL: Final = f"""
INSERT INTO agentflow_run ({names(RUN_COLUMNS)}) SELECT {names(RUN_COLUMNS, "given.")} FROM {given(RUN_COLUMNS)}
ORDER BY given.place RETURNING {names(RUN_COLUMNS)}
"""  # noqa: S608  put together from the names of columns
ENTER_ALL: Final = f"""
INSERT INTO agentflow_journal (seq, {names(COLUMNS)}) SELECT 1, {names(COLUMNS, "given.")} FROM {given(COLUMNS)}
ORDER BY given.place
"""  # noqa: S608  put together from the names of columns


class Triggers:
    """`triggering.trigger` in the default queue."""

    fewest = 2

    def takes(self, call: Call) -> bool:
        if call.verb is not triggering.trigger:
            return False
        request: TriggerRun = call.args[0]
        is_plain = request.idempotency_key is None and request.singleton is None and request.collect is None
        return is_plain and request.id is None and request.queue == DEFAULT and not blobs.is_large(request.input)

    def run(self, tx: PostgresTransaction, calls: Sequence[Call]) -> Sequence[Call]:
        requests: list[TriggerRun] = [call.args[0] for call in calls]
        made = [triggering.values(tx, request, new_id(RUN, from_micros(tx.now))) for request in requests]
        stored = {row[0]: row for row in tx.fetch(MAKE_ALL, arrays(RUN_COLUMNS, made))}
        told = [NewEntry(kind=EntryKind.TRIGGERED, detail=request.origin) for request in requests]
        entered = [journal.params(tx, one["id"], 0, entry) for one, entry in zip(made, told, strict=True)]
        tx.execute(ENTER_ALL, arrays(COLUMNS, entered))
        for call, one in zip(calls, made, strict=True):
            call.result = rows.run(tuple(stored[one["id"]]))
            tx.touched.add(one["id"])
            tx.moved.add(one["id"])
        return ()
