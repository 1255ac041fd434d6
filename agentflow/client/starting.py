"""Starting runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from agentflow.client.holder import Holder

if TYPE_CHECKING:
    from agentflow.records import Run
    from agentflow.tasks.options import Options
    from agentflow.tasks.task import Task


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
        found = self.catalog.task(task).options(**options)
        return await self._store.trigger(found.request(found.encode_json(input), origin=origin))
