"""Durable runs of ordinary async functions, with people approving, rejecting or correcting what they will do."""

from __future__ import annotations

from agentflow._version import __version__ as __version__
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
from agentflow.runtime.approvals import Approval, Evidence, wait_for_approval
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
