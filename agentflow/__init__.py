"""Durable runs of ordinary async functions, with people approving, rejecting or correcting what they will do.

`task` makes a function durable, `AgentFlow` runs it, `wait_for_approval` asks a person; `log` is a logger whose lines
are kept with the run. The lookup of a step answers `NOT_DONE` where a call has certainly had no effect.
"""

from __future__ import annotations

import typing

from agentflow._version import __version__ as __version__
from agentflow.later import names as _names

if typing.TYPE_CHECKING:
    from agentflow.app import AgentFlow
    from agentflow.client import Client
    from agentflow.client.enlisting import enlist
    from agentflow.errors import (
        AgentflowError,
        AllFailed,
        ApprovalTimedOut,
        CallbackFailed,
        CallbackTimedOut,
        CircuitOpen,
        CompletionFailed,
        EventMismatch,
        EventTimedOut,
        Fatal,
        HeartbeatTimedOut,
        InvalidInput,
        PollingEnded,
        QueueFull,
        Rejected,
        RunCancelled,
        RunFailed,
        SingletonTaken,
        StepTimedOut,
    )
    from agentflow.limits import Budget, Limits, Rate
    from agentflow.records import Run
    from agentflow.retry import Retry, RetryAfter
    from agentflow.runtime.logs import log
    from agentflow.runtime.operations.heartbeats import heartbeat, last_heartbeat
    from agentflow.runtime.operations.speaking import say
    from agentflow.runtime.operations.spending import report_usage
    from agentflow.runtime.operations.values import now, operation, random, sleep, sleep_until, uuid4, wait_for
    from agentflow.runtime.parallel.completion import (
        Branches,
        BranchResult,
        all_succeed,
        at_least,
        first_success,
        tolerate,
    )
    from agentflow.runtime.parallel.gathering import gather
    from agentflow.runtime.parallel.mapping import map  # noqa: A004  the word everybody knows for it
    from agentflow.runtime.patching import patched
    from agentflow.runtime.scopes import scope
    from agentflow.runtime.undo.rollback import on_rollback
    from agentflow.runtime.waiting.approvals import Approval, wait_for_approval
    from agentflow.runtime.waiting.asking import Evidence
    from agentflow.runtime.waiting.callbacks import Callback, create_callback
    from agentflow.runtime.waiting.events import receive_events, send_event, wait_for_event
    from agentflow.runtime.waiting.polling import Backoff, wait_until
    from agentflow.settings import WorkerSettings
    from agentflow.tasks.breaker import Breaker
    from agentflow.tasks.decorating import task
    from agentflow.tasks.fallback import fallback, hop
    from agentflow.tasks.handle import RunHandle
    from agentflow.tasks.listener import Listener
    from agentflow.tasks.lookup import NOT_DONE, Done
    from agentflow.tasks.queue import Batch, Debounce, Queue
    from agentflow.tasks.schedule import Schedule
    from agentflow.tasks.step import Step, step
    from agentflow.tasks.task import Task
    from agentflow.tasks.undo import Undo
    from agentflow.tasks.webhook import Webhook
    from agentflow.usage import Usage
    from agentflow.verifiers.secret import Secret

__all__ = [  # noqa: RUF022  in the order of the alphabet; the linter would have constants first
    "AgentFlow",
    "AgentflowError",
    "AllFailed",
    "Approval",
    "ApprovalTimedOut",
    "Backoff",
    "Batch",
    "BranchResult",
    "Branches",
    "Breaker",
    "Budget",
    "Callback",
    "CallbackFailed",
    "CallbackTimedOut",
    "CircuitOpen",
    "Client",
    "CompletionFailed",
    "Debounce",
    "Done",
    "EventMismatch",
    "EventTimedOut",
    "Evidence",
    "Fatal",
    "HeartbeatTimedOut",
    "InvalidInput",
    "Limits",
    "Listener",
    "NOT_DONE",
    "PollingEnded",
    "Queue",
    "QueueFull",
    "Rate",
    "Rejected",
    "Retry",
    "RetryAfter",
    "Run",
    "RunCancelled",
    "RunFailed",
    "RunHandle",
    "Schedule",
    "Secret",
    "SingletonTaken",
    "Step",
    "StepTimedOut",
    "Task",
    "Undo",
    "Usage",
    "Webhook",
    "WorkerSettings",
    "all_succeed",
    "at_least",
    "create_callback",
    "enlist",
    "fallback",
    "first_success",
    "gather",
    "heartbeat",
    "hop",
    "last_heartbeat",
    "log",
    "map",
    "now",
    "on_rollback",
    "operation",
    "patched",
    "random",
    "receive_events",
    "report_usage",
    "say",
    "scope",
    "send_event",
    "sleep",
    "sleep_until",
    "step",
    "task",
    "tolerate",
    "uuid4",
    "wait_for",
    "wait_for_approval",
    "wait_for_event",
    "wait_until",
]

# Imported when first used: `agentflow --help` needs none of it, and a program that only defines tasks no database.
_MODULES: dict[str, tuple[str, ...]] = {
    "agentflow.app": ("AgentFlow",),
    "agentflow.client": ("Client",),
    "agentflow.client.enlisting": ("enlist",),
    "agentflow.errors": (
        "AgentflowError",
        "AllFailed",
        "ApprovalTimedOut",
        "CallbackFailed",
        "CallbackTimedOut",
        "CircuitOpen",
        "CompletionFailed",
        "EventMismatch",
        "EventTimedOut",
        "Fatal",
        "HeartbeatTimedOut",
        "InvalidInput",
        "PollingEnded",
        "QueueFull",
        "Rejected",
        "RunCancelled",
        "RunFailed",
        "SingletonTaken",
        "StepTimedOut",
    ),
    "agentflow.limits": ("Budget", "Limits", "Rate"),
    "agentflow.records": ("Run",),
    "agentflow.retry": ("Retry", "RetryAfter"),
    "agentflow.runtime.waiting.approvals": ("Approval", "wait_for_approval"),
    "agentflow.runtime.waiting.asking": ("Evidence",),
    "agentflow.runtime.waiting.callbacks": ("Callback", "create_callback"),
    "agentflow.runtime.parallel.completion": (
        "BranchResult",
        "Branches",
        "all_succeed",
        "at_least",
        "first_success",
        "tolerate",
    ),
    "agentflow.runtime.waiting.events": ("receive_events", "send_event", "wait_for_event"),
    "agentflow.runtime.parallel.gathering": ("gather",),
    "agentflow.runtime.operations.heartbeats": ("heartbeat", "last_heartbeat"),
    "agentflow.runtime.operations.speaking": ("say",),
    "agentflow.runtime.operations.spending": ("report_usage",),
    "agentflow.runtime.logs": ("log",),
    "agentflow.runtime.parallel.mapping": ("map",),
    "agentflow.runtime.operations.values": ("now", "operation", "random", "sleep", "sleep_until", "uuid4", "wait_for"),
    "agentflow.runtime.patching": ("patched",),
    "agentflow.runtime.waiting.polling": ("Backoff", "wait_until"),
    "agentflow.runtime.undo.rollback": ("on_rollback",),
    "agentflow.runtime.scopes": ("scope",),
    "agentflow.settings": ("WorkerSettings",),
    "agentflow.tasks.breaker": ("Breaker",),
    "agentflow.tasks.fallback": ("fallback", "hop"),
    "agentflow.tasks.handle": ("RunHandle",),
    "agentflow.tasks.lookup": ("NOT_DONE", "Done"),
    "agentflow.tasks.queue": ("Batch", "Debounce", "Queue"),
    "agentflow.tasks.listener": ("Listener",),
    "agentflow.tasks.schedule": ("Schedule",),
    "agentflow.verifiers.secret": ("Secret",),
    "agentflow.tasks.step": ("Step", "step"),
    "agentflow.tasks.decorating": ("task",),
    "agentflow.tasks.task": ("Task",),
    "agentflow.tasks.undo": ("Undo",),
    "agentflow.tasks.webhook": ("Webhook",),
    "agentflow.usage": ("Usage",),
}

if not typing.TYPE_CHECKING:
    __getattr__, __dir__ = _names(__name__, _MODULES)
