"""Every error agentflow raises, and the tree they form.

AgentflowError
├── DefinitionError ── SourceUnavailable                declared wrongly; nothing was defined
├── InvalidSetting, InvalidDuration, InvalidInput       refused; nothing was started
├── InvalidName                                         refused; nothing was stored
├── PayloadError
│   └── NotRecordable, PayloadTooLarge, UndecodablePayload
├── StoreError
│   └── StoreUnavailable, StoreUnusable, LeaseLost, IllegalTransition
├── NotFound
│   └── RunNotFound, ApprovalNotFound, TaskNotFound, WebhookNotFound, CallbackNotFound, QueueNotFound, KeyNotRecorded
├── Conflict                                            something else came first
│   └── IdempotencyMismatch, AlreadyDecided, ApprovalExpired, ApprovalWithdrawn, StaleVersion, SingletonTaken,
│       QueueFull, CallbackResolved ── CallbackLapsed
├── InvalidDecision, NotAuthentic, ForkRefused          refused; nothing was recorded
├── OperationError                                      what `await` raises inside a task
│   └── OperationFailed, StepTimedOut, RunTimedOut, AllFailed, ApprovalTimedOut, ApprovalSchemaMismatch,
│       RunFailed, RunCancelled, EventTimedOut, CallbackTimedOut, CallbackFailed, HeartbeatTimedOut, CircuitOpen,
│       CompletionFailed, EventMismatch, PollingEnded
├── Fatal ── Rejected                                   raised by users' code: do not try again
└── UnsupportedAwait, Diverged
"""

from agentflow.errors.base import AgentflowError, FieldProblem
from agentflow.errors.conflicts import (
    AlreadyDecided,
    ApprovalExpired,
    ApprovalWithdrawn,
    CallbackLapsed,
    CallbackResolved,
    Conflict,
    ForkRefused,
    IdempotencyMismatch,
    InvalidDecision,
    NotAuthentic,
    QueueFull,
    SingletonTaken,
    StaleVersion,
)
from agentflow.errors.definitions import (
    DefinitionError,
    InvalidDuration,
    InvalidInput,
    InvalidName,
    InvalidSetting,
    SourceUnavailable,
)
from agentflow.errors.operations import (
    AllFailed,
    ApprovalSchemaMismatch,
    ApprovalTimedOut,
    CallbackFailed,
    CallbackTimedOut,
    CircuitOpen,
    CompletionFailed,
    Diverged,
    EventMismatch,
    EventTimedOut,
    Fatal,
    HeartbeatTimedOut,
    OperationError,
    OperationFailed,
    PollingEnded,
    Rejected,
    RunCancelled,
    RunFailed,
    RunTimedOut,
    StepTimedOut,
    UnsupportedAwait,
)
from agentflow.errors.payloads import NotRecordable, PayloadError, PayloadTooLarge, UndecodablePayload
from agentflow.errors.stores import (
    ApprovalNotFound,
    CallbackNotFound,
    IllegalTransition,
    KeyNotRecorded,
    LeaseLost,
    NotFound,
    QueueNotFound,
    RunNotFound,
    StoreError,
    StoreUnavailable,
    StoreUnusable,
    TaskNotFound,
    WebhookNotFound,
)

__all__ = [
    "AgentflowError",
    "AllFailed",
    "AlreadyDecided",
    "ApprovalExpired",
    "ApprovalNotFound",
    "ApprovalSchemaMismatch",
    "ApprovalTimedOut",
    "ApprovalWithdrawn",
    "CallbackFailed",
    "CallbackLapsed",
    "CallbackNotFound",
    "CallbackResolved",
    "CallbackTimedOut",
    "CircuitOpen",
    "CompletionFailed",
    "Conflict",
    "DefinitionError",
    "Diverged",
    "EventMismatch",
    "EventTimedOut",
    "Fatal",
    "FieldProblem",
    "ForkRefused",
    "HeartbeatTimedOut",
    "IdempotencyMismatch",
    "IllegalTransition",
    "InvalidDecision",
    "InvalidDuration",
    "InvalidInput",
    "InvalidName",
    "InvalidSetting",
    "KeyNotRecorded",
    "LeaseLost",
    "NotAuthentic",
    "NotFound",
    "NotRecordable",
    "OperationError",
    "OperationFailed",
    "PayloadError",
    "PayloadTooLarge",
    "PollingEnded",
    "QueueFull",
    "QueueNotFound",
    "Rejected",
    "RunCancelled",
    "RunFailed",
    "RunNotFound",
    "RunTimedOut",
    "SingletonTaken",
    "SourceUnavailable",
    "StaleVersion",
    "StepTimedOut",
    "StoreError",
    "StoreUnavailable",
    "StoreUnusable",
    "TaskNotFound",
    "UndecodablePayload",
    "UnsupportedAwait",
    "WebhookNotFound",
]
