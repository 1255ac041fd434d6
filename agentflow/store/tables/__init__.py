"""The schema: one SQLModel class per table, in a metadata of its own so that users' tables never mix with ours.

Instants are whole microseconds since 1970 (UTC) and payloads are text, so that SQLite and PostgreSQL hold the same
bytes. Each status has the index its reader needs and no other. Rows never leave the store: see `rows.py`.
"""

from agentflow.store.tables.approvals import ApprovalRow, DecisionRow
from agentflow.store.tables.base import Base
from agentflow.store.tables.queues import BreakerRow, QueueChangeRow, QueueRow, SpendRow
from agentflow.store.tables.runs import BlobRow, EntryRow, LogRow, RunRow, WorkerRow
from agentflow.store.tables.triggers import DeliveryRow, OccurrenceRow, ScheduleRow
from agentflow.store.tables.waits import CallbackRow, CursorRow, EventRow, HeartbeatRow, WaitRow

__all__ = [
    "ApprovalRow",
    "Base",
    "BlobRow",
    "BreakerRow",
    "CallbackRow",
    "CursorRow",
    "DecisionRow",
    "DeliveryRow",
    "EntryRow",
    "EventRow",
    "HeartbeatRow",
    "LogRow",
    "OccurrenceRow",
    "QueueChangeRow",
    "QueueRow",
    "RunRow",
    "ScheduleRow",
    "SpendRow",
    "WaitRow",
    "WorkerRow",
]
