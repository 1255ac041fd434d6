"""A server that is restarted, killed, cut off, full, read-only or slow while workers, callers and pages use it."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from agentflow import AgentFlow, task
from agentflow.errors import StoreUnusable
from agentflow.store import open_store
from tests.crash.acts import perform
from tests.crash.programs import call_and_decide, mixed_result, settings, work
from tests.crash.scenes import ServerScene, made_on_server
from tests.support import ledger
from tests.support.checker import ServerDatabase
from tests.support.clusters import Cluster
from tests.support.processes import first_ended, until
from tests.support.server import served
from tests.support.tasks import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from tests.support.proxy import Proxy

LONG = "AGENTFLOW_TEST_LONG"
RESTARTS, RUNS, PATIENCE = (60, 200, 400) if os.environ.get(LONG) else (3, 16, 250)
MOST_CONNECTIONS = 25
QUICK = {"lease_for": 120.0, "heartbeat_every": 0.2}


def on(cluster: Cluster, tmp_path: Path) -> ServerScene:
    """A fresh database of this server, and the ledger beside it."""
    return made_on_server(tmp_path / "scene", cluster.create("runs"))


def see_through(scene: ServerScene, disturb: Callable[[int], None], *, times: int) -> None:
    """Disturb so many times while runs of every kind go on; every one has to end as an undisturbed one does."""
    numbers = list(range(RUNS))
    with ExitStack() as running:
        workers = [running.enter_context(scene.start(work, QUICK)) for _ in range(2)]
        for worker in workers:
            worker.hear()
        caller = running.enter_context(scene.start(call_and_decide, numbers))
        last = time.monotonic() + PATIENCE
        done = 0
        while time.monotonic() < last:
            ended = first_ended([caller, *workers], within=0.3 if done < times else 10)
            assert ended not in workers, "a worker died of it"
            if ended is caller:
                if caller.ended() == 0 and done >= times:
                    break
                if caller.ended() == 0:
                    numbers = [*numbers, *range(len(numbers), len(numbers) + RUNS)]
                caller = running.enter_context(scene.start(call_and_decide, numbers))
            if done < times:
                disturb(done)
                done += 1
        else:
            raise AssertionError(f"the runs did not end in {PATIENCE} s")
        assert all(worker.is_alive() for worker in workers)
    with scene.start(work, {}) as last_worker:
        last_worker.hear()
    seen = scene.check(results={f"mixed {n}": mixed_result(n) for n in numbers})
    assert seen["approvals"] == len(numbers)


@pytest.mark.timeout(2 * PATIENCE)
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_restarted_again_and_again_under_load_loses_and_doubles_nothing(
    mode: str, cluster: Cluster, tmp_path: Path
) -> None:
    """F37; sixty restarts with AGENTFLOW_TEST_LONG=1. `immediate` is a crash with recovery at the next start."""
    see_through(on(cluster, tmp_path), lambda _: cluster.restart(mode), times=RESTARTS)
    assert cluster.started == 1 + RESTARTS


@pytest.mark.timeout(2 * PATIENCE)
def test_a_server_whose_first_process_is_killed_recovers_and_every_run_goes_on(
    cluster: Cluster, tmp_path: Path
) -> None:
    """F38."""

    def kill(_number: int) -> None:
        cluster.kill_postmaster()
        cluster.start()

    see_through(on(cluster, tmp_path), kill, times=2)


@pytest.mark.timeout(2 * PATIENCE)
def test_a_network_that_cuts_every_connection_again_and_again_loses_and_doubles_nothing(
    stormy: tuple[ServerScene, ServerScene], proxy: Proxy
) -> None:
    """F39. Connections are reset wherever they happen to be: in the middle of transactions, too."""
    through, direct = stormy
    cut = 0

    def reset(_number: int) -> None:
        nonlocal cut
        cut += proxy.reset()

    see_through(ServerScene(through.folder, through.address), reset, times=8)
    assert cut > 8
    assert direct.check(recovered=False)["runs"] >= RUNS


def test_a_slow_network_makes_it_slower_and_takes_no_run_from_its_worker(
    stormy: tuple[ServerScene, ServerScene], proxy: Proxy
) -> None:
    """F41: a fifth of a second for a round trip, and 64 kB/s; a renewal is several round trips."""
    through, direct = stormy
    lease = "SELECT lease_until FROM agentflow_worker"
    with through.start(work, {"lease_for": 30.0, "heartbeat_every": 0.5}) as worker:
        name = worker.hear()
        proxy.latency, proxy.bandwidth = 0.2, 64_000.0
        with direct.start(perform, "trigger_one", "short", 3) as caller:
            assert caller.ended() == 0
        until(lambda: direct.database.value("SELECT finished_at FROM agentflow_run"), "the run has ended")
        until_renewed(lambda: direct.database.value(lease), times=2)  # the first may have been under way before
        assert direct.database.value("SELECT id FROM agentflow_worker") == name, "it lost its lease"
    assert direct.database.value("SELECT epoch FROM agentflow_run") == 1
    assert ledger.starts(direct.ledger) == {"add#1": 1}
    direct.check(results={"the run": 4}, recovered=False)


# -- too few connections


@task
async def plain(n: int) -> int:
    return n


@contextmanager
def every_connection_taken(cluster: Cluster) -> Iterator[psycopg.Connection[Any]]:
    """Others hold what connections the server has left, and ours is one of them."""
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    with ExitStack() as taken:
        ours = taken.enter_context(psycopg.connect(cluster.url(), autocommit=True))

        def all_are_taken() -> bool:
            with suppress(psycopg.OperationalError):
                while True:
                    taken.enter_context(psycopg.connect(cluster.url()))
            row = ours.execute(sessions).fetchone()  # none of them is one that is just ending
            return row is not None and row[0] == MOST_CONNECTIONS

        until(all_are_taken, "every connection is taken")
        yield ours


def until_renewed(look: Callable[[], Any], times: int = 1) -> None:
    for _ in range(times):
        before = look()
        until(lambda before=before: look() > before, "the lease is renewed")


async def test_without_a_free_connection_who_comes_is_told_at_once_and_who_works_keeps_its_lease(
    cluster: Cluster,
) -> None:
    """F42."""
    cluster.restart(max_connections=MOST_CONNECTIONS, superuser_reserved_connections=0)
    url = cluster.create("runs")
    async with AgentFlow(plain, database=url, settings=settings(lease_for=60.0, heartbeat_every=0.2)) as app:
        assert app.worker is not None
        worker = app.worker.id
        first = await app.client.result((await app.client.trigger(plain, 0)).id, timeout=60)
        await asyncio.gather(*(app.client.run(first.id) for _ in range(50)))  # every reader has its connection now
        lease = "SELECT lease_until FROM agentflow_worker"
        tables = ServerDatabase(url)
        until_renewed(lambda: tables.value(lease))  # the heartbeat has its connection now
        with psycopg.connect(url, autocommit=True) as looking, every_connection_taken(cluster):
            with pytest.raises(StoreUnusable, match="no connection left"):
                await open_store(url)
            until_renewed(lambda: looking.execute(lease).fetchone(), times=3)
            for _ in range(5):
                ended = await app.client.result((await app.client.trigger(plain, 1)).id, timeout=60)
                assert ended.output == "1"
        assert app.worker.id == worker, "it lost its lease"


# -- read-only, and away


async def test_on_a_read_only_server_pages_are_read_and_writes_refused_until_it_writes_again(
    cluster: Cluster, tmp_path: Path
) -> None:
    """F43."""
    url = cluster.create("runs")
    async with AgentFlow(plain, database=url, settings=settings(heartbeat_every=0.2)) as app:
        first = await app.client.result((await app.client.trigger(plain, 1)).id, timeout=60)
        async with served(tmp_path, client=app.client) as site, site.http() as http:
            cluster.run_sql("ALTER SYSTEM SET default_transaction_read_only = on")
            cluster.run_sql("SELECT pg_reload_conf()")
            await eventually(partial(answers, http, 503))
            for _ in range(3):
                assert await answers(http, 503)
                assert (await http.get(f"/runs/{first.id}")).status_code == 200
            before = int(cluster.run_sql("SELECT count(*) FROM agentflow_run", "runs"))
            cluster.run_sql("ALTER SYSTEM RESET default_transaction_read_only")
            cluster.run_sql("SELECT pg_reload_conf()")
            await eventually(partial(answers, http, 201))
            [newest] = (await app.client.runs(limit=1)).items
            assert (await app.client.result(newest.id, timeout=60)).output == "7"
    assert int(cluster.run_sql("SELECT count(*) FROM agentflow_run", "runs")) == before + 1


async def test_while_a_server_is_away_nothing_is_promised_and_afterwards_all_goes_on(
    cluster: Cluster, tmp_path: Path
) -> None:
    """What was answered with 201 is there; what was answered with 503 is not; and nothing had to be started anew."""
    url = cluster.create("runs")
    async with AgentFlow(plain, database=url, settings=settings(heartbeat_every=0.2)) as app:
        async with served(tmp_path, client=app.client) as site, site.http() as http:
            assert await answers(http, 201)
            cluster.stop("immediate")
            await eventually(partial(answers, http, 503))
            assert (await http.get("/runs", timeout=60)).status_code == 503
            cluster.start()
            await eventually(partial(answers, http, 201))
            for run in (await app.client.runs()).items:
                assert (await app.client.result(run.id, timeout=60)).output == "7"
        assert sum((await app.store.counts()).runs.values()) == 2


async def answers(http: httpx.AsyncClient, status: int) -> bool:
    """Whether a run is started, or refused, with this status; other refusals are those of a connection just lost."""
    headers = {"accept": "application/json"}
    answer = await http.post("/api/v1/runs", json={"task": "plain", "input": {"n": 7}}, headers=headers)
    assert answer.status_code == status or answer.status_code in {503, 504}, answer.text
    return answer.status_code == status
