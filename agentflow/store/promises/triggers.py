"""Promises about schedules and webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from agentflow.records import Delivery, Run, Schedule
    from agentflow.requests import DeclareSchedule, Deliver, Fire


class Triggers(Protocol):
    """Schedules and webhooks."""

    async def declare_schedules(
        self, declared: Sequence[DeclareSchedule], tasks: Collection[str]
    ) -> Sequence[Schedule]:
        """The stored schedules after reconciling those of `tasks`: new ones added, changed updated, missing removed."""
        ...

    async def fire(self, request: Fire) -> Run | None:
        """The run of this occurrence, or None if another scheduler had it already."""
        ...

    async def deliver(self, request: Deliver) -> Delivery:
        """The delivery and its run, new or of the same id before. `IdempotencyMismatch` if the body differs."""
        ...
