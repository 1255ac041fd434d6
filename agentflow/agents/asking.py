"""One call of a model: a chain of models, each a checkpoint with its own retries, under the budgets of the run."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003  read when an answer is stored
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from agentflow.agents.budget import require_left, warnings
from agentflow.agents.messages import Finish, Reply, Request
from agentflow.errors import (
    BudgetReached,
    CircuitOpen,
    ModelAnswerCutOff,
    ModelAnswerRefused,
    ModelError,
    ModelUnavailable,
    StepTimedOut,
)
from agentflow.retry import Retry
from agentflow.runtime.operations.leaf import InStep
from agentflow.runtime.operations.speaking import say
from agentflow.runtime.operations.spending import outlook, report_usage
from agentflow.tasks.calling import current_caller
from agentflow.tasks.fallback import fallback
from agentflow.tasks.step import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow.agents.models.base import ChatModel
    from agentflow.runtime.index import Recorded

MAIL: Final = "agentflow.mail"
"""The event by which a message reaches an agent that is at work; its key is the run."""
MODEL_RETRY: Final = Retry(
    max_attempts=3,
    min_delay="1s",
    max_delay="1m",
    jitter=0.2,
    retry_on=(ModelUnavailable, ModelAnswerCutOff, StepTimedOut),
)
"""How often one model of a chain is called before the next one is."""
FALL_BACK_ON: Final = (ModelError, CircuitOpen, StepTimedOut)
WORK: Final = frozenset({"model", "tool"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the journal keeps of the question: not the messages, which are where they came to be.

    The model saw the first `messages` of the conversation, whose fingerprint this is; `notices` are those the agent put
    in since the call before.
    """

    turn: int
    messages: int
    fingerprint: str
    notices: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What one call gave: the reply, whether a message for the agent waits, and which budgets near their end."""

    reply: Reply
    has_mail: bool = False
    warnings: Sequence[str] = ()


class ModelStep(Step[[Asked], Answered]):
    """The call of one model."""

    operation = "model"

    @property
    def result(self) -> Any:
        return Answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Calling:
    """How an agent calls its models."""

    models: Sequence[ChatModel]
    retry: Retry
    timeout: timedelta
    fall_back_on: tuple[type[Exception], ...]
    refuse: Callable[[Reply], str | None] | None
    takes_mail: bool
    time: timedelta | None

    async def call(self, request: Request, asked: Asked, *, is_last: bool) -> Answered:
        """The first answer of the chain. Raises `AllFailed`, `BudgetReached`, or an error it does not fall back on."""
        steps = [self._step(model, request, is_last=is_last) for model in self.models]
        answered: Answered = await fallback(*steps, on=self.fall_back_on, name="model")(asked)
        return answered

    def _step(self, model: ChatModel, request: Request, *, is_last: bool) -> ModelStep:
        async def call(_asked: Asked) -> Answered:
            look = await outlook(mail=MAIL if self.takes_mail else None)
            if not is_last:
                require_left(look.budgets)
                await self._require_time()
            reply = await model.reply(request, on_text=say)
            report_usage(reply.usage)
            self._require_usable(model, reply)
            if self.takes_mail and not look.has_mail and not reply.message.calls:
                look = replace(look, has_mail=(await outlook(mail=MAIL)).has_mail)  # nobody is to be left unheard
            told = warnings(look.budgets, tokens=reply.usage.tokens, cost=reply.usage.cost)
            return Answered(reply=reply, has_mail=look.has_mail, warnings=tuple(told))

        return ModelStep(call, name=model.name, retry=self.retry, timeout=self.timeout)

    def _require_usable(self, model: ChatModel, reply: Reply) -> None:
        """Raise `ModelAnswerRefused` for one that the policy does not take, `ModelAnswerCutOff` for an empty one."""
        message = reply.message
        why = None if self.refuse is None else self.refuse(reply)
        if reply.finish in {Finish.REFUSAL, Finish.FILTERED} or message.refusal:
            why = why or f"it refused: {message.refusal or message.text or reply.finish.value}"
        if why:
            raise ModelAnswerRefused(f"the answer of {model.name} is not taken: {why}", model=model.name)
        if not message.calls and not message.text.strip():
            raise ModelAnswerCutOff(f"the answer of {model.name} is empty", model=model.name)

    async def _require_time(self) -> None:
        """Raise `BudgetReached` once models and tools of this agent have worked for as long as they may."""
        caller = current_caller.get()
        if self.time is None or not isinstance(caller, InStep):
            return
        await caller.turn.catch_up()
        around, slash, _ = caller.key.rpartition("/model#")
        path = f"{around}/" if slash else ""
        of_this = (known for key, known in caller.turn.index.by_key.items() if key.startswith(path))
        worked = sum(map(_took, of_this), timedelta(0))
        if worked >= self.time:
            raise BudgetReached(f"models and tools have worked for {worked}, of {self.time}", limit="time")


def _took(known: Recorded) -> timedelta:
    """How long the recorded attempts of a model or a tool took."""
    if known.operation not in WORK:
        return timedelta(0)
    ends = [*known.failures, *([known.final] if known.final is not None else [])]
    return sum((one.took for one in ends if one.took is not None), timedelta(0))
