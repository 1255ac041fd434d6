"""Queues, keys, costs and what becomes of further triggers, as tasks declare them and workers keep them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from agentflow import (
    AgentFlow,
    Batch,
    Budget,
    Debounce,
    InvalidInput,
    Limits,
    Queue,
    QueueFull,
    RunFailed,
    task,
    wait_for_approval,
)
from agentflow.errors import DefinitionError, InvalidSetting
from agentflow.requests import ClaimRuns, Completed
from agentflow.states import RunStatus
from agentflow.tasks.catalog import Catalog
from tests.runtime.conftest import OpenHarness

NARROW = Queue("narrow", concurrency=1)


@task(queue=NARROW)
async def asking(name: str) -> str:
    decision = await wait_for_approval(data={"name": name}, title=name)
    return f"{name} {decision.outcome}"


async def test_a_run_that_waits_for_a_person_lets_others_run(harness: OpenHarness) -> None:
    async with harness(asking) as h:
        first, second = await h.trigger(asking, "a"), await h.trigger(asking, "b")

        assert {one.title for one in await h.approvals()} == {"a", "b"}
        for one in await h.approvals():
            await h.approve(one)
        assert (await h.result(first), await h.result(second)) == ("a approved", "b approved")


async def test_runs_start_as_fast_as_their_rate_allows_and_no_faster(live: OpenHarness) -> None:
    @task(queue=Queue("mails", rate="2/min"))
    async def mail(n: int) -> int:
        return n

    async with live(mail) as h:
        made = [await h.trigger(mail, n) for n in range(5)]
        done = []
        for _ in range(4):
            done.append(sum([await h.status(one) == "completed" for one in made]))
            await h.advance("30s")

    assert done == [2, 2, 4, 4]


async def test_why_names_the_limit_that_holds_a_run_back(live: OpenHarness) -> None:
    @task(queue=Queue("mails", rate="1/min"))
    async def mail(n: int) -> int:
        return n

    async with live(mail) as h:
        await h.trigger(mail, 1)
        late = await h.trigger(mail, 2)
        await h.until_idle()
        h.clock.advance("48s")
        assert await h.why(late) == "rate of 1 per 1m reached in queue 'mails', next start in 12s"

        await h.client.pause_queue("mails", by="mia", reason="outage")
        await h.client.set_queue_limits("mails", Limits(), by="tom")
        paused = "queue 'mails' is paused by mia: outage; it goes on when somebody resumes the queue"
        assert await h.why(late) == paused
        await h.client.resume_queue("mails", by="mia")
        assert await h.status(late) == "completed"


async def test_why_counts_what_runs_in_the_queue_and_of_the_key(live: OpenHarness) -> None:
    @task(queue=Queue("llm", concurrency=20, per_key=2), queue_key="customer")
    async def ask(customer: str) -> None: ...

    async with live(ask) as h:
        await h.worker.stop()
        store = h.app.store
        worker = await store.register_worker(host="x", pid=1, started="", lease_for=timedelta(hours=1), tasks=["ask@*"])
        runs = [await h.trigger(ask, "acme") for _ in range(3)]
        await store.claim(ClaimRuns(worker_id=worker.id, tasks=("ask",), limit=9))
        said = await h.why(runs[2])
        await h.client.set_queue_limits("llm", Limits(concurrency=2), by="mia")
        then = await h.why(runs[2])

    assert said == "key 'acme' has 2 of 2 running in queue 'llm'; it starts when one of them ends"
    assert then == "queue 'llm' runs 2 of 2; it starts when one of them ends"


async def test_keys_and_costs_are_read_from_the_arguments(live: OpenHarness) -> None:
    @task(
        queue=Queue("llm", budget=Budget("tokens", "1000/min")),
        queue_key=lambda customer: customer.upper(),
        cost=lambda text, customer: len(text) + len(customer),
    )
    async def ask(customer: str, text: str = "hello") -> None: ...

    @task(queue="llm", queue_key="number", cost=3)
    async def count(number: int) -> None: ...

    async with live(ask, count) as h:
        read = await h.trigger(ask, "acme")
        by_json = await h.client.trigger_json("ask", {"customer": "b", "text": "xy"})
        plain = await h.trigger(count, 7)
        given = await h.trigger(count.options(queue_key="other", cost=9), 7)

    assert [(one.queue_key, one.cost) for one in (read, by_json, plain, given)] == [
        ("ACME", 9), ("B", 3), ("7", 3), ("other", 9),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"queue_key": lambda order: order["customer"]}, "KeyError: 'customer'"),
        ({"queue_key": lambda _: None}, "found None; wanted a text of 1 to 200"),
        ({"queue_key": lambda _: True}, "found True; wanted a text"),
        ({"queue_key": lambda _: ""}, "found ''; wanted a text"),
        ({"queue_key": "order"}, "wanted a text"),
        ({"cost": lambda _: "3"}, "found '3'; wanted a whole number"),
        ({"cost": lambda _: -1}, "found -1; wanted a whole number, 0 or more"),
        ({"singleton": "skip", "singleton_key": lambda _: 1 / 0}, "ZeroDivisionError"),
        ({"debounce": Debounce("1s", key=lambda _: 1.5)}, "found 1.5"),
    ],
)
async def test_a_function_of_the_arguments_that_fails_makes_no_run(live: OpenHarness, options: Any, said: str) -> None:
    @task(queue="q", **options)
    async def take(order: dict[str, str]) -> None: ...

    async with live(take) as h:
        with pytest.raises(InvalidInput, match=said):
            await h.trigger(take, {"a": "b"})
        assert (await h.client.runs()).items == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"queue": Queue("default")} | {"queue_key": "nobody"}, "none of its parameters"),
        (
            {"queue_key": lambda nobody, other: nobody + other},
            "takes nobody, other; wanted some of the task's parameters",
        ),
        ({"queue_key": 7}, "wanted a parameter's name"),
        ({"cost": True}, "cost is True"),
        ({"cost": -1}, "cost is -1"),
        ({"cost": 1.5}, "cost is 1.5"),
        ({"ttl": "0s"}, "longer than nothing"),
        ({"ttl": "-1s"}, "ttl|no span"),
        ({"priority": "high"}, "priority is 'high'"),
        ({"priority": True}, "priority is True"),
        ({"singleton": "maybe"}, "skip"),
        ({"singleton_key": "order"}, "needs singleton="),
        ({"singleton": "skip", "debounce": Debounce("1s")}, "give one of them"),
        ({"batch": Batch(3, "1s"), "debounce": Debounce("1s")}, "give one of them"),
        ({"debounce": "5s"}, "wanted a Debounce"),
        ({"queue": "a queue"}, "no name of a queue"),
        ({"queue": ""}, "no name of a queue"),
    ],
)
def test_what_cannot_work_is_refused_where_it_is_written(options: Any, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):

        @task(**options)
        async def take(order: str) -> None: ...


def test_an_unknown_option_is_no_option() -> None:
    with pytest.raises(TypeError, match="quue_key"):

        @task(quue_key="order")  # type: ignore[call-overload]
        async def take(order: str) -> None: ...

    with pytest.raises(TypeError, match="dely"):
        asking.options(dely="5s")  # type: ignore[call-arg]


def test_queues_that_disagree_cannot_be_served_together() -> None:
    @task(queue=Queue("llm", concurrency=2))
    async def one() -> None: ...

    @task(queue=Queue("llm", concurrency=3))
    async def other() -> None: ...

    @task(queue=Queue("a", budget=Budget("tokens", "5/s")))
    async def small() -> None: ...

    @task(queue=Queue("b", budget=Budget("tokens", "6/s")))
    async def large() -> None: ...

    with pytest.raises(DefinitionError, match=r"'llm' is declared twice.*3 at a time; 2 at a time"):
        Catalog.collect(one, other)
    with pytest.raises(DefinitionError, match="budget 'tokens' is 6 per 1s in queue 'b' and 5 per 1s in queue 'a'"):
        Catalog.collect(small, large)


async def test_a_program_that_only_triggers_declares_its_queues_too(tmp_path: Any) -> None:
    @task(queue=Queue("small", backlog=1))
    async def take() -> None: ...

    async with AgentFlow(take, database=f"sqlite:///{tmp_path}/runs.db", worker=False) as app:
        await take.trigger()
        with pytest.raises(QueueFull):
            await take.trigger()
        assert [one.name for one in await app.client.queues()] == ["default", "small"]


async def test_a_worker_takes_the_next_run_as_soon_as_another_program_ends_one(tmp_path: Any) -> None:
    """It is told by nobody: it notices the commit."""

    @task(queue=NARROW)
    async def take(n: int) -> int:
        return n

    url = f"sqlite:///{tmp_path}/runs.db"
    async with AgentFlow(take, database=url, worker=False) as elsewhere:
        other = await elsewhere.store.register_worker(host="x", pid=1, started="", lease_for=timedelta(hours=1))
        await take.trigger(1)
        [held] = await elsewhere.store.claim(ClaimRuns(worker_id=other.id, tasks=("take",), limit=1))
        async with AgentFlow(take, database=url) as app:
            run = await app.client.trigger(take, 2)
            assert app.worker is not None
            await app.worker.until_idle()
            assert (await app.client.run(run.id)).status is RunStatus.QUEUED
            await elsewhere.store.finish(held.lease, Completed("1"))
            assert (await app.client.result(run.id)).output == "2"


async def test_a_run_that_expires_fails_who_waits_for_it(live: OpenHarness) -> None:
    @task(queue=NARROW, ttl="1m")
    async def short(n: int) -> int:
        return n

    @task
    async def parent() -> int:
        return await short.trigger_and_wait(1)

    async with live(short, parent) as h:
        await h.client.pause_queue("narrow", by="mia")
        run = await h.trigger(parent)
        await h.advance("61s")
        with pytest.raises(RunFailed, match="expired"):
            await h.result(run)
        (child,) = (await h.client.runs(parent_id=run.id)).items
        assert child.status is RunStatus.EXPIRED
        assert "no worker had started it" in await h.why(child)


async def test_options_say_when_a_run_starts_and_has_to_end(live: OpenHarness) -> None:
    @task(priority=5, max_duration="1h", ttl="10m")
    async def take() -> None: ...

    async with live(take) as h:
        now = h.clock.now()
        at = await h.trigger(take.options(at=now + timedelta(hours=1), deadline=now + timedelta(hours=3)))
        soon = await h.trigger(take.options(deadline="5m", priority=0, ttl="1m"))
        usual = await h.trigger(take)

    assert (at.available_at, at.deadline_at) == (now + timedelta(hours=1), now + timedelta(hours=2))
    assert (soon.available_at, soon.deadline_at, soon.expires_at) == (
        now, now + timedelta(minutes=5), now + timedelta(minutes=1),
    )  # fmt: skip
    assert (usual.available_at, usual.expires_at) == (now - timedelta(seconds=5), now + timedelta(minutes=10))


@pytest.mark.parametrize(
    "options",
    [
        {"delay": "1s", "at": "later"},
        {"at": "2026-01-01"},
        {"deadline": "0s"},
        {"priority": 1.5},
        {"queue_key": ""},
        {"queue_key": "x" * 201},
        {"cost": True},
        {"singleton": "never"},
        {"on_parent_close": "adopt"},
        {"idempotency_key": ""},
    ],
)
def test_options_that_cannot_be_are_refused(options: Any) -> None:
    with pytest.raises(InvalidSetting):
        asking.options(**options)


async def test_options_that_contradict_the_definition_make_no_run(live: OpenHarness) -> None:
    @task(debounce=Debounce("5s"))
    async def index(n: int) -> None: ...

    async with live(index) as h:
        for options in ({"idempotency_key": "k"}, {"delay": "5s"}, {"singleton": "skip"}):
            with pytest.raises(InvalidSetting):
                await h.trigger(index.options(**options), 1)  # type: ignore[arg-type]
        with pytest.raises(InvalidSetting, match="needs singleton="):
            await h.trigger(asking.options(singleton_key="x"), "a")
        assert (await h.client.runs()).items == []
