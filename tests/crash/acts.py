"""What somebody does with a database, as acts that one process performs and may be killed in."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from agentflow.requests import ReceiveDelivery
from agentflow.states import DeliveryOutcome
from agentflow.tasks.schedule import Schedule
from agentflow.worker import hosts
from tests.crash.programs import opened, short, trigger
from tests.support.ledger import note

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from multiprocessing.connection import Connection

    from agentflow import AgentFlow

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MUCH = 100


def perform(channel: Connection, database: str, name: str, *given: Any) -> None:
    """The act of this name, by a process that has a worker if the act needs one."""

    async def main() -> None:
        options, act = ACTS[name]
        async with opened(database, **options) as app:
            await act(app, *given)

    asyncio.run(main())
    channel.send("performed")


async def trigger_one(app: AgentFlow, task_id: str, n: int) -> None:
    await trigger(app.client, task_id, {"n": n})


async def trigger_another(app: AgentFlow, task_id: str, n: int) -> None:
    await trigger(app.client, task_id, {"n": n}, key="another")


async def trigger_with(app: AgentFlow, task_id: str, given: dict[str, Any]) -> None:
    await trigger(app.client, task_id, given)


async def trigger_keyed(app: AgentFlow, task_id: str, given: dict[str, Any], key: str) -> None:
    await trigger(app.client, task_id, given, key=key)


async def trigger_poison(app: AgentFlow, how: str) -> None:
    await trigger(app.client, "poison", {"how": how}, key="poison")


async def trigger_three(app: AgentFlow) -> None:
    handles = await short.batch_trigger([(1,), (2,), (3,)])
    for handle in handles:
        note("TRIGGERED", handle.id)


async def see_it_end(app: AgentFlow, task_id: str, n: int) -> None:
    await app.client.result(await trigger(app.client, task_id, {"n": n}))


async def see_it_park(app: AgentFlow, task_id: str, n: int) -> None:
    await _reach(app, await trigger(app.client, task_id, {"n": n}), "waiting")


async def see_it_need_attention(app: AgentFlow, task_id: str, n: int) -> None:
    await _reach(app, await trigger(app.client, task_id, {"n": n}), "needs_attention")


async def see_it_rest(app: AgentFlow, task_id: str, n: int) -> None:
    await _reach(app, await trigger(app.client, task_id, {"n": n}), "needs_attention", "completed")


async def _reach(app: AgentFlow, run_id: str, *statuses: str) -> None:
    async for _ in app.client.changes():
        if (await app.client.run(run_id)).status in statuses:
            return


async def see_all_end(app: AgentFlow) -> None:
    async for _ in app.client.changes():
        if all(run.is_finished for run in (await app.client.runs(limit=MUCH)).items):
            return


async def look_after_leases(app: AgentFlow) -> None:
    """What a worker does when it starts, by itself."""
    await app.store.bury([worker.id for worker in await app.store.workers() if hosts.is_dead(worker)])
    await app.store.sweep(limit=MUCH, max_recoveries=MUCH)


async def decide(app: AgentFlow) -> None:
    [approval] = (await app.client.approvals(pending=None)).items
    made = await app.client.decide(approval.id, "approve", by="the test", decision_id="dec-1")
    note("DECIDED", made.id)


async def expire(app: AgentFlow) -> None:
    await app.store.expire(limit=MUCH)


async def cancel(app: AgentFlow) -> None:
    [run] = (await app.client.runs()).items
    note("CANCELLED", (run if run.is_finished else await app.client.cancel(run.id, by="the test")).id)


async def resume(app: AgentFlow) -> None:
    [run] = (await app.client.runs()).items
    if run.status == "needs_attention":
        await app.client.resume(run.id, by="the test")


async def declare(app: AgentFlow) -> None:
    await app.client.schedules.declare([Schedule(short, "0 12 * * *", id="daily", input={"n": 3})])


async def upsert(app: AgentFlow) -> None:
    await app.client.schedules.upsert(Schedule(short, "0 12 * * *", id="daily", input={"n": 3}), by="the test")


async def plan(app: AgentFlow) -> None:
    for schedule in await app.client.schedules.all():
        await app.client.schedules.plan(schedule, AT)


async def fire(app: AgentFlow) -> None:
    [schedule] = await app.client.schedules.all()
    fired = await app.client.schedules.fire(schedule, at=AT, next_at=AT + DAY)
    if fired is not None and fired.run_id is not None:
        note("FIRED", fired.run_id)


async def fire_by_hand(app: AgentFlow) -> None:
    if not (await app.client.runs()).items:
        await app.client.schedules.trigger("daily", by="the test")


async def start_queued(app: AgentFlow) -> None:
    for occurrence in await app.client.schedules.queued():
        await app.client.schedules.start_queued(occurrence)


async def miss(app: AgentFlow) -> None:
    [schedule] = await app.client.schedules.all()
    await app.client.schedules.miss(schedule, at=AT, count=3, next_at=AT + 3 * DAY)


async def remove(app: AgentFlow) -> None:
    for schedule in await app.client.schedules.all():
        await app.client.schedules.remove(schedule.id, by="the test")


async def backfill(app: AgentFlow) -> None:
    if not await app.client.schedules.backfills("daily"):
        await app.client.schedules.backfill("daily", since=AT - DAY, until=AT, by="the test")


async def fill_in(app: AgentFlow) -> None:
    for backfill in await app.client.schedules.open_backfills():
        await app.client.schedules.advance_backfill(backfill, at=backfill.cursor, next_at=backfill.cursor + DAY)


def _received(**given: Any) -> ReceiveDelivery:
    started = {"run": short.request(short.encode_json({"n": 3}), origin="webhook /hook")}
    about = {"webhook": "/hook", "delivery_id": "dlv-1", "digest": "d", "headers": "[]", "body": '{"n": 3}'}
    return ReceiveDelivery(**about | (given or started))


async def deliver(app: AgentFlow) -> None:
    receipt = await app.client.deliveries.receive(_received())
    note("DELIVERED", receipt.delivery.delivery_id)


async def refuse(app: AgentFlow) -> None:
    await app.client.deliveries.receive(_received(outcome=DeliveryOutcome.REFUSED, reason="no such order"))


async def nothing(app: AgentFlow) -> None:
    """Open and close."""


ALONE: dict[str, Any] = {"worker": False}
WORKING: dict[str, Any] = {"worker": True}
LATER: dict[str, Any] = {"ahead": 2.0}
ACTS: dict[str, tuple[dict[str, Any], Callable[..., Awaitable[None]]]] = {
    "trigger_one": (ALONE, trigger_one),
    "trigger_another": (ALONE, trigger_another),
    "trigger_with": (ALONE, trigger_with),
    "trigger_keyed": (ALONE, trigger_keyed),
    "trigger_poison": (ALONE, trigger_poison),
    "trigger_three": (ALONE, trigger_three),
    "see_it_end": (WORKING, see_it_end),
    "see_it_end_later": (WORKING | LATER, see_it_end),
    "see_it_park": (WORKING, see_it_park),
    "see_it_need_attention": (WORKING, see_it_need_attention),
    "see_it_rest": (WORKING, see_it_rest),
    "see_all_end": (WORKING, see_all_end),
    "look_after_leases": (ALONE, look_after_leases),
    "decide": (ALONE, decide),
    "expire_later": (ALONE | LATER, expire),
    "cancel": (ALONE, cancel),
    "resume": (ALONE, resume),
    "declare": (ALONE, declare),
    "upsert": (ALONE, upsert),
    "plan": (ALONE, plan),
    "fire": (ALONE, fire),
    "fire_by_hand": (ALONE, fire_by_hand),
    "start_queued": (ALONE, start_queued),
    "miss": (ALONE, miss),
    "remove": (ALONE, remove),
    "backfill": (ALONE, backfill),
    "fill_in": (ALONE, fill_in),
    "deliver": (ALONE, deliver),
    "refuse": (ALONE, refuse),
    "open_and_close": (WORKING, nothing),
}
