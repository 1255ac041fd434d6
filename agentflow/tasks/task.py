"""Tasks: async functions that run durably. A definition is a value; nothing registers it anywhere."""

from __future__ import annotations

import copy
from functools import cached_property, update_wrapper
from types import MethodType
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeVar, Unpack, cast

from agentflow.errors import DefinitionError, InvalidSetting
from agentflow.labels import labels
from agentflow.retry import ONCE, Retry
from agentflow.tasks.calling import awaited, checkpoint, current_caller, durable, entered, starter
from agentflow.tasks.handle import RunHandle
from agentflow.tasks.options import Lining, Options, TriggerOptions
from agentflow.tasks.requesting import request_for
from agentflow.tasks.rewrite import rewrite
from agentflow.tasks.signature import Signature
from agentflow.tasks.step import operation_name, positive
from agentflow.tasks.terms import Terms

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
    from datetime import timedelta

    from agentflow.requests import TriggerRun
    from agentflow.tasks.listener import Listener
    from agentflow.tasks.queue import Queue
    from agentflow.tasks.schedule import Schedule
    from agentflow.tasks.webhook import Webhook

P = ParamSpec("P")
R = TypeVar("R")
Checkpoints = Literal["every", "explicit"]
ChangedInput = Literal["note", "stop"]
NewVersion = Literal["carry", "pin"]
OnExhausted = Literal["fail", "ask"]
LONGEST_VERSION = 100


class Task(Generic[P, R]):
    """A durable function. Calling it outside a run just runs it; inside one it is a scope of that run."""

    __agentflow_durable__ = True

    def __init__(
        self,
        function: Callable[P, Coroutine[Any, Any, R]],
        *,
        id: str | None = None,
        retry: Retry = ONCE,
        queue: Queue | str = "default",
        timeout: str | float | timedelta | None = None,
        max_duration: str | float | timedelta | None = None,
        on_exhausted: OnExhausted = "fail",
        version: str = "1",
        on_new_version: NewVersion = "carry",
        checkpoint: Checkpoints = "every",
        changed_input: ChangedInput = "note",
        log_prints: bool = False,
        needs: str | Iterable[str] = (),
        **lining: Unpack[Lining],
    ) -> None:
        self.function = function
        self.body = rewritten(function, checkpoint)
        self.id = operation_name(id or function.__name__)
        self.retry = retry
        self.terms = Terms.of(self.id, function, queue, lining)
        self.timeout = positive("timeout", timeout)
        self.max_duration = positive("max_duration", max_duration)
        self.on_exhausted = _one_of("on_exhausted", on_exhausted, ("fail", "ask"))
        self.version = _version(version)
        self.on_new_version = _one_of("on_new_version", on_new_version, ("carry", "pin"))
        self.changed_input = _one_of("changed_input", changed_input, ("note", "stop"))
        self.log_prints = log_prints
        self.needs = _needs(self.id, needs)
        self.schedules: tuple[Schedule, ...] = ()
        self.webhooks: tuple[Webhook, ...] = ()
        self.listeners: tuple[Listener, ...] = ()
        self._options = TriggerOptions()
        update_wrapper(cast("Any", self), function)

    # -- running here

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[None, None, R]:
        caller = current_caller.get()
        if caller is None:
            return self.function(*args, **kwargs)
        return cast("Coroutine[None, None, R]", caller.task(self, args, kwargs))

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """A task that is a method belongs to its object: give the worker `thing.method`, not the class's."""
        if instance is None:
            return self
        bound = copy.copy(self)
        bound.__dict__.pop("signature", None)
        bound.function = cast("Any", MethodType(self.function, instance))
        bound.body = cast("Any", MethodType(self.body, instance))
        return bound

    @cached_property
    def signature(self) -> Signature:
        """What the task takes and returns, from its annotations. Raises `DefinitionError`."""
        return Signature.of(self.function, task=self.id)

    # -- running durably

    @durable
    async def trigger(self, *args: P.args, **kwargs: P.kwargs) -> RunHandle[R]:
        """A new durable run; await the handle for its result.

        Inside a run it is a child run, started once however often the parent is replayed. Raises `InvalidInput`
        naming each argument that does not fit; no run was made then.
        """
        [handle] = await self._start([self.encode_call(args, kwargs)])
        return handle

    @durable
    async def trigger_and_wait(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The result of a new durable run. Raises `RunFailed` or `RunCancelled` if it does not complete."""
        handle = await self.trigger(*args, **kwargs)
        return await handle

    @durable
    async def batch_trigger(self, inputs: Iterable[Any]) -> Sequence[RunHandle[R]]:
        """New runs, one for each input, all started together or none.

        An input is a tuple of arguments, a mapping of them by name, or the one argument the task takes. Raises
        `InvalidInput`; no run was made then.
        """
        return await self._start([self._encode_item(item) for item in inputs])

    def options(self, **options: Unpack[Options]) -> Task[P, R]:
        """This task, to be triggered with these options (see `Options`).

        Raises `InvalidSetting` or `InvalidDuration` for one that cannot be.
        """
        prepared = copy.copy(self)
        prepared._options = TriggerOptions.of(options)  # noqa: SLF001  its own class's copy
        return prepared

    async def _start(self, inputs: Sequence[str]) -> Sequence[RunHandle[R]]:
        if self._options.idempotency_key is not None and len(inputs) > 1:
            raise DefinitionError("one idempotency key cannot name several runs; trigger them one by one")
        caller = current_caller.get()
        source = starter(f"task {self.id!r} triggered") if caller is None else None
        if source is not None:
            ids = await source.start(self, inputs)
        else:
            assert caller is not None
            ids = await caller.trigger(self, inputs)
        return [RunHandle(cast("Task[..., R]", self), run_id) for run_id in ids]

    @property
    def queue(self) -> str:
        """The name of the queue its runs line up in."""
        return self.terms.queue.name

    def request(self, encoded: str, *, origin: str) -> TriggerRun:
        """What a store is asked for a run of this task with this encoded input. Raises `InvalidInput`."""
        return request_for(self, self._options, encoded, origin=origin)

    def _encode_item(self, item: Any) -> str:
        if isinstance(item, tuple):
            return self.encode_call(item, {})
        if isinstance(item, dict) and set(item) <= set(self.signature.parameters):
            return self.encode_call((), item)
        return self.encode_call((item,), {})

    def encode_call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """The stored form of these arguments, checked against the annotations. Raises `InvalidInput`."""
        return self.signature.encode(self.signature.validate(args, kwargs))

    def encode_json(self, source: Any) -> str:
        """The stored form of a JSON object of parameters by name. Raises `InvalidInput`."""
        return self.signature.encode(self.signature.validate_json(source))

    # -- what starts it

    def add_schedule(self, schedule: Schedule) -> None:
        """Start this task by a schedule too. Raises `DefinitionError` if it has one of that id."""
        if any(known.id == schedule.id for known in self.schedules):
            raise DefinitionError(f"task {self.id!r} has two schedules with id {schedule.id!r}; give one another id")
        self.schedules = (*self.schedules, schedule)

    def add_webhook(self, webhook: Webhook) -> None:
        """Start this task by a webhook too. Raises `DefinitionError` if it has one on that path."""
        if any(known.path == webhook.path for known in self.webhooks):
            raise DefinitionError(f"task {self.id!r} has two webhooks on {webhook.path}; give one another path")
        self.webhooks = (*self.webhooks, webhook)

    def add_listener(self, listener: Listener) -> None:
        """Start this task by events too. Raises `DefinitionError` if it listens for that pattern already."""
        if any(known.id == listener.id for known in self.listeners):
            raise DefinitionError(f"task {self.id!r} listens for {listener.pattern!r} twice; give one another id=")
        self.listeners = (*self.listeners, listener)

    def __repr__(self) -> str:
        return f"<task {self.id}>"


def rewritten(function: Any, mode: str) -> Any:
    """The function with its awaits made checkpoints, or as it is for "explicit"."""
    _one_of("checkpoint", mode, ("every", "explicit"))
    made = rewrite(function, call=checkpoint, value=awaited, manager=entered) if mode == "every" else function
    if mode == "explicit" and not hasattr(function, "__code__"):
        raise DefinitionError(f"{function!r} is no `async def` function; a task is one")
    return made


def _version(given: str) -> str:
    version = str(given).strip()
    if not version or len(version) > LONGEST_VERSION:
        raise DefinitionError(f"version={str(given)[:20]!r}: wanted 1 to {LONGEST_VERSION} characters")
    return version


def _needs(task_id: str, given: str | Iterable[str]) -> tuple[str, ...]:
    try:
        return labels(given)
    except InvalidSetting as error:
        raise DefinitionError(f"task {task_id!r}, needs=: {error}") from error


def _one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise DefinitionError(f"{name}={value!r}: wanted {' or '.join(map(repr, allowed))}")
    return value
