"""A clock that stands still until a test moves it, and short ways to what is stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from agentflow.client import Client
from agentflow.records import Occurrence
from agentflow.store import Store
from agentflow.tasks.catalog import Catalog
from agentflow.tasks.task import Task

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class HandClock:
    """Shows what it was set to."""

    def __init__(self) -> None:
        self.shows = NOON

    def now(self) -> datetime:
        return self.shows

    async def sleep(self, span: timedelta) -> None:
        self.shows += span

    def at(self, text: str) -> None:
        self.shows = datetime.fromisoformat(text)


def client_of(store: Store, *tasks: Task[..., Any]) -> Client:
    return Client(store, Catalog(tasks))


async def runs_of(client: Client, schedule_id: str) -> list[str]:
    """The fire times that started a run, oldest first."""
    return [one.fire_at.isoformat()[:19] for one in await occurrences_of(client, schedule_id) if one.run_id is not None]


async def occurrences_of(client: Client, schedule_id: str) -> list[Occurrence]:
    """Every occurrence of the schedule, oldest first."""
    return list(reversed((await client.schedules.occurrences(schedule_id, limit=1000)).items))
