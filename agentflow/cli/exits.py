"""How a command ends: the exit codes scripts can rely on, and which error means which.

| code | means |
|---|---|
| 0 | what was asked for was done |
| 1 | what was asked for failed: the run failed, was cancelled or needs attention; or agentflow itself is at fault |
| 2 | the command, an option or a value is wrong; nothing was stored |
| 3 | there is no such run, approval or task |
| 4 | something else came first: already decided, expired, withdrawn, or not in a state that allows it |
| 5 | the database or the address cannot be used |
| 130 | interrupted |
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

from agentflow.errors import (
    AgentflowError,
    Conflict,
    DefinitionError,
    ForkRefused,
    IllegalTransition,
    InvalidDecision,
    InvalidDuration,
    InvalidInput,
    InvalidMessage,
    InvalidName,
    InvalidSetting,
    NotFound,
    PayloadError,
    StoreError,
)


class ExitCode(IntEnum):
    """What the command tells the shell; the module's docstring says what each one means."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    NOT_FOUND = 3
    CONFLICT = 4
    UNUSABLE = 5
    INTERRUPTED = 130


MEANINGS: Final = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "what was asked for failed",
    ExitCode.BAD_INPUT: "wrong command, option or value",
    ExitCode.NOT_FOUND: "no such run, approval or task",
    ExitCode.CONFLICT: "something else came first",
    ExitCode.UNUSABLE: "database or address cannot be used",
    ExitCode.INTERRUPTED: "interrupted",
}

# The first class that fits decides, so a narrow class stands before a wider one.
_CODES: Final[tuple[tuple[type[AgentflowError], ExitCode], ...]] = (
    (NotFound, ExitCode.NOT_FOUND),
    (Conflict, ExitCode.CONFLICT),
    (IllegalTransition, ExitCode.CONFLICT),
    (StoreError, ExitCode.UNUSABLE),
    (ForkRefused, ExitCode.BAD_INPUT),
    (InvalidInput, ExitCode.BAD_INPUT),
    (InvalidDecision, ExitCode.BAD_INPUT),
    (InvalidDuration, ExitCode.BAD_INPUT),
    (InvalidName, ExitCode.BAD_INPUT),
    (InvalidMessage, ExitCode.BAD_INPUT),
    (InvalidSetting, ExitCode.BAD_INPUT),
    (DefinitionError, ExitCode.BAD_INPUT),
    (PayloadError, ExitCode.BAD_INPUT),
)


class Refused(AgentflowError):
    """A command that does not go on: one sentence for the person, one code for the shell."""

    def __init__(self, sentence: str, code: ExitCode = ExitCode.BAD_INPUT) -> None:
        super().__init__(sentence)
        self.code = code


def code_of(error: BaseException) -> ExitCode:
    """The exit code this error ends a command with."""
    if isinstance(error, Refused):
        return error.code
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILED)


def document_of(error: BaseException, sentence: str) -> dict[str, Any]:
    """The error as the one JSON document a command prints: what happened, the exit code, and each wrong field."""
    document: dict[str, Any] = {"type": type(error).__name__, "message": sentence, "exit_code": int(code_of(error))}
    if isinstance(error, InvalidInput | InvalidDecision):
        document["fields"] = [
            {"field": problem.field, "found": problem.found, "wanted": problem.wanted} for problem in error.errors
        ]
    return {"error": document}
