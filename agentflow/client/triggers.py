"""Schedules and webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow.client.holder import Holder
from agentflow.requests import Deliver, Fire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from agentflow.records import Delivery, Occurrence, Run, Schedule
    from agentflow.requests import DeclareSchedule


class Triggers(Holder):
    """What starts runs by itself."""

    async def declare_schedules(self, declared: Sequence[DeclareSchedule]) -> Sequence[Schedule]:
        """The stored schedules, those of this catalog's tasks reconciled with what is declared in code."""
        return await self._store.declare_schedules(declared, tuple(self.catalog.tasks))

    async def schedules(self) -> Sequence[Schedule]:
        """Every stored schedule, by id."""
        return await self._store.schedules()

    async def occurrences(self, schedule_id: str, *, limit: int = 20) -> Sequence[Occurrence]:
        """The schedule's latest occurrences, newest first."""
        return await self._store.occurrences(schedule_id, limit=limit)

    async def fire(self, schedule: Schedule, *, at: datetime, next_at: datetime | None) -> Run | None:
        """The run of this occurrence, or None if another scheduler had started it."""
        task = self.catalog.task(schedule.task)
        request = task.request(schedule.input, origin=f"schedule {schedule.id}")
        return await self._store.fire(Fire(schedule_id=schedule.id, fire_at=at, next_fire_at=next_at, run=request))

    async def deliver(
        self, webhook: str, task: str, input: Mapping[str, Any], *, delivery_id: str, digest: str
    ) -> Delivery:
        """The delivery, with the one run this delivery id ever starts. The caller has verified the signature.

        Raises `InvalidInput` or, for the same id with another body, `IdempotencyMismatch`; no run was made then.
        """
        found = self.catalog.task(task)
        request = found.request(found.encode_json(input), origin=f"webhook {webhook}")
        return await self._store.deliver(Deliver(webhook=webhook, delivery_id=delivery_id, digest=digest, run=request))

    async def deliveries(self, *, limit: int = 50) -> Sequence[Delivery]:
        """The latest webhook deliveries, newest first."""
        return await self._store.deliveries(limit=limit)
