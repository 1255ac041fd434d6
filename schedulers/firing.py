"""Starting what has come due. Any number of schedulers may do so at once: the store lets each time start one run."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentflow.errors import StoreError
from schedulers.occurrences import due

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agentflow.client import Client
    from agentflow.records import Schedule
    from schedulers.occurrences import Due

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Firing:
    """One scheduler's looks at the schedules. `reported` holds why a schedule starts no runs, so it is said once."""

    client: Client
    reported: dict[str, str] = field(default_factory=dict)

    async def look(self, *, since: datetime | None = None) -> int:
        """Start what has come due, as `due` says; how many runs this call started.

        A schedule that cannot start runs (its task is not known here, its input no longer fits) is logged and stays
        due; the others go on. Raises `StoreError` where the store is out of reach; what was started before that stands.
        """
        now = self.client.now()
        started = 0
        for schedule in await self.client.schedules():
            try:
                started += await self._start(schedule, list(due(schedule, now, since=since)))
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001  whatever is wrong with one schedule must not stop the others
                self._report(schedule, error)
            else:
                self.reported.pop(schedule.id, None)
        return started

    async def _start(self, schedule: Schedule, occurrences: Sequence[Due]) -> int:
        if not occurrences:
            return 0
        self._require_fit(schedule)
        if schedule.next_fire_at is not None and occurrences[0].at > schedule.next_fire_at:
            logger.warning(
                "schedule %s was not looked at from %s on; of what it missed, only the occurrence at %s starts a run",
                schedule.id,
                schedule.next_fire_at,
                occurrences[0].at,
            )
        runs = [await self.client.fire(schedule, at=one.at, next_at=one.next_at) for one in occurrences]
        return sum(run is not None for run in runs)

    def _require_fit(self, schedule: Schedule) -> None:
        """Raise what is wrong with the stored input: a run of it would fail each time, where fewer people look."""
        task = self.client.catalog.task(schedule.task)
        args, kwargs = task.signature.decode(schedule.input)
        task.signature.validate(args, kwargs)

    def _report(self, schedule: Schedule, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        if self.reported.get(schedule.id) != reason:
            self.reported[schedule.id] = reason
            logger.error("schedule %s starts no runs: %s", schedule.id, reason)


async def fire_due(client: Client) -> int:
    """Start what has come due, once; how many runs this call started. See `Firing.look`."""
    return await Firing(client).look()
