"""Working off a backfill bit by bit. Whoever is killed at it loses nothing: the next look goes on at its cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentflow.clock import MICROSECOND
from schedulers.occurrences import following

if TYPE_CHECKING:
    from agentflow.client import Client
    from agentflow.records import Backfill

AT_ONCE: Final = 20
"""How many occurrences are dealt with in one look, so that what comes due meanwhile is not late."""


async def work_off(client: Client, backfill: Backfill) -> Backfill:
    """The backfill, a few occurrences further; as it was while it waits for the end of a run.

    Raises what refuses the run of an occurrence; those before it were dealt with.
    """
    schedule = await client.schedules.one(backfill.schedule_id)
    for _ in range(AT_ONCE):
        at = following(schedule, backfill.cursor - MICROSECOND)
        at = at if at is not None and at < backfill.until else None
        next_at = None if at is None else following(schedule, at)
        after = await client.schedules.advance_backfill(backfill, at=at, next_at=next_at)
        if after.finished_at is not None or after.cursor == backfill.cursor:
            return after
        backfill = after
    return backfill
