"""Every error agentflow raises, and the tree they form.

AgentflowError
├── DefinitionError ── SourceUnavailable                declared wrongly; nothing was defined
├── InvalidSetting, InvalidDuration, InvalidInput       refused; nothing was started
├── InvalidName, InvalidMessage                         refused; nothing was stored
├── PayloadError
│   └── NotRecordable, PayloadTooLarge, UndecodablePayload
├── StoreError
│   └── StoreUnavailable, StoreUnusable, LeaseLost, IllegalTransition
├── NotFound
│   └── RunNotFound, ApprovalNotFound, TaskNotFound, WebhookNotFound, CallbackNotFound, QueueNotFound, KeyNotRecorded,
│       StandingNotFound
├── Conflict                                            something else came first
│   └── IdempotencyMismatch, AlreadyDecided, ApprovalExpired, ApprovalWithdrawn, StaleVersion, SingletonTaken,
│       QueueFull, CallbackResolved ── CallbackLapsed
├── InvalidDecision, NotAuthentic, ForkRefused          refused; nothing was recorded
├── OperationError                                      what `await` raises inside a task
│   └── OperationFailed, StepTimedOut, RunTimedOut, AllFailed, ApprovalTimedOut, ApprovalSchemaMismatch,
│       RunFailed, RunCancelled, EventTimedOut, CallbackTimedOut, CallbackFailed, HeartbeatTimedOut, CircuitOpen,
│       CompletionFailed, EventMismatch, PollingEnded, ToolError ── ArgumentsRefused
│       └── ModelError                                  a language model gave no usable answer
│           └── ModelUnavailable ── ModelRateLimited, ModelAnswerCutOff, ModelAnswerRefused,
│               ModelRequestRefused ── ModelNotAuthorized
├── EgressRefused, HostUnreachable                      a call to the outside was not made
├── AnswerLost, AnswerTooLarge, ServerUnavailable       it was made, and there is no answer of use
├── Fatal ── Rejected, NotAsDecided, OutcomeUnknown     do not try again
│   └── BudgetReached, OutputRefused, AgentStuck        what ends an agent
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
    InvalidMessage,
    InvalidName,
    InvalidSetting,
    SourceUnavailable,
)
from agentflow.errors.models import (
    AgentStuck,
    ArgumentsRefused,
    BudgetReached,
    ModelAnswerCutOff,
    ModelAnswerRefused,
    ModelError,
    ModelNotAuthorized,
    ModelRateLimited,
    ModelRequestRefused,
    ModelUnavailable,
    OutputRefused,
    ToolError,
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
    NotAsDecided,
    OperationError,
    OperationFailed,
    OutcomeUnknown,
    PollingEnded,
    Rejected,
    RunCancelled,
    RunFailed,
    RunTimedOut,
    StepTimedOut,
    UnsupportedAwait,
)
from agentflow.errors.outgoing import AnswerLost, AnswerTooLarge, EgressRefused, HostUnreachable, ServerUnavailable
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
    StandingNotFound,
    StoreError,
    StoreUnavailable,
    StoreUnusable,
    TaskNotFound,
    WebhookNotFound,
)

__all__ = [
    "AgentStuck",
    "AgentflowError",
    "AllFailed",
    "AlreadyDecided",
    "AnswerLost",
    "AnswerTooLarge",
    "ApprovalExpired",
    "ApprovalNotFound",
    "ApprovalSchemaMismatch",
    "ApprovalTimedOut",
    "ApprovalWithdrawn",
    "ArgumentsRefused",
    "BudgetReached",
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
    "EgressRefused",
    "EventMismatch",
    "EventTimedOut",
    "Fatal",
    "FieldProblem",
    "ForkRefused",
    "HeartbeatTimedOut",
    "HostUnreachable",
    "IdempotencyMismatch",
    "IllegalTransition",
    "InvalidDecision",
    "InvalidDuration",
    "InvalidInput",
    "InvalidMessage",
    "InvalidName",
    "InvalidSetting",
    "KeyNotRecorded",
    "LeaseLost",
    "ModelAnswerCutOff",
    "ModelAnswerRefused",
    "ModelError",
    "ModelNotAuthorized",
    "ModelRateLimited",
    "ModelRequestRefused",
    "ModelUnavailable",
    "NotAsDecided",
    "NotAuthentic",
    "NotFound",
    "NotRecordable",
    "OperationError",
    "OperationFailed",
    "OutcomeUnknown",
    "OutputRefused",
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
    "ServerUnavailable",
    "SingletonTaken",
    "SourceUnavailable",
    "StaleVersion",
    "StandingNotFound",
    "StepTimedOut",
    "StoreError",
    "StoreUnavailable",
    "StoreUnusable",
    "TaskNotFound",
    "ToolError",
    "UndecodablePayload",
    "UnsupportedAwait",
    "WebhookNotFound",
]
