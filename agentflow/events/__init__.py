"""A run's history: its journal as typed events, in order and without gaps.

`Client.history` gives them. An event is made of its own journal entry and those before it, and the journal is only
ever appended to: what a history says of the past never changes, replays only add to it. `HISTORY_VERSION` says which
events and fields there are, `READINGS` which of them each kind of entry becomes; `WaitKind` and `RunStatus` of
`agentflow.states` occur in them.
"""

from __future__ import annotations

import typing

from agentflow import later

if typing.TYPE_CHECKING:
    from agentflow.events.base import HISTORY_VERSION, Event, JournalEntry, type_of
    from agentflow.events.operations import (
        ChildTriggered,
        InputChanged,
        OperationEvent,
        OperationFailed,
        OperationNoted,
        OperationStarted,
        OperationSucceeded,
        ScopeFailed,
        ScopeSucceeded,
    )
    from agentflow.events.reading import READINGS, document, history
    from agentflow.events.runs import (
        Patched,
        RunAttemptFailed,
        RunDiverged,
        RunFinished,
        RunForked,
        RunPaused,
        RunQuarantined,
        RunResumed,
        RunRetried,
        RunSteered,
        RunTriggered,
        RunUndoing,
        TurnEnd,
        TurnEnded,
    )
    from agentflow.events.waits import WaitEvent, WaitOpened, WaitSatisfied, WaitTimedOut

__all__ = [
    "HISTORY_VERSION",
    "READINGS",
    "ChildTriggered",
    "Event",
    "InputChanged",
    "JournalEntry",
    "OperationEvent",
    "OperationFailed",
    "OperationNoted",
    "OperationStarted",
    "OperationSucceeded",
    "Patched",
    "RunAttemptFailed",
    "RunDiverged",
    "RunFinished",
    "RunForked",
    "RunPaused",
    "RunQuarantined",
    "RunResumed",
    "RunRetried",
    "RunSteered",
    "RunTriggered",
    "RunUndoing",
    "ScopeFailed",
    "ScopeSucceeded",
    "TurnEnd",
    "TurnEnded",
    "WaitEvent",
    "WaitOpened",
    "WaitSatisfied",
    "WaitTimedOut",
    "document",
    "history",
    "type_of",
]

if not typing.TYPE_CHECKING:  # each record takes its while to be made, and few programs use them all
    __getattr__, __dir__ = later.names(
        __name__,
        {
            "agentflow.events.base": ("HISTORY_VERSION", "Event", "JournalEntry", "type_of"),
            "agentflow.events.operations": (
                "ChildTriggered",
                "InputChanged",
                "OperationEvent",
                "OperationFailed",
                "OperationNoted",
                "OperationStarted",
                "OperationSucceeded",
                "ScopeFailed",
                "ScopeSucceeded",
            ),
            "agentflow.events.reading": ("READINGS", "document", "history"),
            "agentflow.events.runs": (
                "Patched",
                "RunAttemptFailed",
                "RunDiverged",
                "RunFinished",
                "RunForked",
                "RunPaused",
                "RunQuarantined",
                "RunResumed",
                "RunRetried",
                "RunSteered",
                "RunTriggered",
                "RunUndoing",
                "TurnEnd",
                "TurnEnded",
            ),
            "agentflow.events.waits": ("WaitEvent", "WaitOpened", "WaitSatisfied", "WaitTimedOut"),
        },
    )
