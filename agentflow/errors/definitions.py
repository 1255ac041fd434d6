"""Refused where it is written: definitions, settings and inputs. Nothing was defined or started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.errors.base import AgentflowError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.errors.base import FieldProblem


class DefinitionError(AgentflowError):
    """A task, step, schedule or webhook is declared in a way that cannot work; nothing was defined."""


class SourceUnavailable(DefinitionError):
    """A task's source cannot be read, so its awaits cannot be made checkpoints; the task was not defined."""


class InvalidSetting(AgentflowError):
    """A setting, option or environment variable has a value that cannot be used; nothing was started."""


class InvalidDuration(AgentflowError, ValueError):
    """A text or number that names no usable span of time."""


class InvalidName(AgentflowError, ValueError):
    """A name, key or id that cannot be used; nothing was stored."""


class InvalidMessage(AgentflowError, ValueError):
    """A message to a run that cannot be sent; nothing was sent."""


class InvalidInput(AgentflowError):
    """A trigger's input does not fit the task's parameters, so no run was made."""

    def __init__(self, *, task: str, errors: Sequence[FieldProblem]) -> None:
        super().__init__(f"input of task {task!r} is refused, no run was made: " + "; ".join(map(str, errors)))
        self.task = task
        self.errors = tuple(errors)
