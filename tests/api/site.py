"""A served API with something of everything in it, on a thread of its own so that synchronous clients can call it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import BaseModel

from agentflow import Queue, create_callback, step, task, wait_for_approval
from agentflow.client import Client
from agentflow.tasks.catalog import Catalog
from agentflow.tasks.schedule import Schedule
from agentflow.testing import FakeClock, Harness
from agentflow.verifiers import unverified
from approvals_ui import create_app
from approvals_ui.api.document import document_of
from schedulers import upcoming
from tests.support.server import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from litestar import Litestar

    from agentflow.records import Schedule as Stored

JSON = {"content-type": "application/json"}
START = datetime(2026, 11, 22, 12, tzinfo=UTC)
CALLBACKS: list[str] = []


class Bill(BaseModel):
    number: str
    total: int


@task.webhook("/bills", verify=unverified(id_header="x-id"))
@task
async def double(number: int, *, note: str = "") -> int:
    """Doubles a number."""
    return number * 2


@task
async def reviewing(number: str) -> Any:
    decision = await wait_for_approval(title=f"Bill {number}", data=Bill(number=number, total=9))
    return decision.data


@step
async def hand_over(token: str) -> None:
    CALLBACKS.append(token)


@task
async def asking() -> Any:
    callback = await create_callback("bank")
    await hand_over(callback.token)
    return await callback


@task.on("bill.*", id="on-bills")
@task
async def booking(number: int) -> int:
    return number


@task(queue=Queue("slow", concurrency=1))
async def failing() -> None:
    raise ValueError("no")


TASKS = (double, reviewing, asking, booking, failing)


@dataclass
class Site:
    """Where it is served, what may be sent, and what is in it: ids by the name of the parameter that takes them."""

    url: str
    app: Litestar
    token: str
    powerless: str
    ids: dict[str, list[str]] = field(default_factory=dict)

    def http(self, token: str | None = None) -> httpx.Client:
        """A program with a token, the one that may do everything unless another is given."""
        told = {"authorization": f"Bearer {self.token if token is None else token}"} if token != "" else {}
        return httpx.Client(base_url=f"{self.url}/api/v1", headers=told, timeout=60)


@contextmanager
def serving(folder: Path) -> Iterator[Site]:
    """The API over a fresh SQLite database in `folder`, filled; ended cleanly."""
    ready: threading.Event = threading.Event()
    told: dict[str, Any] = {}

    async def serve() -> None:
        told["loop"], told["done"] = asyncio.get_running_loop(), asyncio.Event()
        CALLBACKS.clear()
        async with Harness(*TASKS, path=folder / "runs.db", clock=FakeClock(START)) as harness:
            client = harness.client
            app = create_app(client, webhooks=client.catalog.webhooks, upcoming=times_of(client))
            async with running(app) as url:
                told["site"] = await filled(harness, url, app)
                ready.set()
                await told["done"].wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001  told to the test that waits
            told["error"] = error
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        ready.wait()
        if "error" in told:
            raise told["error"]
        yield told["site"]
    finally:
        if "site" in told:
            told["loop"].call_soon_threadsafe(told["done"].set)
        thread.join()
        if "error" in told:
            raise told["error"]


def document() -> dict[str, Any]:
    """The OpenAPI document, without a server or a database."""
    return document_of(create_app(Client(None, Catalog.collect(*TASKS)), dev=True))  # type: ignore[arg-type]  nobody asks it


def times_of(client: Client) -> Callable[[Stored, int], Sequence[datetime]]:
    """The next times of a schedule, as the program around the API has them worked out."""
    return lambda schedule, count: upcoming(schedule, count, client.now())


async def filled(harness: Harness, url: str, app: Litestar) -> Site:
    """Runs in every state worth the name, and one of everything that has an id."""
    client, by = harness.client, "mia"
    await client.declare_listeners()
    await client.declare_queues()
    _, token = await client.tokens.create("everything", scopes=["*"], by=by)
    _, powerless = await client.tokens.create("powerless", scopes=["costs:read"], by=by)
    spare, _ = await client.tokens.create("spare", scopes=["*"], by=by)
    ids = await with_runs(harness) | await with_triggers(client, by=by)
    standing = await client.add_standing("support", "refund", (), by=by, reason="small", hold_for="7d")
    async with httpx.AsyncClient(base_url=url) as http:
        answer = await http.post("/hooks/bills", content=b'{"number": 8}', headers=JSON | {"x-id": "d1"})
        assert answer.status_code == 202, answer.text
    [delivery] = (await client.deliveries.all()).items
    await harness.until_idle()
    ids |= {
        "standing_id": [standing.id],
        "task_id": [one.id for one in TASKS],
        "delivery_id": [delivery.id],
        "name": ["default", "slow"],
        "token": list(CALLBACKS),
        "token_id": [spare.id],
    }
    return Site(url, app, token, powerless, ids)


async def with_runs(harness: Harness) -> dict[str, list[str]]:
    """Runs that ended well and badly, wait for a person and for a callback, and stand in the queue."""
    ended = [await harness.trigger(double, 4), await harness.trigger(failing)]
    asked, called = await harness.trigger(reviewing, "7"), await harness.trigger(asking)
    await harness.trigger(asking)
    await harness.until_idle()
    client = harness.client
    queued = await client.trigger_json("double", {"number": 1}, delay="30d", tags=["late"], metadata={"n": 1})
    [approval] = (await client.approvals(run_id=asked.id)).items
    return {"run_id": [one.id for one in (*ended, asked, called, queued)], "approval_id": [approval.id]}


async def with_triggers(client: Client, *, by: str) -> dict[str, list[str]]:
    """An event, a schedule with a backfill, and a subscription that is told something."""
    event = await client.send_event("bill.made", {"number": 3}, id="bill-3", by=by)
    await client.schedules.upsert(Schedule(double, "0 9 * * *", input={"number": 1}, id="daily"), by=by)
    await client.schedules.trigger("daily", by=by)
    filling = await client.schedules.backfill("daily", since=START - timedelta(days=3), by=by)
    told = await client.subscriptions.add("https://example.test/hook", events=["run.*"], by=by)
    sent = await client.subscriptions.ping(told.id, by=by)
    return {
        "event_id": [event.id],
        "listener_id": ["on-bills"],
        "schedule_id": ["daily"],
        "backfill_id": [filling.id],
        "subscription_id": [told.id],
        "dispatch_id": [sent.id],
    }
