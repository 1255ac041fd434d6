"""The schema: one SQLModel class per table, in a metadata of its own so that users' tables never mix with ours.

Instants are whole microseconds since 1970 (UTC) and payloads are text, so that SQLite and PostgreSQL hold the same
bytes. Each status has the index its reader needs and no other. Rows never leave the store: see `rows.py`.
"""

from agentflow.store.tables.approvals import ApprovalRow, DecisionRow, StandingRow
from agentflow.store.tables.base import Base
from agentflow.store.tables.queues import BreakerRow, QueueChangeRow, QueueRow, SpendRow
from agentflow.store.tables.runs import BlobRow, EntryRow, LogRow, RunRow, WorkerRow
from agentflow.store.tables.spending import (
    ChunkRow,
    GrantRow,
    RateHoldRow,
    RunBudgetRow,
    ThreadPartRow,
    UsageRow,
)
from agentflow.store.tables.triggers import DeliveryRow, OccurrenceRow, ScheduleRow
from agentflow.store.tables.waits import CallbackRow, CursorRow, EventRow, HeartbeatRow, WaitRow

__all__ = [
    "ApprovalRow",
    "Base",
    "BlobRow",
    "BreakerRow",
    "CallbackRow",
    "ChunkRow",
    "CursorRow",
    "DecisionRow",
    "DeliveryRow",
    "EntryRow",
    "EventRow",
    "GrantRow",
    "HeartbeatRow",
    "LogRow",
    "OccurrenceRow",
    "QueueChangeRow",
    "QueueRow",
    "RateHoldRow",
    "RunBudgetRow",
    "RunRow",
    "ScheduleRow",
    "SpendRow",
    "StandingRow",
    "ThreadPartRow",
    "UsageRow",
    "WaitRow",
    "WorkerRow",
]
