"""The two callers: code of a run, whose awaits are recorded, and code of a step, which just runs.

What a caller returns is a coroutine that looks up its scope when it is awaited, not when it is made: `gather(f(x))`
makes it in one scope and awaits it in another.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import json
from typing import TYPE_CHECKING, Any, NoReturn, cast

from agentflow.errors import AllFailed, UnsupportedAwait
from agentflow.requests import NewEntry, OpenWait, TriggerRun
from agentflow.runtime.asyncio_calls import refusal_of, replacement_of
from agentflow.runtime.branches import Waiting
from agentflow.runtime.performing import Work, perform
from agentflow.runtime.scope import Scope
from agentflow.states import EntryKind, WaitKind
from agentflow.tasks.annotations import result_annotation
from agentflow.tasks.calling import current_caller, durable
from agentflow.tasks.handle import outcome
from agentflow.tasks.step import Step, operation_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from agentflow.runtime.turn import Turn
    from agentflow.tasks.calling import Caller, TriggerOptions
    from agentflow.tasks.fallback import Fallback, Hop
    from agentflow.tasks.task import Task


@functools.lru_cache(4096)
def _annotation(function: Any) -> Any:
    return result_annotation(function)


def annotation_of(function: Any) -> Any:
    """What awaiting a call of this function gives, looked up once for each function and not for each bound method."""
    try:
        return _annotation(getattr(function, "__func__", function))
    except TypeError:  # not hashable
        return result_annotation(function)


class InRun:
    """The caller of code that belongs to a scope of a run."""

    __slots__ = ("scope", "turn")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.turn: Turn = scope.turn

    @property
    def key(self) -> str | None:
        """The operation this code belongs to, None for the task itself."""
        return self.scope.path or None

    @property
    def is_replaying(self) -> bool:
        """Whether the code is on ground it has covered before."""
        return self.scope.is_replaying

    def checkpoint(
        self, name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Awaitable[Any]:
        replacement = replacement_of(function)
        if replacement is not None:
            return cast("Awaitable[Any]", replacement(*args, **kwargs))
        return _record_call(operation_name(name), function, args, kwargs)

    def awaited(self, name: str, value: Awaitable[Any]) -> Awaitable[Any]:
        if isinstance(value, asyncio.Future):
            return value  # a bare suspension; driving the task reports it
        return _record_value(operation_name(name), value)

    def entered(self, name: str, manager: Callable[..., Any]) -> Callable[..., Any]:
        refusal = refusal_of(manager)
        if refusal is not None:
            raise UnsupportedAwait(f"`async with {name}(…)` in task {self.turn.task.id}: {refusal}")
        return manager

    def step(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
        return _record_step(step, args, kwargs)

    def task(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
        return _record_task(task, args, kwargs)

    def fallback(self, chain: Fallback, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
        return _record_fallback(chain, args, kwargs)

    async def trigger(self, task: Task[..., Any], inputs: Sequence[str], options: TriggerOptions) -> Sequence[str]:
        return await _trigger(self.scope, task, inputs, options)

    async def result(self, task: Task[..., Any], run_id: str) -> Any:
        return await _result(self.scope, task, run_id)


class InStep:
    """The caller of code inside a step: nothing in it is recorded, and it cannot wait."""

    __slots__ = ("attempt", "key", "scope", "turn")
    is_replaying = False

    def __init__(self, scope: Scope, key: str, attempt: int) -> None:
        self.scope = scope
        self.turn: Turn = scope.turn
        self.key = key
        self.attempt = attempt

    def checkpoint(
        self, name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Awaitable[Any]:
        del name
        return cast("Awaitable[Any]", function(*args, **kwargs))

    def awaited(self, name: str, value: Awaitable[Any]) -> Awaitable[Any]:
        del name
        return value

    def entered(self, name: str, manager: Callable[..., Any]) -> Callable[..., Any]:
        del name
        return manager

    def step(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
        return step.run(*args, **kwargs)

    def task(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
        return cast("Awaitable[Any]", task.function(*args, **kwargs))

    def fallback(self, chain: Fallback, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
        return chain.run(*args, **kwargs)

    async def trigger(self, task: Task[..., Any], inputs: Sequence[str], options: TriggerOptions) -> Sequence[str]:
        del inputs, options
        refuse_in_step(self, f"task {task.id!r} was triggered")

    async def result(self, task: Task[..., Any], run_id: str) -> Any:
        refuse_in_step(self, f"run {run_id} of {task.id} was awaited")


def refuse_in_step(caller: InStep, what: str) -> NoReturn:
    """Raise `UnsupportedAwait`: a step runs as one piece and cannot wait or start other runs durably."""
    raise UnsupportedAwait(
        f"{what} inside step {caller.key}, which runs as one piece and records nothing within; do it in the task, "
        "or in an undecorated async function that the task awaits"
    )


def current_scope() -> Scope:
    """The scope the present code runs in; only for code that is known to be in a run."""
    return cast("InRun", current_caller.get()).scope


async def within(
    scope: Scope, path: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    """Call a function as a scope of its own."""
    inner = Scope(scope.turn, path, scope.branch)
    inner.enter()
    token = current_caller.set(cast("Caller", InRun(inner)))
    try:
        result = await function(*args, **kwargs)
    finally:
        current_caller.reset(token)
    inner.leave()
    return result


async def alone(caller: InStep, step: Step[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Call a step's function, with nothing in it recorded; a sync one in a thread of the worker's."""
    token = current_caller.set(cast("Caller", caller))
    try:
        if step.is_async:
            return await step.function(*args, **kwargs)
        call = functools.partial(contextvars.copy_context().run, step.function, *args, **kwargs)
        result = await asyncio.get_running_loop().run_in_executor(caller.turn.threads, call)
        return await result if inspect.isawaitable(result) else result
    finally:
        current_caller.reset(token)


@durable
async def _record_call(
    name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    scope = current_scope()
    work = Work(name, "await", lambda key, _: within(scope, key, function, args, kwargs), args, kwargs)
    work.result = annotation_of(function)
    return await perform(scope, work)


@durable
async def _record_value(name: str, value: Awaitable[Any]) -> Any:
    async def awaiting() -> Any:
        return await value

    scope = current_scope()
    try:
        return await perform(scope, Work(name, "await", lambda key, _: within(scope, key, awaiting, (), {})))
    finally:
        if inspect.iscoroutine(value):
            value.close()  # recorded before: it is not to run, nor to be warned about


@durable
async def _record_step(step: Step[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    scope = current_scope()
    work = Work(
        step.name,
        "step",
        lambda key, attempt: alone(InStep(scope, key, attempt), step, args, kwargs),
        args,
        kwargs,
        step.result,
        step.retry,
        step.timeout,
        step.effect,
    )
    return await perform(scope, work)


@durable
async def _record_task(task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    scope = current_scope()
    work = Work(task.id, "task", lambda key, _: within(scope, key, task.body, args, kwargs), args, kwargs)
    work.result, work.retry, work.timeout, work.is_scope = task.signature.result, task.retry, task.timeout, True
    return await perform(scope, work)


# -- fallback chains


@durable
async def _record_fallback(chain: Fallback, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    outer = current_scope()
    key, _ = outer.ask(chain.name, "fallback")
    scope = Scope(outer.turn, key, outer.branch)
    scope.enter()
    outer.busy += 1
    failures: list[str] = []
    last: Exception | None = None
    try:
        for hop in chain.hops:
            try:
                answer = await perform(scope, _hop_work(scope, hop, args, kwargs))
            except Exception as error:
                if not chain.goes_on_after(error):
                    raise
                failures.append(f"{hop.name}: {type(error).__name__}: {error}")
                last = error
                continue
            if chain.accepts(answer):
                await _note_answer(scope, key, hop, failures)
                scope.leave()
                return answer
            failures.append(f"{hop.name}: its answer was not accepted")
        raise AllFailed(failures) from last
    finally:
        outer.busy -= 1


def _hop_work(scope: Scope, hop: Hop, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Work:
    def call(key: str, attempt: int) -> Awaitable[Any]:
        if isinstance(hop.function, Step):
            return alone(InStep(scope, key, attempt), hop.function, args, kwargs)
        return within(scope, key, hop.run, args, kwargs)

    work = Work(hop.name, "hop", call, args, kwargs, hop.result, hop.retry, hop.timeout)
    work.is_scope = not isinstance(hop.function, Step)
    return work


async def _note_answer(scope: Scope, key: str, hop: Hop, failures: list[str]) -> None:
    """Say in the journal who answered and why the others did not, where anything is to be said."""
    known = scope.turn.index.by_key.get(key)
    if failures and (known is None or not known.noted):
        detail = json.dumps({"answered_by": hop.name, "failures": failures}, ensure_ascii=False)
        await scope.turn.append(NewEntry(kind=EntryKind.NOTED, key=key, operation="fallback", detail=detail))


# -- child runs


async def _trigger(scope: Scope, task: Task[..., Any], inputs: Sequence[str], options: TriggerOptions) -> Sequence[str]:
    """Start child runs and record them in one transaction; a replay gives the ids it gave."""
    turn = scope.turn
    key, recorded = scope.ask(f"{task.id}.trigger", "trigger")
    if recorded is not None and recorded.final is not None:
        return cast("Sequence[str]", json.loads(recorded.final.output or "[]"))
    requests = [
        TriggerRun(
            task=task.id,
            version=task.version,
            input=text,
            queue=task.queue,
            priority=options.priority,
            delay=options.delay,
            max_duration=task.max_duration,
            idempotency_key=options.idempotency_key,
            origin=f"run {turn.run.id}",
        )
        for text in inputs
    ]
    scope.busy += 1
    try:
        children = await turn.write(turn.store.trigger_child, requests, NewEntry(EntryKind.SUCCEEDED, key, "trigger"))
    finally:
        scope.busy -= 1
    return [child.id for child in children]


async def _result(scope: Scope, task: Task[..., Any], run_id: str) -> Any:
    """Wait durably for a child run and give, or raise, how it ended."""
    turn = scope.turn
    key, recorded = scope.ask(f"{task.id}.result", "child")
    resolved = recorded.resolved if recorded is not None else None
    if resolved is None:
        opening = None
        if recorded is None or recorded.opened is None:
            opening = OpenWait(key=key, kind=WaitKind.CHILD, subject=run_id, detail=run_id)
        waiting = Waiting(key, asyncio.get_running_loop().create_future(), to_open=opening)
        scope.busy += 1
        try:
            resolved = await turn.wait(scope.branch, waiting)
        finally:
            scope.busy -= 1
    try:
        return outcome(task, run_id, resolved.detail or "", resolved.output, resolved.error)
    except Exception as error:
        turn.raised(error, key)
        raise
