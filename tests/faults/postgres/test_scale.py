"""Much at once, many processes, and operators at work: everything is done once, and nobody is kept from it for long."""

from __future__ import annotations

import asyncio
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from agentflow import AgentFlow, sleep, task
from agentflow.client import Client
from agentflow.requests import TriggerRun
from agentflow.store import open_store
from agentflow.tasks.catalog import Catalog
from tests.crash.acts import perform
from tests.crash.programs import call_and_decide, mixed_result, settings, work
from tests.crash.scenes import ServerScene, made_on_server
from tests.support.checker import ServerDatabase, check
from tests.support.clusters import Cluster, run
from tests.support.pooler import Pooler
from tests.support.processes import first_ended, until
from tests.support.proxy import Act, Proxy
from tests.support.stores import a_decision, a_gate, a_timer, a_worker, claimed
from tests.support.stores import until as until_so

if TYPE_CHECKING:
    from pathlib import Path

    from agentflow.store import Store
    from tests.support.checker import Tables

MANY = 10_000 if os.environ.get("AGENTFLOW_TEST_LONG") else 1_000
RESTARTS = 4
ENDED = "SELECT count(*) FROM agentflow_run WHERE finished_at IS NOT NULL"


@task
async def naps_briefly(n: int) -> int:
    await sleep("1s")
    return n


@task
async def urgent(n: int) -> int:
    return n


async def parked(store: Store, count: int, opening: Any) -> None:
    """So many runs of `naps_briefly`, parked on what `opening` gives for each."""
    await store.trigger_many([TriggerRun(task="naps_briefly", version="1", input='{"n":1}')] * count)
    worker = await a_worker(store, host="elsewhere")
    leases = await claimed(store, worker=worker, limit=count, task="naps_briefly")
    assert len(leases) == count
    waits = [opening(store) for _ in leases]
    await asyncio.gather(*(store.park(lease, [wait], [wait.key]) for lease, wait in zip(leases, waits, strict=True)))
    await store.retire_worker(worker)


async def test_thousands_of_timers_due_at_once_are_drained_by_several_workers_and_urgent_work_goes_first(
    tables: Tables, database: str, server: Cluster
) -> None:
    """F111, after a downtime: every timer is overdue when the first worker starts."""
    url = server.url(database)
    store = await open_store(url)
    await parked(store, MANY, lambda store: a_timer(store, after=timedelta(milliseconds=1)))
    new = TriggerRun(task="urgent", version="1", input='{"n":2}', priority=3600)
    both = (naps_briefly, urgent)
    async with AgentFlow(*both, database=url), AgentFlow(*both, database=url):
        added = await store.trigger(new)
        async for _ in store.changes():
            if tables.value(ENDED) == MANY + 1:
                break
    await store.close()
    after = (
        "SELECT count(*) FROM agentflow_run WHERE finished_at > (SELECT finished_at FROM agentflow_run WHERE id = ?)"
    )
    assert tables.value(after, added.id) > MANY / 4, "it waited for all of them"
    resolved = "SELECT count(*) FROM agentflow_journal WHERE kind = 'succeeded' AND key = 'sleep#1'"
    assert tables.value(resolved) == MANY
    assert tables.value("SELECT max(epoch) FROM agentflow_run") == 2


async def test_thousands_of_approvals_that_are_decided_at_once_by_two_programs_are_decided_once(
    tables: Tables, database: str, server: Cluster
) -> None:
    """F112. Each decision is in the journal of its run, and each run is woken."""
    one, other = [await open_store(server.url(database)) for _ in range(2)]
    await parked(one, MANY, a_gate)
    ids = [row["id"] for row in tables.rows("SELECT id FROM agentflow_approval")]
    made = await asyncio.gather(
        *(store.decide(a_decision(approval_id)) for store in (one, other) for approval_id in ids)
    )
    assert sum(not decision.repeated for decision in made) == MANY
    assert tables.value("SELECT count(*) FROM agentflow_decision") == MANY
    assert tables.value("SELECT count(*) FROM agentflow_journal WHERE kind = 'wait_resolved'") == MANY
    assert tables.value("SELECT count(*) FROM agentflow_run WHERE status = 'queued'") == MANY
    for store in (one, other):
        await store.close()


def test_ten_processes_that_start_at_once_migrate_once(cluster: Cluster, tmp_path: Path) -> None:
    """F58."""
    scene = made_on_server(tmp_path / "scene", cluster.create("empty"))
    with ExitStack() as running:
        starting = [running.enter_context(scene.start(perform, "open_and_close")) for _ in range(10)]
        assert {child.ended() for child in starting} == {0}
    assert scene.database.value("SELECT count(*) FROM agentflow_schema") == 1
    assert "ERROR" not in cluster.log()


def test_workers_that_are_restarted_one_after_the_other_all_the_time_lose_nothing(scene: ServerScene) -> None:
    """F113 and F115: each is asked to end, ends with 0, and another takes its place."""
    numbers = list(range(24))
    with ExitStack() as running:
        workers = [running.enter_context(scene.start(work, {})) for _ in range(3)]
        caller = running.enter_context(scene.start(call_and_decide, numbers))
        restarts = 0
        while first_ended([caller], within=0.15) is None or restarts < RESTARTS:
            if not caller.is_alive():
                assert caller.ended() == 0
                numbers += range(len(numbers), len(numbers) + 24)
                caller = running.enter_context(scene.start(call_and_decide, numbers))
            oldest = workers.pop(0)
            oldest.hear()
            oldest.send(signal.SIGTERM)
            workers.append(running.enter_context(scene.start(work, {})))
            assert oldest.ended() == 0
            restarts += 1
        assert caller.ended() == 0
    assert scene.database.value("SELECT max(recoveries) FROM agentflow_run") == 0, "a clean end costs no recovery"
    scene.check(results={f"mixed {n}": mixed_result(n) for n in numbers}, recovered=False)


# -- hints that do not come


async def test_a_listening_connection_that_dies_silently_costs_no_more_than_the_next_look(
    proxy: Proxy, database: str, server: Cluster
) -> None:
    """F120: it stays open and carries nothing any more, and nobody is told."""
    client_store = await open_store(server.url(database))
    rule = proxy.strike(lambda one: one.text.startswith("LISTEN"), Act.HUSH)
    async with AgentFlow(naps_briefly, database=proxy.url(database)) as app:
        await until_so(lambda: rule.struck)
        ended = await Client(client_store, Catalog.collect(naps_briefly)).trigger(naps_briefly, 1)
        found = await app.client.result(ended.id, timeout=60)
    await client_store.close()
    assert found.output == "1"


def test_through_a_transaction_pooler_every_run_ends_as_if_undisturbed(scene: ServerScene, server: Cluster) -> None:
    """F120: nothing that a session keeps is there for the next transaction."""
    name = scene.address.rpartition("/")[2]
    numbers = list(range(6))
    with Pooler(server.host, server.port, size=3) as pooler, ExitStack() as running:
        through = ServerScene(scene.folder, pooler.url(name))
        for _ in range(2):
            running.enter_context(through.start(work, {"heartbeat_every": 0.2}))
        caller = running.enter_context(through.start(call_and_decide, numbers))
        assert caller.ended() == 0
        assert pooler.lent > 100
    with scene.start(work, {}) as last:
        last.hear()
    scene.check(results={f"mixed {n}": mixed_result(n) for n in numbers})


async def test_a_transaction_that_stays_open_for_long_keeps_nobody_from_claiming_or_from_following(
    database: str, server: Cluster
) -> None:
    """F122: another program's, which has written and does not end."""
    url = server.url(database)
    with psycopg.connect(url) as other:
        other.execute("CREATE TABLE others (n int)")
        other.execute("INSERT INTO others VALUES (1)")  # from here on it has a number of its own
        async with AgentFlow(naps_briefly, database=url, settings=settings()) as app:
            runs = [await app.client.trigger(naps_briefly, n) for n in range(5)]
            for n, one in enumerate(runs):
                assert (await app.client.result(one.id, timeout=60)).output == str(n)
        with suppress(psycopg.Error):
            other.rollback()


# -- backups


def test_a_copy_made_with_pg_dump_while_runs_go_on_is_whole_and_goes_on_from_there(
    scene: ServerScene, server: Cluster, tmp_path: Path
) -> None:
    """F117."""
    numbers = list(range(16))
    dump = server.folder / f"{scene.address.rpartition('/')[2]}.dump"
    with scene.start(work, {}), ExitStack() as callers, ThreadPoolExecutor(1) as elsewhere:
        caller = callers.enter_context(scene.start(call_and_decide, numbers))
        recorded = "SELECT count(*) FROM agentflow_journal"
        until(lambda: scene.database.value(recorded) > 60, "much is under way")
        dumping = elsewhere.submit(run, "pg_dump", "-Fc", "-f", dump, "-d", scene.address)
        while not (dumping.done() and first_ended([caller], within=0.05)):
            if not caller.is_alive():  # runs go on as long as it is made
                assert caller.ended() == 0
                numbers += range(len(numbers), len(numbers) + 16)
                caller = callers.enter_context(scene.start(call_and_decide, numbers))
        dumping.result()
        assert caller.ended() == 0
    scene.check(results={f"mixed {n}": mixed_result(n) for n in numbers}, recovered=False)

    copy = server.create(f"copy_{dump.stem}", template="template0")
    run("pg_restore", "--no-owner", "-d", copy, dump)
    assert check(ServerDatabase(copy), tmp_path / "no ledger", recovered=False)["entries"] > 60
    restored = made_on_server(tmp_path / "restored", copy)
    with restored.start(work, {}) as worker, restored.start(call_and_decide, numbers) as caller:
        worker.hear()
        assert caller.ended() == 0
    check(
        ServerDatabase(copy), restored.ledger, results={f"mixed {n}": mixed_result(n) for n in numbers}, recovered=False
    )


def test_a_base_backup_made_while_runs_go_on_serves_them_on_another_server(cluster: Cluster, tmp_path: Path) -> None:
    """F117."""
    scene = made_on_server(tmp_path / "scene", cluster.create("runs"))
    numbers = list(range(8))
    data = cluster.folder / "base"
    with scene.start(work, {}) as worker, scene.start(call_and_decide, numbers) as caller:
        worker.hear()
        until(lambda: scene.database.value("SELECT count(*) FROM agentflow_journal") > 20, "much is under way")
        run("pg_basebackup", "-D", data, "-c", "fast", "-X", "stream", "-d", cluster.url())
        assert caller.ended() == 0
    with Cluster(data=data) as other:
        copy = made_on_server(tmp_path / "copy", other.url("runs"))
        assert check(copy.database, tmp_path / "no ledger", recovered=False)["entries"] > 20
        with copy.start(work, {}) as worker, copy.start(call_and_decide, numbers) as caller:
            worker.hear()
            assert caller.ended() == 0
        copy.check(results={f"mixed {n}": mixed_result(n) for n in numbers}, recovered=False)
