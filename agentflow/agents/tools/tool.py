"""Tools: what an agent may call, each call a durable step with a policy of its own."""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, Unpack, cast, overload

from agentflow.agents.messages import ToolSpec
from agentflow.agents.tools.answering import answer_text, failure_text, is_for_the_model
from agentflow.agents.tools.approving import Gate
from agentflow.agents.tools.bodies import FunctionBody, PlainBody
from agentflow.agents.tools.calling import ARGUMENTS, CALL, Call, ToolChain, ToolStep, context_of, step_of
from agentflow.agents.tools.checking import fitting, parsed
from agentflow.agents.tools.options import Policy, ToolOptions
from agentflow.agents.tools.signatures import told, usable_name
from agentflow.approvals import schema_problems
from agentflow.errors import DefinitionError
from agentflow.runtime.callers import InRun
from agentflow.runtime.operations.rates import await_rate
from agentflow.tasks.calling import current_caller, durable
from agentflow.tasks.fallback import hop
from agentflow.tasks.step import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from agentflow.agents.tools.approving import ApprovalPolicy
    from agentflow.agents.tools.bodies import Body, PlainCall
    from agentflow.agents.tools.calling import OneCall
    from agentflow.agents.tools.effects import ToolEffect

P = ParamSpec("P")
R = TypeVar("R")


class Tool(Generic[P, R]):
    """What an agent may call. Called by other code of a run it is the same durable step; outside of one it just runs.

    `schema` is the JSON Schema of the arguments. It is one rule for all: for what a model writes, for what a person
    corrects, and for what the tool is called with.
    """

    __agentflow_durable__ = True

    def __init__(
        self, body: Body, *, name: str, description: str, schema: Mapping[str, Any], **options: Unpack[ToolOptions]
    ) -> None:
        self.name = usable_name(name, body.origin)
        self.description = description
        self.schema = schema
        self.policy = Policy.of(name, options)
        self.body = body
        self._step = step_of(name, body, self.policy, options)
        self._rule: Step[..., Gate] = Step(_Rule.ask, name=f"{name}.rule")
        self._fallback = _fallback(self, options.get("fallback"))

    @classmethod
    def of_schema(
        cls,
        call: PlainCall,
        *,
        name: str,
        description: str,
        schema: Mapping[str, Any],
        origin: str,
        result: Any = Any,
        **options: Unpack[ToolOptions],
    ) -> Tool[..., Any]:
        """A tool whose arguments are described by a JSON Schema of an object, as other programs offer them.

        `call` is given them as plain JSON, with the context of the call; `origin` says where the tool comes from.
        Raises `DefinitionError`, also for a schema that is none.
        """
        if not description.strip():
            raise DefinitionError(f"tool {name!r} of {origin} has no description: give one with description=")
        problems = schema_problems(dict(schema))
        if schema.get("type") != "object" or problems:
            said = "; ".join(f"{one.pointer} {one.message}".strip() for one in problems) or "it is of no object"
            raise DefinitionError(f"tool {name!r} of {origin} has no usable schema: {said}")
        body = PlainBody(origin, call, result)
        return Tool(body, name=name, description=description, schema=schema, **options)

    @property
    def effect(self) -> ToolEffect:
        """What a call does to the world."""
        return self.policy.effect

    @property
    def approval(self) -> ApprovalPolicy | None:
        """Which calls need a person, and how they are asked; None if none do."""
        return self.policy.approval

    @property
    def spec(self) -> ToolSpec:
        """The tool as a model is told of it."""
        return ToolSpec(name=self.name, description=self.description, schema=self.schema)

    # -- arguments

    def check(self, arguments: str) -> dict[str, Any]:
        """The arguments that a model wrote, as plain JSON with defaults filled in. Raises `ArgumentsRefused`."""
        takes_none = not self.schema.get("properties") and not self.schema.get("required")
        return self.check_plain(parsed(self.name, arguments, takes_none=takes_none))

    def check_plain(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """As `check`, for arguments that are JSON already: what a person made of them."""
        plain = fitting(self.name, self.schema, arguments)
        self.body.typed(plain)
        return plain

    @durable
    async def gated(self, arguments: Mapping[str, Any], context: Any = None) -> Gate:
        """Whether a person is asked about a call with these checked arguments; what a rule says of it is recorded."""
        del context
        if self.approval is None or self.approval.when is None:
            return Gate(asks=self.approval is not None)
        rule = _Rule(self.approval, self.body.typed(arguments))
        return cast("Gate", await self._rule.__get__(rule)())

    def question(self, arguments: Mapping[str, Any], gate: Gate) -> dict[str, Any]:
        """What `wait_for_approval` is to be told of a gated call, besides its arguments and their schema."""
        if self.approval is None:
            raise DefinitionError(f"tool {self.name!r} has no needs_approval=, so there is nothing to ask about it")
        return self.approval.question(self.body.typed(arguments), because=gate.because)

    # -- calls

    def step(self, context: Any = None, *, agent: str = "", given: Mapping[str, Any] | None = None) -> ToolStep:
        """The durable step of one call, to be called with `{"call": its id, "arguments": …}` inside a run."""
        call = Call(self.name, self.body, agent=agent, context=context, given=given or {})
        return cast("ToolStep", self._step.__get__(call))

    @durable
    async def perform(self, call_id: str, arguments: Mapping[str, Any], context: Any = None, *, agent: str = "") -> R:
        """What a call with these checked arguments gives, recorded; `context` is what the agent was called with.

        Where the tool has a rate, it is waited for first; where it fails, its `fallback` is tried. Raises what the tool
        raised; `tells` says whether a model is told of that.
        """
        return await self._perform(call_id, arguments, context, agent, {})

    async def _perform(
        self, call_id: str, arguments: Mapping[str, Any], context: Any, agent: str, given: Mapping[str, Any]
    ) -> R:
        if self.policy.rate is not None:
            await await_rate(self.policy.rate_key, self.policy.rate)
        payload = {CALL: call_id, ARGUMENTS: dict(arguments)}
        mine = self._call(context, agent, given)
        if self._fallback is None:
            return cast("R", await mine(payload))
        other = self._fallback

        async def instead(call: Mapping[str, Any]) -> Any:
            return await other.perform(call[CALL], call[ARGUMENTS], context, agent=agent)

        instead.__annotations__ = {"return": other.body.result}
        hops = (hop(mine, name=self.name), hop(instead, name=other.name))
        return cast("R", await ToolChain(hops, (Exception,), None, self.name)(payload))

    def _call(self, context: Any, agent: str, given: Mapping[str, Any]) -> OneCall:
        """What one call is, to be called with its id and arguments."""
        return self.step(context, agent=agent, given=given)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[None, None, R]:
        if isinstance(current_caller.get(), InRun):
            return self._called(args, kwargs)
        return self._run(args, kwargs)

    @durable
    async def _called(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> R:
        arguments, given = self.body.bound(args, kwargs)
        return await self._perform("", arguments, None, "", given)

    async def _run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> R:
        context = context_of(self.name, "", "", None)
        return cast("R", await self.body.run(args, kwargs, context))

    # -- answers

    def answer_text(self, result: Any) -> str:
        """What the model is told of a result. Raises `ToolError` for one that has no text."""
        return answer_text(self.name, result, limit=self.policy.answer_limit)

    def tells(self, error: Exception) -> bool:
        """Whether the model is told of this error, and the run goes on."""
        return is_for_the_model(error, self.policy.on_error)

    def failure_text(self, error: Exception) -> str:
        """What the model is told of an error that `tells` says it is told of."""
        return failure_text(error)

    def __repr__(self) -> str:
        return f"<tool {self.name}>"


class _Rule:
    """The rule of one call, which is a step so that a replay does not come to another answer."""

    def __init__(self, policy: ApprovalPolicy, arguments: Mapping[str, Any]) -> None:
        self._policy = policy
        self._arguments = arguments

    async def ask(self) -> Gate:
        return await self._policy.asks(self._arguments)


def _fallback(tool: Tool[..., Any], given: Any) -> Tool[..., Any] | None:
    """What is called where the tool fails, as a tool. Raises `DefinitionError` if it cannot stand in for it."""
    if given is None:
        return None
    other = given if isinstance(given, Tool) else function_tool(given, description=tool.description, effect=tool.effect)
    said = f"tool {tool.name!r}, fallback={other.name!r}"
    if other.approval is not None:
        raise DefinitionError(f"{said}: it has needs_approval=, and nobody would be asked; say it of {tool.name!r}")
    if other.effect.exceeds(tool.effect):
        raise DefinitionError(f"{said}: it is {other.effect}, {tool.name!r} only {tool.effect}; say the graver")
    if other.name == tool.name:
        raise DefinitionError(f"{said}: both are named alike; give one another name=")
    taken, given_names = set(other.schema.get("properties", {})), set(tool.schema.get("properties", {}))
    lacking = sorted(set(other.schema.get("required", ())) - given_names)
    if lacking or not given_names <= taken:
        odd = ", ".join(lacking or sorted(given_names - taken))
        raise DefinitionError(f"{said}: it is called with the arguments of {tool.name!r}, and they differ in {odd}")
    return other


def function_tool(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    description: str | None = None,
    **options: Unpack[ToolOptions],
) -> Tool[..., Any]:
    """A typed function as a tool. Raises `DefinitionError`."""
    known = told(function, name=name, description=description)
    made: Tool[..., Any] = Tool(
        FunctionBody(known, function),
        name=known.name,
        description=known.description,
        schema=known.schema,
        **options,
    )
    update_wrapper(cast("Any", made), function)
    return made


@overload
def tool(function: Callable[P, Coroutine[Any, Any, R]], /) -> Tool[P, R]: ...
@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None, **options: Unpack[ToolOptions]
) -> ToolDecorator: ...
def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a typed function, sync or async, something that an agent may call.

    Its name, its docstring and the types and descriptions of its parameters are what a model is told. `effect` says
    what a call does to the world (see `ToolEffect`); without it a tool is `irreversible` where it `needs_approval`, and
    else `idempotent`. `needs_approval` is True, a rule that is given the arguments by name, or an `ApprovalPolicy`.
    `undo` takes a call back if the run fails or is cancelled later; `lookup` says what became of an irreversible call
    that was cut off: `Done(result)`, `NOT_DONE`, or None where it cannot tell. `timeout`, `retry` and `breaker` are as
    for a step. A call that fails for good is given to `fallback`, another tool or function. At most `rate` ("10/min")
    calls begin, all workers and all tools of the same `rate_key` counted together. A `ToolError` is told to the model;
    of another error it is told too, or with `on_error="fail"` the run fails. A result is told to the model up to
    `answer_limit` characters. Raises `DefinitionError` or `InvalidDuration`.
    """
    if function is not None:
        return function_tool(function, **options)
    return lambda inner: function_tool(inner, **options)


if TYPE_CHECKING:
    from typing import Protocol

    class ToolDecorator(Protocol):
        """What `tool(...)` with options returns."""

        @overload
        def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Tool[P, R]: ...
        @overload
        def __call__(self, function: Callable[P, R], /) -> Tool[P, R]: ...
