"""`Agent`: a task whose body is the loop of a language model and the tools it calls."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack, overload

from agentflow.agents.asking import FALL_BACK_ON, MODEL_RETRY, Calling
from agentflow.agents.budget import RunBudget, count
from agentflow.agents.hooks import AgentHooks
from agentflow.agents.loop import converse
from agentflow.agents.messages import Message, ModelSettings
from agentflow.agents.models import model as named_model
from agentflow.agents.models.base import ChatModel
from agentflow.agents.outputs import Output
from agentflow.agents.prompts import checked_instructions
from agentflow.agents.tools.signatures import told
from agentflow.agents.tools.sources import collect, sources
from agentflow.agents.tools.tasks import TaskTool
from agentflow.errors import DefinitionError
from agentflow.retry import Retry
from agentflow.tasks.options import Lining
from agentflow.tasks.step import positive
from agentflow.tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from agentflow.agents.messages import Reply
    from agentflow.agents.tools.tool import Tool
    from agentflow.tasks.queue import Queue
    from agentflow.tasks.task import ChangedInput, NewVersion, OnExhausted

    Refuse = Callable[[Reply], str | None]
    Compact = Callable[[Sequence[Message]], Awaitable[Sequence[Message]] | Sequence[Message]]

Out = TypeVar("Out")
Span = str | float | timedelta
MAX_TURNS = 50


class AgentOptions(TypedDict, total=False):
    """How an agent works; each may be left out.

    `models` are called, in order, when `model` fails by an error that is one of `fall_back_on`; each has the retry
    policy `model_retry`, and `model_timeout` for a call. `refuse(reply)` gives the reason why an answer is not taken.
    The model is called `max_turns` times at most, within `budget`; an answer that does not fit the output type is asked
    for again `output_retries` times. `context_type` is the type of what a run is given for its tools and instructions.
    Once a call has had `compact_at` tokens of input, `compact(messages)` gives the messages to go on with. With
    `steerable` messages reach the agent while it works (`agentflow tell`). `settings` go to the model.
    """

    models: Sequence[str | ChatModel]
    tools: Iterable[Any]
    context_type: Any
    max_turns: int
    budget: RunBudget | None
    settings: ModelSettings
    model_retry: Retry
    model_timeout: Span
    fall_back_on: tuple[type[Exception], ...]
    refuse: Refuse | None
    output_retries: int
    hooks: AgentHooks
    compact: Compact | None
    compact_at: int | None
    steerable: bool
    description: str


class RunOptions(Lining, total=False):
    """The options of the task that an agent is: see `task`."""

    retry: Retry
    queue: Queue | str
    timeout: Span | None
    max_duration: Span | None
    on_exhausted: OnExhausted
    version: str
    on_new_version: NewVersion
    changed_input: ChangedInput
    needs: str | Iterable[str]


class Options(AgentOptions, RunOptions, total=False):
    """Every option of an agent."""


class Agent(Task[..., Out]):
    """A language model that calls tools until it has an answer, durably.

    `await agent.trigger(prompt, context=…, thread=…)` makes a run of it; `await agent(prompt)` in a task is a part of
    that task's run. Each call of a model and of a tool is a checkpoint: after a crash nothing that is recorded is done
    again. `prompt` is a text or a list of `Message`s. With `thread` the run goes on with the conversation of that name,
    and adds to it when it ends. The result is a text, or what `output_type` says, checked.

    Raises `DefinitionError` for what cannot be: a model without a provider, two tools of one name, a tool or output
    type that has no schema, a limit that is none.
    """

    @overload
    def __init__(
        self: Agent[str],
        id: str,
        *,
        model: str | ChatModel,
        instructions: Any = "",
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self,
        id: str,
        *,
        model: str | ChatModel,
        instructions: Any = "",
        output_type: type[Out],
        **options: Unpack[Options],
    ) -> None: ...
    def __init__(
        self,
        id: str,
        *,
        model: str | ChatModel,
        instructions: Any = "",
        output_type: Any = str,
        **options: Any,
    ) -> None:
        own = {name: options.pop(name) for name in AgentOptions.__annotations__ if name in options}
        self.instructions = checked_instructions(id, instructions)
        self.output = Output.of(id, output_type)
        self.models = _models(id, [model, *own.get("models", ())])
        tools = _tools(id, own.get("tools", ()))
        self.tools, self.sources = collect(tools), sources(tools)
        self.budget = _of(RunBudget, "budget", own.get("budget"), id)
        self.settings = _of(ModelSettings, "settings", own.get("settings"), id) or ModelSettings()
        self.hooks = _of(AgentHooks, "hooks", own.get("hooks"), id) or AgentHooks()
        self.max_turns = count(f"Agent({id!r}, max_turns", own.get("max_turns", MAX_TURNS)) or MAX_TURNS
        self.output_retries = _times(id, "output_retries", own.get("output_retries", 2))
        self.compact, self.compact_at = _compaction(id, own.get("compact"), own.get("compact_at"))
        self.description = own.get("description", "")
        self.calling = self._calling(id, own)
        function = _function(self, id, own.get("context_type", Any), output_type)
        super().__init__(function, id=id, checkpoint="explicit", **options)

    def _calling(self, id: str, own: dict[str, Any]) -> Calling:
        timeout = positive(f"Agent({id!r}, model_timeout", own.get("model_timeout", "5m"))
        fall_back_on = own.get("fall_back_on", FALL_BACK_ON)
        if isinstance(fall_back_on, type):
            fall_back_on = (fall_back_on,)
        if not all(isinstance(one, type) and issubclass(one, Exception) for one in fall_back_on):
            raise DefinitionError(f"agent {id!r}: fall_back_on={fall_back_on!r}: wanted exception classes")
        return Calling(
            models=self.models,
            retry=_of(Retry, "model_retry", own.get("model_retry"), id) or MODEL_RETRY,
            timeout=timeout or timedelta(minutes=5),
            fall_back_on=tuple(fall_back_on),
            refuse=_callable(id, "refuse", own.get("refuse")),
            takes_mail=bool(own.get("steerable", True)),
            time=None if self.budget is None else self.budget.time,
        )

    def as_tool(
        self, *, name: str | None = None, description: str | None = None, run: bool = False, **options: Any
    ) -> Tool[..., Any]:
        """This agent as a tool of another one, which gives it a prompt; it gets the other's context where it takes one.

        What it spends counts for the other's budget too. With `run=True` each call is a run of its own. Raises
        `DefinitionError` for an agent that has no `description`.
        """

        async def ask(prompt: str) -> Any:
            raise NotImplementedError

        ask.__doc__ = "Ask.\n\nArgs:\n    prompt: What it is to do, in full: it knows nothing else."
        ask.__annotations__ = {"prompt": str, "return": self.signature.result}
        known = told(ask, name=name or self.id, description=description or self.description or None)
        takes_context = self.signature.parameters["context"].annotation is not Any
        more = (lambda context: {"context": context}) if takes_context else None
        return TaskTool(self, known, run=run, more=more, **options)

    def __repr__(self) -> str:
        return f"<agent {self.id}>"


def _function(agent: Agent[Any], id: str, context_type: Any, output_type: Any) -> Any:
    """The task's function, in the place of the module that defines the agent."""

    async def run(prompt: Any, *, context: Any = None, thread: str | None = None) -> Any:
        return await converse(agent, prompt, context, thread)

    context = Any if context_type is Any else context_type | None
    run.__annotations__ = {
        "prompt": str | list[Message],
        "context": context,
        "thread": str | None,
        "return": output_type,
    }
    run.__name__ = run.__qualname__ = id
    run.__doc__ = agent.description or f"The agent {id}."
    run.__module__ = sys._getframe(2).f_globals.get("__name__", __name__)  # noqa: SLF001  whose definition it is
    return run


def _tools(id: str, given: Any) -> tuple[Any, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise DefinitionError(f"agent {id!r}: tools={given!r}: wanted a list of tools")
    return tuple(given)


def _models(id: str, given: Sequence[Any]) -> tuple[ChatModel, ...]:
    found: list[ChatModel] = []
    for one in given:
        if not isinstance(one, str | ChatModel):
            raise DefinitionError(
                f'agent {id!r}: {one!r} is no model: wanted a name such as "openai:gpt-5-mini", or a ChatModel'
            )
        found.append(named_model(one) if isinstance(one, str) else one)
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise DefinitionError(f"agent {id!r} has the model {name} twice; a chain needs another one to fall back on")
    return tuple(found)


def _of(kind: type[Any], name: str, value: Any, id: str) -> Any:
    if value is not None and not isinstance(value, kind):
        raise DefinitionError(f"agent {id!r}: {name}={value!r}: wanted a {kind.__name__}")
    return value


def _callable(id: str, name: str, value: Any) -> Any:
    if value is not None and not callable(value):
        raise DefinitionError(f"agent {id!r}: {name}={value!r}: wanted a function")
    return value


def _times(id: str, name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise DefinitionError(f"agent {id!r}: {name}={value!r}: wanted a whole number, 0 or more")
    return value


def _compaction(id: str, compact: Any, at: Any) -> tuple[Any, int | None]:
    if (compact is None) != (at is None):
        raise DefinitionError(
            f"agent {id!r}: compact= is the function that makes a conversation smaller and compact_at= the number of "
            "input tokens from which on it does; give both or neither"
        )
    return _callable(id, "compact", compact), count(f"Agent({id!r}, compact_at", at)
