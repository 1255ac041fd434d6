"""Three hosts, as network namespaces with names of their own; one of them is cut off from the database."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.crash.acts import perform
from tests.crash.scenes import ServerScene, made_on_server
from tests.faults.postgres.programs import work_on_host
from tests.support import ledger
from tests.support.clusters import Cluster
from tests.support.processes import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEASE = {"lease_for": 6.0, "heartbeat_every": 0.3}
HELD = "SELECT status FROM agentflow_run WHERE idempotency_key = 'held'"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@dataclass(frozen=True, slots=True)
class Host:
    """A host that reaches this machine over a link of its own."""

    number: int

    @property
    def name(self) -> str:
        return f"af{os.getpid()}-{self.number}"

    @property
    def link(self) -> str:
        return f"afv{os.getpid() % 100_000}-{self.number}"

    @property
    def gateway(self) -> str:
        return f"10.213.{self.number}.1"

    def begin(self) -> None:
        ip("netns", "add", self.name)
        ip("link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("addr", "add", f"{self.gateway}/24", "dev", self.link)
        ip("-n", self.name, "addr", "add", f"10.213.{self.number}.2/24", "dev", "eth0")
        ip("-n", self.name, "link", "set", "lo", "up")
        ip("-n", self.name, "link", "set", "eth0", "up")
        self.join()

    def join(self) -> None:
        ip("link", "set", self.link, "up")

    def cut_off(self) -> None:
        """Whatever is sent is lost, and nobody is told."""
        ip("link", "set", self.link, "down")

    def end(self) -> None:
        ip("netns", "del", self.name)


@pytest.fixture
def hosts() -> Iterator[list[Host]]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2 (Debian: `apt-get install iproute2`)")
    try:
        ip("netns", "add", probe := f"af{os.getpid()}-probe")
        ip("netns", "del", probe)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
    with ExitStack() as ends:
        found = [Host(number) for number in (1, 2, 3)]
        for host in found:
            host.begin()
            ends.callback(host.end)
        yield found


@pytest.fixture
def everywhere(tmp_path: Path, hosts: list[Host]) -> Iterator[tuple[Cluster, ServerScene]]:
    """A server that is reached from every host, and the scene on it as this machine reaches it."""
    with Cluster(listen="*") as cluster:
        yield cluster, made_on_server(tmp_path / "scene", cluster.create("runs"))


def test_a_host_that_is_cut_off_loses_its_runs_to_the_others_and_spoils_nothing_when_it_is_back(
    everywhere: tuple[Cluster, ServerScene], hosts: list[Host]
) -> None:
    cluster, scene = everywhere
    with ExitStack() as running:
        workers = {}
        for host in hosts:
            reached = ServerScene(scene.folder, cluster.url("runs", host=host.gateway))
            child = running.enter_context(reached.start(work_on_host, host.name, LEASE))
            workers[child.pid] = (host, child, child.hear())
        with scene.start(perform, "trigger_keyed", "holds_a_thread", {"seconds": 5}, "held") as caller:
            assert caller.ended() == 0
        begun = "hold_a_thread#1"
        until(lambda: ledger.starts(scene.ledger)[begun] == 1, "some host has begun the step")
        stopped = ledger.read(scene.ledger)[-1].pid
        cut, child, worker = workers.pop(stopped)
        cut.cut_off()
        until(lambda: ledger.starts(scene.ledger)[begun] == 2, "another host has begun it anew")
        assert ledger.read(scene.ledger)[-1].pid in workers
        until(lambda: scene.database.value(HELD) == "completed", "the run has ended")
        finished = scene.database.everything()
        for _, other, _ in workers.values():
            other.send(signal.SIGTERM)
            assert other.ended() == 0
        cut.join()
        known = "SELECT max(id) FROM agentflow_worker WHERE pid = ?"
        until(lambda: (scene.database.value(known, stopped) or "") > worker, "it comes back as a new worker")
        assert scene.database.everything() == finished
        with scene.start(perform, "trigger_another", "short", 3) as caller:
            assert caller.ended() == 0
        until(lambda: scene.database.value(HELD.replace("held", "another")) == "completed", "it works again")
        assert ledger.read(scene.ledger)[-1].pid == stopped
        child.send(signal.SIGTERM)
        assert child.ended() == 0
    assert scene.check(results={"held": 5, "another": 4}, stopped={stopped})["runs"] == 2
