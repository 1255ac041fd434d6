"""The schema: one SQLModel class per table, in a metadata of its own so that users' tables never mix with ours.

Instants are whole microseconds since 1970 (UTC) and payloads are text, so that SQLite and PostgreSQL hold the same
bytes. Each status has the index its reader needs and no other. Rows never leave the store: see `rows.py`.
"""

from agentflow.store.tables.access import ApiTokenRow, SessionRow
from agentflow.store.tables.approvals import ApprovalRow, DecisionRow, StandingRow
from agentflow.store.tables.base import Base
from agentflow.store.tables.calls import DeliveryRow, DispatchRow, SubscriptionRow
from agentflow.store.tables.listening import ListenerRow, MatchRow
from agentflow.store.tables.queues import BreakerRow, QueueChangeRow, QueueRow, SpendRow
from agentflow.store.tables.runs import BlobRow, EntryRow, LogRow, RunRow, RunTagRow, WorkerRow
from agentflow.store.tables.schedules import BackfillRow, OccurrenceRow, ScheduleChangeRow, ScheduleRow
from agentflow.store.tables.spending import (
    ChunkRow,
    GrantRow,
    RateHoldRow,
    RunBudgetRow,
    ThreadPartRow,
    UsageRow,
)
from agentflow.store.tables.waits import CallbackRow, CursorRow, EventRow, HeartbeatRow, WaitRow

__all__ = [
    "ApiTokenRow",
    "ApprovalRow",
    "BackfillRow",
    "Base",
    "BlobRow",
    "BreakerRow",
    "CallbackRow",
    "ChunkRow",
    "CursorRow",
    "DecisionRow",
    "DeliveryRow",
    "DispatchRow",
    "EntryRow",
    "EventRow",
    "GrantRow",
    "HeartbeatRow",
    "ListenerRow",
    "LogRow",
    "MatchRow",
    "OccurrenceRow",
    "QueueChangeRow",
    "QueueRow",
    "RateHoldRow",
    "RunBudgetRow",
    "RunRow",
    "RunTagRow",
    "ScheduleChangeRow",
    "ScheduleRow",
    "SessionRow",
    "SpendRow",
    "StandingRow",
    "SubscriptionRow",
    "ThreadPartRow",
    "UsageRow",
    "WaitRow",
    "WorkerRow",
]
