"""Durable runs of ordinary async functions, with people approving, rejecting or correcting what they will do.

`task` makes a function durable, `AgentFlow` runs it, `wait_for_approval` asks a person; `log` is a logger whose lines
are kept with the run.
"""

from __future__ import annotations

import importlib
import typing

from agentflow._version import __version__ as __version__

if typing.TYPE_CHECKING:
    from agentflow.app import AgentFlow
    from agentflow.client import Client
    from agentflow.errors import (
        AgentflowError,
        AllFailed,
        ApprovalTimedOut,
        Fatal,
        InvalidInput,
        Rejected,
        RunCancelled,
        RunFailed,
        StepTimedOut,
    )
    from agentflow.records import Run
    from agentflow.retry import Retry
    from agentflow.runtime.approvals import Approval, wait_for_approval
    from agentflow.runtime.asking import Evidence
    from agentflow.runtime.gathering import gather
    from agentflow.runtime.logs import log
    from agentflow.runtime.operations import now, operation, random, sleep, uuid4, wait_for
    from agentflow.settings import WorkerSettings
    from agentflow.tasks.fallback import fallback, hop
    from agentflow.tasks.handle import RunHandle
    from agentflow.tasks.schedule import Schedule, schedule
    from agentflow.tasks.secret import Secret
    from agentflow.tasks.step import Step, step
    from agentflow.tasks.task import Task, task
    from agentflow.tasks.verifiers import HmacSignature
    from agentflow.tasks.webhook import Webhook, webhook

__all__ = [
    "AgentFlow",
    "AgentflowError",
    "AllFailed",
    "Approval",
    "ApprovalTimedOut",
    "Client",
    "Evidence",
    "Fatal",
    "HmacSignature",
    "InvalidInput",
    "Rejected",
    "Retry",
    "Run",
    "RunCancelled",
    "RunFailed",
    "RunHandle",
    "Schedule",
    "Secret",
    "Step",
    "StepTimedOut",
    "Task",
    "Webhook",
    "WorkerSettings",
    "fallback",
    "gather",
    "hop",
    "log",
    "now",
    "operation",
    "random",
    "schedule",
    "sleep",
    "step",
    "task",
    "uuid4",
    "wait_for",
    "wait_for_approval",
    "webhook",
]

# Imported when first used: `agentflow --help` needs none of it, and a program that only defines tasks no database.
_MODULES: dict[str, tuple[str, ...]] = {
    "agentflow.app": ("AgentFlow",),
    "agentflow.client": ("Client",),
    "agentflow.errors": (
        "AgentflowError",
        "AllFailed",
        "ApprovalTimedOut",
        "Fatal",
        "InvalidInput",
        "Rejected",
        "RunCancelled",
        "RunFailed",
        "StepTimedOut",
    ),
    "agentflow.records": ("Run",),
    "agentflow.retry": ("Retry",),
    "agentflow.runtime.approvals": ("Approval", "wait_for_approval"),
    "agentflow.runtime.asking": ("Evidence",),
    "agentflow.runtime.gathering": ("gather",),
    "agentflow.runtime.logs": ("log",),
    "agentflow.runtime.operations": ("now", "operation", "random", "sleep", "uuid4", "wait_for"),
    "agentflow.settings": ("WorkerSettings",),
    "agentflow.tasks.fallback": ("fallback", "hop"),
    "agentflow.tasks.handle": ("RunHandle",),
    "agentflow.tasks.schedule": ("Schedule", "schedule"),
    "agentflow.tasks.secret": ("Secret",),
    "agentflow.tasks.step": ("Step", "step"),
    "agentflow.tasks.task": ("Task", "task"),
    "agentflow.tasks.verifiers": ("HmacSignature",),
    "agentflow.tasks.webhook": ("Webhook", "webhook"),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> typing.Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
