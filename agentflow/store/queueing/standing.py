"""Where a run stands in its queue, and what keeps it there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from agentflow.clock import from_micros
from agentflow.records import QueuePlace
from agentflow.store import runs, tables
from agentflow.store.queueing import queues, spending
from agentflow.store.queueing.governing import BUSY
from agentflow.store.queueing.lines import DEFAULT
from agentflow.store.rows import table_of

if TYPE_CHECKING:
    from agentflow.records import Run
    from agentflow.store.queueing.queues import Stored
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
MOST_CHANGES: Final = 100


def place_of(tx: Transaction, run_id: str) -> QueuePlace:
    """What keeps the run from starting, if its queue does. Raises `RunNotFound`."""
    one = runs.get(tx, run_id)
    queue = queues.find(tx, one.queue)
    busy = [] if one.queue == DEFAULT else [key for key, _ in tx.rows(BUSY, {"queue": one.queue})]
    starts_at, scarce = (None, "") if one.epoch else _scarce(tx, one, queue)
    paused_by, pause_reason = ("", "") if queue.paused_at is None else _who_paused(tx, queue)
    return QueuePlace(
        queue=one.queue,
        queue_key=one.queue_key,
        limits=queue.limits,
        is_paused=queue.paused_at is not None,
        paused_by=paused_by,
        pause_reason=pause_reason,
        running=len(busy),
        running_of_key=busy.count(one.queue_key),
        starts_at=None if starts_at is None else from_micros(starts_at),
        scarce=scarce,
    )


def _who_paused(tx: Transaction, queue: Stored) -> tuple[str, str]:
    """Whose pause it is and why; the last change may have been another's, of the limits."""
    for change in queues.queue_changes(tx, queue.name, MOST_CHANGES):
        if json.loads(change.change).get("paused"):
            return change.changed_by, change.reason
    return queue.changed_by, queue.reason


def _scarce(tx: Transaction, one: Run, queue: Stored) -> tuple[int | None, str]:
    """When the last of its rate and budget has enough for the run, and which that is."""
    found = [
        (at, f"budget {bucket.partition(':')[2]!r} of {rate}" if by_cost else f"rate of {rate}")
        for bucket, rate, by_cost in spending.buckets(one.queue, queue.limits)
        if (at := spending.free_at(tx, bucket, rate, one.cost if by_cost else 1)) is not None
    ]
    return max(found, default=(None, ""))
