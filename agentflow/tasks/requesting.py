"""What a store is asked for when a task is triggered: its definition and the options of the trigger, put together.

Functions of the arguments (`queue_key`, `cost`, …) are called here, with the arguments as the task will see them, and
whatever is wrong with one makes no run.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from agentflow.errors import InvalidSetting
from agentflow.requests import Collect, Singleton, TriggerRun
from agentflow.tasks.reading import LONGEST_KEY, Reading, amount, key_text
from agentflow.tasks.terms import require_one_way

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from agentflow.tasks.options import TriggerOptions
    from agentflow.tasks.queue import Batch, Conflict, Debounce
    from agentflow.tasks.task import Task
    from agentflow.tasks.terms import Terms


def request_for(task: Task[..., Any], options: TriggerOptions, encoded: str, *, origin: str) -> TriggerRun:
    """What a store is asked for. Raises `InvalidInput`, `InvalidSetting`; no run was made."""
    terms, arguments = task.terms, _Arguments(task, encoded)
    debounce, batch = (
        (options.debounce, options.batch) if options.debounce or options.batch else (terms.debounce, terms.batch)
    )
    singleton = options.singleton or terms.singleton
    require_one_way(singleton, debounce, batch, InvalidSetting)
    collecting = debounce or batch
    if collecting is not None:
        _require_plain(options)
    request = TriggerRun(
        task=task.id,
        version=task.version,
        input=encoded,
        queue=terms.queue.name,
        priority=terms.priority if options.priority is None else options.priority,
        delay=options.delay,
        run_at=options.at,
        max_duration=task.max_duration,
        idempotency_key=options.idempotency_key,
        origin=origin,
        queue_key=options.queue_key or arguments.key(terms.queue_key),
        cost=arguments.cost(terms.cost) if options.cost is None else options.cost,
        ttl=options.ttl or terms.ttl,
        singleton=_singleton(singleton, options, arguments, terms),
        collect=_collect(debounce, batch, arguments, task),
        on_parent_close=options.on_parent_close,
        tags=options.tags,
        metadata=options.metadata,
    )
    return _with_deadline(request, options.deadline)


def _with_deadline(request: TriggerRun, deadline: datetime | timedelta | None) -> TriggerRun:
    if deadline is None:
        return request
    if isinstance(deadline, datetime):
        return replace(request, deadline_at=deadline)
    spans = [span for span in (deadline, request.max_duration) if span is not None]
    return replace(request, max_duration=min(spans, default=None))


def _singleton(
    conflict: Conflict | None, options: TriggerOptions, arguments: _Arguments, terms: Terms
) -> Singleton | None:
    if conflict is None:
        if options.singleton_key is not None:
            raise InvalidSetting('singleton_key= needs singleton="skip", "replace" or "join"')
        return None
    key = options.singleton_key or arguments.key(terms.singleton_key)
    return Singleton(key or "", conflict)


def _collect(
    debounce: Debounce | None, batch: Batch | None, arguments: _Arguments, task: Task[..., Any]
) -> Collect | None:
    given = debounce or batch
    if given is None:
        return None
    key = arguments.key(Reading.of("key", given.key, task.id, task.function)) or ""
    if debounce is not None:
        return Collect(key=key, keep="last", delay=debounce.span, most=debounce.most)
    assert batch is not None
    return Collect(key=key, keep="list", delay=batch.span, size=batch.size)


def _require_plain(options: TriggerOptions) -> None:
    for name in ("idempotency_key", "delay", "at"):
        if getattr(options, name) is not None:
            raise InvalidSetting(
                f"{name}= is of one trigger, and debounce= or batch= make one run of several; leave it out"
            )


class _Arguments:
    """A trigger's arguments as the task will see them, decoded only if something is read from them."""

    def __init__(self, task: Task[..., Any], encoded: str) -> None:
        self._task = task
        self._encoded = encoded
        self._decoded: Mapping[str, Any] | None = None

    def read(self, reading: Reading) -> Any:
        if self._decoded is None:
            args, kwargs = self._task.signature.decode(self._encoded)
            names = self._task.signature.parameters
            self._decoded = dict(zip(names, args, strict=False)) | kwargs
        return reading(self._decoded)

    def key(self, reading: Reading | None) -> str | None:
        if reading is None:
            return None
        value = self.read(reading)
        try:
            return key_text(reading.what, value)
        except InvalidSetting:
            wanted = f"a text of 1 to {LONGEST_KEY} characters or a whole number for {reading.what}="
            raise reading.refusal(repr(value), wanted) from None

    def cost(self, cost: int | Reading) -> int:
        if not isinstance(cost, Reading):
            return cost
        value = self.read(cost)
        try:
            return amount("cost", value)
        except InvalidSetting:
            raise cost.refusal(repr(value), "a whole number, 0 or more, for cost=") from None
