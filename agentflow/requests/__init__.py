"""What the store is asked for: frozen requests, one for each verb that takes more than an id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.later import names

if TYPE_CHECKING:
    from agentflow.requests.filters import ApprovalFilter, RunFilter
    from agentflow.requests.forks import forked
    from agentflow.requests.keeping import Kept, MarkRestored, Prune
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
    from agentflow.requests.spending import (
        BeforeCall,
        CostsFilter,
        GrantBudget,
        NewBudget,
        NewChunk,
        NewThreadPart,
        TakeRate,
    )
    from agentflow.requests.standing import NewStanding
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
    "BeforeCall",
    "BreakerRule",
    "ChangeQueue",
    "ClaimRuns",
    "Collect",
    "Completed",
    "CostsFilter",
    "Decide",
    "DeclareQueue",
    "DeclareSchedule",
    "Deliver",
    "Failed",
    "Fire",
    "ForkRun",
    "GrantBudget",
    "HandedBack",
    "Kept",
    "Lease",
    "MarkRestored",
    "NeedsAttention",
    "NewApproval",
    "NewBudget",
    "NewCallback",
    "NewChunk",
    "NewEntry",
    "NewLogLine",
    "NewStanding",
    "NewThreadPart",
    "NewWorker",
    "OpenWait",
    "Outcome",
    "Prune",
    "ReceiveEvents",
    "ResolveCallback",
    "RunFilter",
    "SendEvent",
    "Singleton",
    "TakeRate",
    "TriggerRun",
    "TryAgain",
    "Undone",
    "event_subject",
    "forked",
]

if not TYPE_CHECKING:  # each record takes its while to be made, and few programs use them all
    __getattr__, __dir__ = names(
        __name__,
        {
            "agentflow.requests.filters": ("ApprovalFilter", "RunFilter"),
            "agentflow.requests.forks": ("forked",),
            "agentflow.requests.keeping": ("Kept", "MarkRestored", "Prune"),
            "agentflow.requests.outcomes": (
                "Completed",
                "Failed",
                "HandedBack",
                "NeedsAttention",
                "Outcome",
                "TryAgain",
                "Undone",
            ),
            "agentflow.requests.queues": ("BreakerRule", "ChangeQueue", "DeclareQueue"),
            "agentflow.requests.runs": (
                "ClaimRuns",
                "Collect",
                "ForkRun",
                "Lease",
                "NewEntry",
                "NewLogLine",
                "NewWorker",
                "Singleton",
                "TriggerRun",
            ),
            "agentflow.requests.spending": (
                "BeforeCall",
                "CostsFilter",
                "GrantBudget",
                "NewBudget",
                "NewChunk",
                "NewThreadPart",
                "TakeRate",
            ),
            "agentflow.requests.standing": ("NewStanding",),
            "agentflow.requests.triggers": ("DeclareSchedule", "Deliver", "Fire"),
            "agentflow.requests.waits": (
                "Decide",
                "NewApproval",
                "NewCallback",
                "OpenWait",
                "ReceiveEvents",
                "ResolveCallback",
                "SendEvent",
                "event_subject",
            ),
        },
    )
