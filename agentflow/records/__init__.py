"""What the store hands out: frozen records of things that exist.

A record is made by the store only, so holding one means the thing was stored. Instants are aware and in UTC; payloads
(`input`, `output`, `data`, …) are JSON text exactly as stored, decoded where their type is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.later import names

if TYPE_CHECKING:
    from agentflow.records.access import ApiToken, Session
    from agentflow.records.approvals import Approval, Decision
    from agentflow.records.calls import Delivery, Dispatch, Receipt, Subscriber, Subscription, Unread
    from agentflow.records.keeping import Pruned, Restored, Withheld
    from agentflow.records.listening import Listener, Match, PendingMatch
    from agentflow.records.pages import Page
    from agentflow.records.queues import QueueChange, QueuePlace, QueueState
    from agentflow.records.runs import Counts, Entry, LogLine, Run, Wait, Worker
    from agentflow.records.schedules import Backfill, Occurrence, Reconciled, Schedule, ScheduleChange
    from agentflow.records.spending import (
        BudgetState,
        CallOutlook,
        Chunk,
        CostsRow,
        Spent,
        ThreadPart,
        UsageLine,
    )
    from agentflow.records.standing import BackTest, Standing
    from agentflow.records.waits import Callback, Event

__all__ = [
    "ApiToken",
    "Approval",
    "BackTest",
    "Backfill",
    "BudgetState",
    "CallOutlook",
    "Callback",
    "Chunk",
    "CostsRow",
    "Counts",
    "Decision",
    "Delivery",
    "Dispatch",
    "Entry",
    "Event",
    "Listener",
    "LogLine",
    "Match",
    "Occurrence",
    "Page",
    "PendingMatch",
    "Pruned",
    "QueueChange",
    "QueuePlace",
    "QueueState",
    "Receipt",
    "Reconciled",
    "Restored",
    "Run",
    "Schedule",
    "ScheduleChange",
    "Session",
    "Spent",
    "Standing",
    "Subscriber",
    "Subscription",
    "ThreadPart",
    "Unread",
    "UsageLine",
    "Wait",
    "Withheld",
    "Worker",
]

if not TYPE_CHECKING:  # each record takes its while to be made, and few programs use them all
    __getattr__, __dir__ = names(
        __name__,
        {
            "agentflow.records.access": ("ApiToken", "Session"),
            "agentflow.records.approvals": ("Approval", "Decision"),
            "agentflow.records.calls": ("Delivery", "Dispatch", "Receipt", "Subscriber", "Subscription", "Unread"),
            "agentflow.records.keeping": ("Pruned", "Restored", "Withheld"),
            "agentflow.records.listening": ("Listener", "Match", "PendingMatch"),
            "agentflow.records.pages": ("Page",),
            "agentflow.records.queues": ("QueueChange", "QueuePlace", "QueueState"),
            "agentflow.records.runs": ("Counts", "Entry", "LogLine", "Run", "Wait", "Worker"),
            "agentflow.records.schedules": ("Backfill", "Occurrence", "Reconciled", "Schedule", "ScheduleChange"),
            "agentflow.records.spending": (
                "BudgetState",
                "CallOutlook",
                "Chunk",
                "CostsRow",
                "Spent",
                "ThreadPart",
                "UsageLine",
            ),
            "agentflow.records.standing": ("BackTest", "Standing"),
            "agentflow.records.waits": ("Callback", "Event"),
        },
    )
