"""The pages of schedules: what comes next and what came of the rest, steering one, and filling in the past."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import task
from agentflow.client import Client
from agentflow.states import OccurrenceKind, Overlap
from agentflow.tasks.catalog import Catalog
from agentflow.tasks.schedule import Schedule
from tests.support.schedules import HOUR, declared, due, missed, plan
from tests.support.server import served
from tests.ui.conftest import Browsing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from agentflow import records
    from tests.support.server import Served
    from tests.ui.conftest import MovedClock

STRANGE = "a/b % <b>c</b> 0 9 * * *@Europe/Berlin"


@task
async def report(region: str = "eu") -> str:
    """What the schedules here start."""
    return region


@pytest.fixture
async def client(site: Served) -> Client:
    """A client that knows the task, and an hourly schedule of it that is planned."""
    client = Client(site.store, Catalog([report]))
    await client.schedules.declare([Schedule(report, "0 9 * * mon-fri", timezone="Europe/Berlin", id="nightly")])
    await plan(site.store, "nightly", site.store.now() + HOUR)
    return client


@pytest.fixture
async def able(tmp_path: Path, client: Client) -> AsyncIterator[Browsing]:
    """A browser before an inbox that knows the task and a scheduler's code."""

    def upcoming(schedule: records.Schedule, count: int) -> Sequence[datetime]:
        at = schedule.next_fire_at
        return [] if at is None else [at + n * HOUR for n in range(count)]

    async with served(tmp_path, client=client, reviewer="mia", upcoming=upcoming) as one, one.http() as http:
        yield Browsing(http)


async def fires(site: Served, id: str = "nightly", **given: Any) -> records.Occurrence:
    found = await site.store.fire(due(await site.store.schedule(id), **given))
    assert found is not None
    return found


async def test_without_schedules_the_page_says_how_to_make_one(mia: Browsing) -> None:
    page = await mia.open("/schedules")
    assert "No schedules" in page.text
    assert '@task.schedule("0 9 * * mon-fri"' in page.text


async def test_schedules_show_their_rule_what_is_next_and_what_came_of_the_latest(
    site: Served, client: Client, mia: Browsing
) -> None:
    fired = await fires(site)
    page = await mia.open("/schedules")

    for shown in (
        "at 09:00, Monday to Friday",
        "0 9 * * mon-fri",
        "Europe/Berlin",
        "On",
        "runs may overlap",
        "nightly",
    ):
        assert shown in page.text, shown
    assert "after downtime the latest" in page.text
    assert f'href="/runs/{fired.run_id}"' in page.html
    assert re.search(r"2026-11-22 14:00(:\d\d)?: Queued", page.text)


async def test_schedules_are_found_by_id_task_and_state(client: Client, mia: Browsing) -> None:
    await client.schedules.upsert(Schedule(report, "every 1h", id="tenant-7"), by="mia")
    await client.schedules.pause("tenant-7", by="mia")

    assert "tenant-7" in (await mia.open("/schedules?q=TENANT")).text
    assert "nightly" not in (await mia.open("/schedules?q=tenant")).text
    assert "nightly" in (await mia.open("/schedules?q=report")).text
    assert "nightly" not in (await mia.open("/schedules?state=paused")).text
    assert "No schedules match" in (await mia.open("/schedules?q=nothing")).text


async def test_many_schedules_come_in_pages(site: Served, mia: Browsing) -> None:
    await site.store.declare_schedules([declared(f"s{n:03}") for n in range(230)], ["report"])
    seen, path = [], "/schedules"
    while path:
        page = await mia.open(path)
        seen += re.findall(r'mono">(s\d+)<', page.html)
        following = re.search(r'rel="next" href="([^"]+)"', page.html)
        path = following.group(1).replace("&amp;", "&") if following else ""
    assert seen == [f"s{n:03}" for n in range(230)]


async def test_one_schedule_shows_its_next_ten_times_and_what_came_of_those_before(
    site: Served, able: Browsing, clock: MovedClock
) -> None:
    one = await site.store.schedule("nightly")
    assert one.next_fire_at is not None
    await site.store.miss(missed(one, 4, one.next_fire_at + 4 * HOUR))
    await fires(site, kind=OccurrenceKind.CAUGHT_UP)
    page = await able.open("/schedules/nightly")

    assert len(re.findall(r"<li><span>(Sun|Mon) 2026-11", page.html)) == 10
    for shown in ("Missed 4", "4 times from then on", "caught up", "Made: 0 9 * * mon-fri, Europe/Berlin", "code"):
        assert shown in page.text, shown
    assert "scheduler’s code" not in page.text


async def test_without_a_schedulers_code_the_next_time_is_shown_and_said_to_be_all(
    client: Client, mia: Browsing
) -> None:
    page = await mia.open("/schedules/nightly")
    assert "Further ones are shown where a scheduler’s code is at hand" in page.text
    assert len(re.findall(r"<li><span>(Sun|Mon) 2026-11", page.html)) == 1


async def test_a_schedule_is_paused_and_resumed_with_a_reason(site: Served, able: Browsing) -> None:
    page = await able.open("/schedules/nightly")
    paused = await able.post("/schedules/nightly/pause", [page.fields[0], ("reason", "<b>audit</b>")])

    assert paused.path == "/schedules/nightly"
    assert "&lt;b&gt;audit" in paused.html
    assert "Paused by mia" in paused.text
    assert (await site.store.schedule("nightly")).paused_by == "mia"
    resumed = await able.post("/schedules/nightly/resume", [page.fields[0]])
    assert "Pause the schedule" in resumed.text
    assert "Resumed" in resumed.text
    assert (await site.store.schedule("nightly")).paused_at is None


async def test_a_run_is_started_now_after_a_question(site: Served, able: Browsing) -> None:
    asked = await able.open("/schedules/nightly/trigger")
    assert "A run of report starts as the schedule would start it" in asked.text
    assert (await site.client.runs()).items == []

    started = await asked.submit()

    (run,) = (await site.client.runs()).items
    assert started.path == f"/runs/{run.id}"
    assert run.origin == "schedule nightly"
    (by_hand,) = (await site.store.occurrences("nightly")).items
    assert (by_hand.kind, by_hand.reason) == (OccurrenceKind.BY_HAND, "asked for by mia")


async def test_a_range_is_filled_in_after_a_question_and_may_be_cancelled(site: Served, able: Browsing) -> None:
    asked = await able.open("/schedules/nightly/backfill?since=2026-11-20T00:00&until=2026-11-21T00:00&overlap=queue")
    assert "from 2026-11-20 00:00 until before 2026-11-21 00:00 , Europe/Berlin" in asked.text
    assert "They run one after the other" in asked.text
    page = await asked.submit()

    (one,) = await site.store.backfills("nightly")
    assert (one.since.isoformat(), one.overlap, one.requested_by) == ("2026-11-19T23:00:00+00:00", Overlap.QUEUE, "mia")
    assert "Under way" in page.text
    ended = await able.post("/schedules/nightly/cancel-backfill", [page.fields[0], ("backfill", one.id)])
    assert "cancelled by mia" in ended.text


async def test_a_range_that_is_none_is_refused(able: Browsing) -> None:
    asked = await able.open("/schedules/nightly/backfill?since=2027-01-01T00:00&until=&overlap=allow")
    refused = await asked.submit()
    assert refused.status == 422
    assert "is no range of the past" in refused.text
    assert (await able.open("/schedules/nightly/backfill")).status == 422


async def test_a_programs_schedule_is_removed_after_a_question_and_that_of_code_is_not(
    site: Served, client: Client, able: Browsing
) -> None:
    await client.schedules.upsert(Schedule(report, "every 1h", id=STRANGE), by="tom")
    path = re.search(r'href="(/schedules/a[^"]+)"', (await able.open("/schedules")).html)
    assert path is not None
    page = await able.open(path[1])
    assert STRANGE in page.text
    assert "by tom" in page.text

    gone = await (await able.open(f"{path[1]}/remove")).submit()
    refused = await (await able.open("/schedules/nightly/remove")).submit()

    assert gone.path == "/schedules"
    assert [one.id for one in await site.store.schedules()] == ["nightly"]
    assert refused.status == 409
    assert "declared in code" in refused.text
    assert (await able.open(path[1])).status == 404


async def test_a_change_says_what_was_and_what_is(client: Client, mia: Browsing) -> None:
    await client.schedules.upsert(Schedule(report, "every 1h", id="tenant-7"), by="mia")
    await client.schedules.upsert(Schedule(report, "every 2h", id="tenant-7", spread="5m"), by="tom")
    page = await mia.open("/schedules/tenant-7")
    assert "rule every 1h → every 2h" in page.text
    assert "spread 0.0 → 300.0" in page.text


async def test_occurrences_come_in_pages(site: Served, client: Client, mia: Browsing) -> None:
    for _ in range(60):
        await fires(site, after=timedelta(minutes=1))
    first = await mia.open("/schedules/nightly")
    following = re.search(r'rel="next" href="([^"]+)"', first.html)
    assert following is not None
    second = await mia.open(following[1])
    assert len(re.findall(r'href="/runs/run_', first.html)) == 50
    assert len(re.findall(r'href="/runs/run_', second.html)) == 10
