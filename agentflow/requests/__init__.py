"""What the store is asked for: frozen requests, one for each verb that takes more than an id."""

from agentflow.requests.filters import ApprovalFilter, RunFilter
from agentflow.requests.forks import forked
from agentflow.requests.outcomes import Completed, Failed, HandedBack, NeedsAttention, Outcome, TryAgain, Undone
from agentflow.requests.queues import BreakerRule, ChangeQueue, DeclareQueue
from agentflow.requests.runs import (
    ClaimRuns,
    Collect,
    ForkRun,
    Lease,
    NewEntry,
    NewLogLine,
    NewWorker,
    Singleton,
    TriggerRun,
)
from agentflow.requests.triggers import DeclareSchedule, Deliver, Fire
from agentflow.requests.waits import (
    Decide,
    NewApproval,
    NewCallback,
    OpenWait,
    ReceiveEvents,
    ResolveCallback,
    SendEvent,
    event_subject,
)

__all__ = [
    "ApprovalFilter",
    "BreakerRule",
    "ChangeQueue",
    "ClaimRuns",
    "Collect",
    "Completed",
    "Decide",
    "DeclareQueue",
    "DeclareSchedule",
    "Deliver",
    "Failed",
    "Fire",
    "ForkRun",
    "HandedBack",
    "Lease",
    "NeedsAttention",
    "NewApproval",
    "NewCallback",
    "NewEntry",
    "NewLogLine",
    "NewWorker",
    "OpenWait",
    "Outcome",
    "ReceiveEvents",
    "ResolveCallback",
    "RunFilter",
    "SendEvent",
    "Singleton",
    "TriggerRun",
    "TryAgain",
    "Undone",
    "event_subject",
    "forked",
]
