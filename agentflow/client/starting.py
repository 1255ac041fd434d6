"""Starting runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow.client.holder import Holder

if TYPE_CHECKING:
    from datetime import timedelta

    from agentflow.records import Run
    from agentflow.tasks.task import Task


class Starting(Holder):
    """Runs for tasks."""

    async def trigger(self, task: Task[..., Any], /, *args: Any, **kwargs: Any) -> Run:
        """A new run of this task with these arguments. Raises `InvalidInput`; no run was made then."""
        return await self._store.trigger(task.request(task.encode_call(args, kwargs), origin="program"))

    async def trigger_json(
        self,
        task: str,
        input: Any,
        *,
        idempotency_key: str | None = None,
        delay: str | float | timedelta | None = None,
        priority: int = 0,
        origin: str = "api",
    ) -> Run:
        """A run of the task with this id, its input given as a JSON object of parameters by name.

        The same `idempotency_key` returns the run it made before. Raises `TaskNotFound` (naming the nearest),
        `InvalidInput` (naming each field), `InvalidDuration` or `IdempotencyMismatch`; no run was made then.
        """
        found = self.catalog.task(task).options(idempotency_key=idempotency_key, delay=delay, priority=priority)
        return await self._store.trigger(found.request(found.encode_json(input), origin=origin))
