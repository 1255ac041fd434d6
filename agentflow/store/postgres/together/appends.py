"""All the entries that turns append in one tick: one journey to the server, one commit, one flush.

The same fence as `journal.APPEND`, row by row: an entry is kept if its turn holds the run, which is locked against
whoever would take it away meanwhile. Entries of one run keep their order, and its count goes on without gaps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import LeaseLost
from agentflow.store import blobs, journal
from agentflow.store.postgres.together.given import arrays, given, names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow.store.calls import Call
    from agentflow.store.postgres.transaction import PostgresTransaction
    from agentflow.store.transaction import Row

COLUMNS: Final = [one for one in journal.journal.columns if one.name not in {"id", "seq"}]
LAST_SEQ: Final = (
    "coalesce((SELECT max(known.seq) FROM agentflow_journal AS known WHERE known.run_id = given.run_id), 0)"
)
PLACE_IN_RUN: Final = "row_number() OVER (PARTITION BY given.run_id ORDER BY given.place)"
APPEND_ALL: Final = f"""
WITH held AS MATERIALIZED (
    SELECT id, epoch FROM agentflow_run WHERE id = ANY (%(run_id)s::text[]) AND status = 'running'
    ORDER BY id FOR SHARE
)
INSERT INTO agentflow_journal (seq, {names(COLUMNS)})
SELECT {LAST_SEQ} + {PLACE_IN_RUN}, {names(COLUMNS, "given.")}
FROM {given(COLUMNS)} JOIN held ON held.id = given.run_id AND held.epoch = given.epoch
ORDER BY given.place
RETURNING run_id, epoch
"""  # noqa: S608  put together from the names of columns
APPEND_ONE: Final = f"{journal.APPEND.postgres}\nRETURNING run_id, epoch"


class Appends:
    """`journal.append`, of payloads that fit into their row."""

    fewest = 1

    def takes(self, call: Call) -> bool:
        if call.verb is not journal.append:
            return False
        new = call.args[1]
        payloads = (getattr(new, name) for name in journal.APPEND.stores)
        return not any(text is not None and blobs.is_large(text) for text in payloads)

    def run(self, tx: PostgresTransaction, calls: Sequence[Call]) -> Sequence[Call]:
        self.told(tx, calls, tx.fetch(*self.asked(tx, calls)))
        return ()

    def asked(self, tx: PostgresTransaction, calls: Sequence[Call]) -> tuple[str, Mapping[str, Any]]:
        """The statement that keeps them all, and its parameters."""
        values = [journal.params(tx, lease.run_id, lease.epoch, new) for lease, new in (call.args for call in calls)]
        return (APPEND_ALL, arrays(COLUMNS, values)) if len(values) > 1 else (APPEND_ONE, values[0])

    def told(self, tx: PostgresTransaction, calls: Sequence[Call], rows: Sequence[Row]) -> None:
        """Tell the calls what the statement gave."""
        kept = {(row[0], row[1]) for row in rows}
        for call in calls:
            lease = call.args[0]
            if (lease.run_id, lease.epoch) in kept:
                tx.touched.add(lease.run_id)
            else:
                call.error = LeaseLost(run_id=lease.run_id, epoch=lease.epoch)
