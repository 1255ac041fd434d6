"""What code declares of queues, what operators make of them, and what is shown of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from agentflow.errors import InvalidSetting, QueueNotFound
from agentflow.limits import Limits
from agentflow.records import Run
from agentflow.requests import ChangeQueue, DeclareQueue
from agentflow.store import Store
from agentflow.testing import FakeClock
from tests.support.stores import a_trigger, claimed

MINUTE = timedelta(minutes=1)


async def declared(store: Store, name: str = "llm", **limits: Any) -> None:
    await store.declare_queues([DeclareQueue(name=name, limits=Limits(**limits))])


async def queued(store: Store, count: int = 1, *, queue: str = "llm", **given: Any) -> list[Run]:
    return list(await store.trigger_many([a_trigger(queue=queue, **given) for _ in range(count)]))


async def test_what_an_operator_changed_stays_when_the_code_is_started_again(store: Store) -> None:
    await declared(store, concurrency=5)
    await store.change_queue(ChangeQueue(name="llm", by="mia", reason="slow day", limits=Limits(concurrency=2)))

    await declared(store, concurrency=7)

    (state,) = [one for one in await store.queues() if one.name == "llm"]
    assert (state.limits, state.declared) == (Limits(concurrency=2), Limits(concurrency=7))
    assert (state.changed_by, state.reason, state.changed_at) == ("mia", "slow day", store.now())
    after = await store.change_queue(ChangeQueue(name="llm", by="tom", reason="over", reset=True))
    assert after.limits == Limits(concurrency=7)


async def test_a_program_that_only_names_a_queue_leaves_its_limits_alone(store: Store) -> None:
    await declared(store, concurrency=5)

    await store.declare_queues([DeclareQueue(name="llm", limits=None), DeclareQueue(name="new", limits=None)])

    assert {one.name: one.limits for one in await store.queues()} == {
        "default": Limits(), "llm": Limits(concurrency=5), "new": Limits(),
    }  # fmt: skip


async def test_a_changed_limit_holds_from_the_next_claim_on(store: Store) -> None:
    await declared(store, concurrency=1)
    await queued(store, 5)
    await claimed(store, limit=9)

    await store.change_queue(ChangeQueue(name="llm", by="mia", reason="", limits=Limits(concurrency=3)))

    assert len(await claimed(store, limit=9)) == 2


@pytest.mark.parametrize("queue", ["llm", "default", "just-a-name"])
async def test_of_a_paused_queue_nothing_is_taken_until_it_is_resumed(store: Store, queue: str) -> None:
    await declared(store, concurrency=5)
    await queued(store, 2, queue=queue)
    await queued(store, 1, queue="other")

    paused = await store.change_queue(ChangeQueue(name=queue, by="mia", reason="outage", paused=True))

    assert (paused.paused_at, paused.changed_by, paused.reason) == (store.now(), "mia", "outage")
    assert len(await claimed(store, limit=9)) == 1
    await store.change_queue(ChangeQueue(name=queue, by="mia", reason="", paused=False))
    assert len(await claimed(store, limit=9)) == 2


async def test_every_change_is_kept_with_who_and_why(store: Store, clock: FakeClock) -> None:
    await declared(store, concurrency=5)
    first = store.now()
    await store.change_queue(ChangeQueue(name="llm", by="mia", reason="outage", paused=True))
    clock.advance("1m")
    await store.change_queue(ChangeQueue(name="llm", by="tom", reason="less", limits=Limits(concurrency=2)))

    latest, before = await store.queue_changes("llm")

    assert (before.changed_by, before.reason, before.at, before.change) == ("mia", "outage", first, '{"paused": true}')
    assert (latest.changed_by, latest.reason) == ("tom", "less")
    assert latest.change == '{"limits": {"concurrency": 2}, "before": {"concurrency": 5}}'
    assert await store.queue_changes("llm", limit=1) == [latest]


async def test_a_queue_that_nobody_knows_cannot_be_changed(store: Store) -> None:
    await declared(store, concurrency=5)

    with pytest.raises(QueueNotFound, match=r"no queue 'lllm' was declared.*there are: default, llm"):
        await store.change_queue(ChangeQueue(name="lllm", by="mia", reason="", paused=True))
    assert await store.queue_changes("lllm") == []


async def test_the_default_queue_has_no_limits(store: Store) -> None:
    for refused in (
        store.declare_queues([DeclareQueue(name="default", limits=Limits(concurrency=1))]),
        store.change_queue(ChangeQueue(name="default", by="mia", reason="", limits=Limits(concurrency=1))),
    ):
        with pytest.raises(InvalidSetting, match="give the tasks a queue of their own"):
            await refused


async def test_queues_are_listed_with_what_is_going_on_in_them(store: Store) -> None:
    await declared(store, "idle", concurrency=2)
    await queued(store, 3, queue="busy")
    await queued(store, 2, queue="busy", delay=MINUTE)
    await queued(store, 1)
    await queued(store, 2, queue="default")
    await claimed(store, limit=1, queues=("busy",))
    await claimed(store, limit=1, queues=("default",))

    found = {one.name: (one.due, one.delayed, one.running) for one in await store.queues()}

    assert found == {"busy": (2, 2, 1), "default": (1, 0, 1), "idle": (0, 0, 0), "llm": (1, 0, 0)}
