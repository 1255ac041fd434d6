"""Starting runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Unpack

from agentflow.client.holder import Holder
from agentflow.errors import AgentflowError, InvalidSetting, StoreUnavailable
from agentflow.tasks.options import Options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import Run
    from agentflow.requests import TriggerRun
    from agentflow.tasks.task import Task

MOST_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTrigger:
    """One item of a batch: the task's id, its input as a JSON object of parameters by name, and `Options`."""

    task: str
    input: Any = field(default_factory=dict)
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, slots=True)
class BatchItem:
    """What became of one item of a batch: its run, or the error for which there is none."""

    run: Run | None = None
    error: AgentflowError | None = None


class Starting(Holder):
    """Runs for tasks."""

    async def trigger(self, task: Task[..., Any], /, *args: Any, **kwargs: Any) -> Run:
        """A new run of this task with these arguments. Raises `InvalidInput`; no run was made then.

        `task.options(...)` says how it is to be started. Its queue may be full (`QueueFull`), or an open run have its
        singleton key (`SingletonTaken`): no run was made then either.
        """
        return await self._store.trigger(task.request(task.encode_call(args, kwargs), origin="program"))

    async def trigger_json(self, task: str, input: Any, *, origin: str = "api", **options: Unpack[Options]) -> Run:
        """A run of the task with this id, its input given as a JSON object of parameters by name.

        The same `idempotency_key` returns the run it made before. Raises `TaskNotFound` (naming the nearest),
        `InvalidInput` (naming each field), `InvalidDuration`, `InvalidSetting`, `IdempotencyMismatch`, `QueueFull` or
        `SingletonTaken`; no run was made then.
        """
        return await self._store.trigger(self._request(task, input, options, origin))

    async def trigger_batch(self, items: Sequence[NewTrigger], *, origin: str = "api") -> Sequence[BatchItem]:
        """What became of each item, in their order: one that is refused, as by `trigger_json`, keeps no other back.

        Raises `InvalidSetting` for more than 1,000 items, of which none was looked at. Raises `StoreUnavailable` if the
        database did not take all of them: runs may then have been made for some, so items without an idempotency key
        should not be sent again.
        """
        if len(items) > MOST_AT_ONCE:
            raise InvalidSetting(
                f"a batch has at most {MOST_AT_ONCE:,} items, this one {len(items):,}; no run was made"
            )
        return await asyncio.gather(*(self._item(one, origin) for one in items))

    async def _item(self, one: NewTrigger, origin: str) -> BatchItem:
        try:
            return BatchItem(run=await self._store.trigger(self._request(one.task, one.input, one.options, origin)))
        except StoreUnavailable:
            raise
        except AgentflowError as error:
            return BatchItem(error=error)

    def _request(self, task: str, input: Any, options: Options, origin: str) -> TriggerRun:
        found = self.catalog.task(task).options(**options)
        return found.request(found.encode_json(input), origin=origin)
