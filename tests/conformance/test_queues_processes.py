"""The limits of a queue hold exactly while several processes claim and finish its runs at once."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from itertools import pairwise

from agentflow.limits import Budget, Limits, Rate
from agentflow.requests import DeclareQueue, RunFilter
from agentflow.states import RunStatus
from tests.store.programs import programs
from tests.support.stores import Database, a_trigger

# Each program claims and finishes until nothing is left, and says how many it ever saw running, in all and of a key.
WORK = """
import asyncio, json, sys
from collections import Counter
from datetime import timedelta
from agentflow.requests import ClaimRuns, Completed, RunFilter
from agentflow.states import RunStatus
from agentflow.store import open_store
async def main():
    store = await open_store(sys.argv[1])
    worker = await store.register_worker(host=sys.argv[2], pid=1, started="", lease_for=timedelta(hours=1))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    most, of_key, mine, done, held = 0, 0, 0, [], []
    while True:
        taken = await store.claim(ClaimRuns(worker_id=worker.id, tasks=("review",), limit=5))
        held += taken
        mine = max(mine, len(held))
        running = (await store.runs(RunFilter(statuses=[RunStatus.RUNNING], limit=200))).items
        most = max(most, len(running))
        of_key = max([of_key, *Counter(run.queue_key for run in running).values()])
        if held:
            one = held.pop(0)
            await store.finish(one.lease, Completed("1"))
            done.append(one.run.id)
        elif not (await store.runs(RunFilter(statuses=[RunStatus.QUEUED], limit=1))).items or sys.argv[3] == "once":
            break
    print(json.dumps({"most": most, "of_key": of_key, "mine": mine, "done": done}))
    await store.close()
asyncio.run(main())
"""
COUNT = 60


async def test_no_process_ever_sees_more_running_than_the_limits_allow(database: Database) -> None:
    store = await database.open()
    await store.declare_queues([DeclareQueue(name="llm", limits=Limits(concurrency=4, per_key=2, per_worker=3))])
    made = await store.trigger_many([a_trigger(queue="llm", queue_key=f"k{n % 3}") for n in range(COUNT)])
    # The claimed runs are due by the clock of this test, long before now by that of the programs.
    with programs(WORK, *((database.url, name, "all") for name in "abc")) as started:
        for program in started:
            assert await program.line() == "ready"
        for program in started:
            program.go_on()
        said = [json.loads(await program.output()) for program in started]

    assert sorted(one for each in said for one in each["done"]) == sorted(run.id for run in made)
    assert max(each["most"] for each in said) == 4
    assert max(each["of_key"] for each in said) <= 2
    assert max(each["mine"] for each in said) <= 3


async def test_no_more_start_than_a_rate_and_a_budget_allow(database: Database) -> None:
    store = await database.open()
    limits = Limits(rate=Rate(25, timedelta(hours=1)), budget=Budget("tokens", "30/h"))
    await store.declare_queues([DeclareQueue(name="llm", limits=limits)])
    await store.trigger_many([a_trigger(queue="llm", cost=1 + n % 2) for n in range(COUNT)])
    with programs(WORK, *((database.url, name, "once") for name in "abc")) as started:
        for program in started:
            assert await program.line() == "ready"
        for program in started:
            program.go_on()
        said = [json.loads(await program.output()) for program in started]

    ended = (await store.runs(RunFilter(statuses=[RunStatus.COMPLETED], limit=200))).items
    assert len(ended) == sum(len(each["done"]) for each in said)
    assert 29 <= sum(run.cost for run in ended) <= 30
    assert len(ended) == 20


async def test_fair_shares_are_kept_by_all_processes_together(database: Database) -> None:
    store = await database.open()
    await store.declare_queues([DeclareQueue(name="llm", limits=Limits(concurrency=1, fair=True))])
    made = await store.trigger_many([a_trigger(queue="llm", queue_key="a") for _ in range(20)])
    made = [*made, *await store.trigger_many([a_trigger(queue="llm", queue_key="b") for _ in range(20)])]
    with programs(WORK, *((database.url, name, "all") for name in "ab")) as started:
        for program in started:
            assert await program.line() == "ready"
        for program in started:
            program.go_on()
        for program in started:
            await program.output()

    # One at a time, so they ended in the order in which they were taken; each process tells the time for itself.
    ended = {run.id: (await store.entries(run.id))[-1].id for run in made}
    order = [run.queue_key for run in sorted(made, key=lambda run: ended[run.id])]
    assert Counter(order) == {"a": 20, "b": 20}
    assert all(before != after for before, after in pairwise(order))
