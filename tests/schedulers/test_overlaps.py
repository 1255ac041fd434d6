"""What becomes of an occurrence while a run of the same schedule is open."""

from __future__ import annotations

import pytest

from agentflow.client import Client
from agentflow.states import OPEN, OccurrenceOutcome, RunStatus
from agentflow.store import Store
from agentflow.tasks.decorating import task
from schedulers.declaring import declare
from schedulers.firing import Firing
from tests.schedulers.support import HandClock, client_of, occurrences_of, runs_of


async def looking(store: Store, overlap: str, catch_up: str = "latest") -> tuple[Client, Firing]:
    @task.schedule("0 * * * *", id="hourly", overlap=overlap, catch_up=catch_up)  # type: ignore[arg-type]
    @task
    async def report() -> None: ...

    client = client_of(store, report)
    await declare(client)
    firing = Firing(client)
    await firing.look()
    return client, firing


async def hour(firing: Firing, clock: HandClock, hour: int) -> int:
    """A look on the hour by a scheduler that was there."""
    clock.at(f"2026-03-02T{hour}:00:00Z")
    return (await firing.look()).started


async def end(client: Client) -> None:
    """End the oldest run that is open."""
    await client.cancel(min(run.id for run in (await client.runs(limit=200)).items if run.status in OPEN), by="mia")


async def outcomes(client: Client) -> list[str]:
    return [one.outcome.value for one in await occurrences_of(client, "hourly")]


async def test_allowed_they_run_beside_each_other(store: Store, clock: HandClock) -> None:
    client, firing = await looking(store, "allow")
    assert [await hour(firing, clock, at) for at in (13, 14, 15)] == [1, 1, 1]
    assert await outcomes(client) == ["started"] * 3


async def test_skipped_an_occurrence_is_written_down_with_the_run_that_was_open(store: Store, clock: HandClock) -> None:
    client, firing = await looking(store, "skip")
    assert [await hour(firing, clock, at) for at in (13, 14)] == [1, 0]
    first, second = await occurrences_of(client, "hourly")
    assert (second.outcome, second.reason) == (OccurrenceOutcome.SKIPPED, f"run {first.run_id} was open")
    await end(client)
    assert await hour(firing, clock, 15) == 1
    assert await outcomes(client) == ["started", "skipped", "started"]


async def test_queued_they_start_one_after_the_other_as_soon_as_the_one_before_has_ended(
    store: Store, clock: HandClock
) -> None:
    client, firing = await looking(store, "queue")
    assert [await hour(firing, clock, at) for at in (13, 14, 15)] == [1, 0, 0]
    assert await outcomes(client) == ["started", "queued", "queued"]
    assert (await firing.look()).started == 0
    await end(client)
    assert [(await firing.look()).started for _ in range(2)] == [1, 0]
    assert await outcomes(client) == ["started", "started", "queued"]
    await end(client)
    assert (await firing.look()).started == 1
    assert await runs_of(client, "hourly") == [f"2026-03-02T{at}:00:00" for at in (13, 14, 15)]


async def test_what_is_queued_of_a_paused_schedule_waits(store: Store, clock: HandClock) -> None:
    client, firing = await looking(store, "queue")
    assert [await hour(firing, clock, at) for at in (13, 14)] == [1, 0]
    await client.schedules.pause("hourly", by="mia")
    await end(client)
    assert (await firing.look()).started == 0
    await client.schedules.resume("hourly", by="mia")
    assert (await firing.look()).started == 1


async def test_cancelled_the_open_run_ends_before_the_next_one_starts(store: Store, clock: HandClock) -> None:
    client, firing = await looking(store, "cancel")
    assert [await hour(firing, clock, at) for at in (13, 14)] == [1, 1]
    newest, oldest = (await client.runs()).items
    assert (oldest.status, newest.status) == (RunStatus.CANCELLED, RunStatus.QUEUED)
    entries = [entry for entry in await client.journal(oldest.id) if "schedule hourly" in str(entry)]
    assert entries


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        ("allow", ["started"] * 3),
        ("skip", ["started", "skipped", "skipped"]),
        ("queue", ["started", "queued", "queued"]),
        ("cancel", ["started"] * 3),
    ],
)
async def test_what_is_caught_up_overlaps_as_the_rest_does(
    store: Store, clock: HandClock, overlap: str, expected: list[str]
) -> None:
    client, firing = await looking(store, overlap, "all(3)")
    clock.at("2026-03-02T15:30:00Z")
    await firing.look()
    assert await outcomes(client) == expected
    assert sum(run.status in OPEN for run in (await client.runs()).items) == (3 if overlap == "allow" else 1)
