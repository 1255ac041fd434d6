"""What a language model, a tool or a budget has to say against an agent's going on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.errors.operations import Fatal, OperationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta


class ModelError(OperationError):
    """A model gave no usable answer. `status` is the HTTP status where there was one, `model` is `provider:model`."""

    def __init__(self, message: str, *, model: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.model = model
        self.status = status


class ModelUnavailable(ModelError):
    """The provider could not be reached, did not answer in time, or said that it cannot at the moment.

    `retry_after` is how long it asks to be left alone, where it says so.
    """

    def __init__(
        self, message: str, *, model: str = "", status: int | None = None, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(message, model=model, status=status)
        self.retry_after = retry_after


class ModelRateLimited(ModelUnavailable):
    """The provider has had too many requests or tokens of this account for now."""


class ModelAnswerCutOff(ModelError):
    """The answer broke off before its end, is empty, or is none by the provider's rules; nothing of it was used."""


class ModelAnswerRefused(ModelError):
    """The model answered, and the agent does not take such an answer: a refusal, or what its policy refuses."""


class ModelRequestRefused(ModelError):
    """The provider does not take this request: asking again gives the same. Its words are in the message."""


class ModelNotAuthorized(ModelRequestRefused):
    """The provider does not take the key, or the key may not use this model."""


class ToolError(OperationError):
    """Raise it in a tool to tell the model what is wrong, so that it can do better; the run goes on."""


class ArgumentsRefused(ToolError):
    """What a model or a person gave a tool for arguments cannot be; it was not called. `problems` says each."""

    def __init__(self, message: str, *, tool: str = "", problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.tool = tool
        self.problems = tuple(problems)


class BudgetReached(Fatal):
    """What the run's budget allows is spent; the model was not called. `limit` is `tokens`, `cost`, `time` or `turns`.

    `run_id` and `key` are those of the budget, which may be that of a run further up.
    """

    def __init__(self, message: str, *, limit: str, run_id: str = "", key: str = "") -> None:
        super().__init__(message)
        self.limit = limit
        self.run_id = run_id
        self.key = key


class OutputRefused(Fatal):
    """The model's last answer does not fit the agent's output type, as often as it was asked again."""


class AgentStuck(Fatal):
    """The agent does the same again and again: the same call with the same arguments, or answers of nothing."""
