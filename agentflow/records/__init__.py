"""What the store hands out: frozen records of things that exist.

A record is made by the store only, so holding one means the thing was stored. Instants are aware and in UTC; payloads
(`input`, `output`, `data`, …) are JSON text exactly as stored, decoded where their type is known.
"""

from agentflow.records.approvals import Approval, Decision
from agentflow.records.pages import Page
from agentflow.records.queues import QueueChange, QueuePlace, QueueState
from agentflow.records.runs import Counts, Entry, LogLine, Run, Wait, Worker
from agentflow.records.triggers import Delivery, Occurrence, Schedule
from agentflow.records.waits import Callback, Event

__all__ = [
    "Approval",
    "Callback",
    "Counts",
    "Decision",
    "Delivery",
    "Entry",
    "Event",
    "LogLine",
    "Occurrence",
    "Page",
    "QueueChange",
    "QueuePlace",
    "QueueState",
    "Run",
    "Schedule",
    "Wait",
    "Worker",
]
