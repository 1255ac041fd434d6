"""A storm: workers and callers killed, stopped and asked to end at random, again and again, until the time is over.

    python -m tests.crash.chaos --seconds 600 --seed 7

Every run has to end as an undisturbed one does; a last worker clears up, and the checker looks at everything. The seed
decides what befalls whom in which order; what the machine makes of it is not the same twice.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentflow.store import open_store
from tests.crash import storm
from tests.crash.scenes import Scene, made
from tests.support import ledger
from tests.support.processes import first_ended

if TYPE_CHECKING:
    from tests.support.processes import Child

RUNS, WORKERS, CALLERS = 27, 3, ("approve", "reject")
PLACES = ("before", "inside", "after")
WORKING = ("claim", "append", "park", "finish", "settle", "open_waits", "trigger_child", "create_callback", "sweep")
CALLING = ("trigger", "decide", "send_event", "resolve_callback", "cancel", "pause", "resume")
WATCHFUL = {"heartbeat_every": 0.2}
"""Its lease outlasts the storm, but for those that are stopped: a busy machine robs nobody."""
ENOUGH, SQUALL = 6, 2.0
"""So many are killed at least, however slow the machine is; and so many seconds a round storms at least."""
CHECK_EVERY = 8
PATIENCE = 120.0


@dataclass(slots=True)
class Storm:
    """Rounds of runs on one database."""

    scene: Scene
    chance: random.Random
    seconds: float
    befell: Counter[str] = field(default_factory=Counter)
    results: dict[str, Any] = field(default_factory=dict)
    rounds: int = 0
    _stopped: list[tuple[float, Child]] = field(default_factory=list)
    _zombies: set[int] = field(default_factory=set)

    def rage(self) -> Counter[str]:
        """Rounds until the time is over, then calm, and the checker's word; what befell, and what was looked at."""
        until = time.monotonic() + self.seconds
        while time.monotonic() < until or self.befell["killed"] < ENOUGH:
            numbers = list(range(self.rounds * RUNS, (self.rounds + 1) * RUNS))
            with ExitStack() as running:  # at its end the workers that are left are killed too
                self._round(numbers, running, max(min(until, time.monotonic() + 10), time.monotonic() + SQUALL))
            self._stopped.clear()
            self.results |= storm.results_of(numbers)
            self.rounds += 1
            if self.rounds % CHECK_EVERY == 0:
                self.scene.check(results=self.results, recovered=False, stopped=self._zombies)
        with self.scene.start(storm.work, WATCHFUL) as last:
            last.hear()
            looked_at = self.scene.check(results=self.results, stopped=self._zombies)
        assert_all_ended(self.scene, self.rounds * RUNS)
        return self.befell + looked_at + Counter(rounds=self.rounds)

    def _round(self, numbers: list[int], running: ExitStack, calm_from: float) -> None:
        workers: list[Child] = [self._worker(running) for _ in range(WORKERS)]
        callers = {verdict: self._caller(running, numbers, verdict) for verdict in CALLERS}
        last_calm = calm_from + PATIENCE
        while callers:
            is_calm = time.monotonic() > calm_from
            ended = first_ended([*workers, *callers.values()], within=self.chance.uniform(0.02, 0.15))
            self._wake(everyone=is_calm)
            self._look_at_the_queue()
            if ended is None:
                assert time.monotonic() < last_calm, f"nobody is killed any more, and still open: {self._open_runs()}"
                if not is_calm:
                    self._strike([*workers, *callers.values()], workers)
            elif ended in workers:
                assert (code := ended.ended()) in {-signal.SIGKILL, -signal.SIGTERM, 0}, f"a worker ended with {code}"
                workers[workers.index(ended)] = self._worker(running, kill=not is_calm)
            else:
                verdict = next(name for name, child in callers.items() if child is ended)
                code = callers.pop(verdict).ended()
                assert code in {-signal.SIGKILL, 0}
                if code:
                    callers[verdict] = self._caller(running, numbers, verdict, kill=not is_calm)

    def _strike(self, everybody: list[Child], workers: list[Child]) -> None:
        """Something befalls somebody."""
        match self.chance.choices(("kill", "stop", "end", "spare"), (3, 2, 1, 2))[0]:
            case "kill":
                self.chance.choice(everybody).kill()
                self.befell["killed"] += 1
            case "stop":
                child = self.chance.choice(workers)
                if child.is_alive() and all(child is not one for _, one in self._stopped):
                    child.send(signal.SIGSTOP)
                    self._zombies.add(child.pid)
                    self._stopped.append((time.monotonic() + self.chance.uniform(0.1, 1.6), child))
                    self.befell["stopped"] += 1
                    self._rob(child)
            case "end":
                child = self.chance.choice(workers)
                if child.is_alive():
                    child.send(signal.SIGTERM)
                    self.befell["asked to end"] += 1
            case _:
                pass

    def _rob(self, child: Child) -> None:
        """Now and then its lease is over before it is woken, unless it stands still in the middle of a write."""
        found = self.scene.database.value("SELECT max(id) FROM agentflow_worker WHERE pid = ?", child.pid)
        if found and self.chance.random() < 0.5 and self.scene.database.is_writable():
            self.scene.let_lapse(found)
            self.befell["robbed"] += 1

    def _wake(self, *, everyone: bool) -> None:
        now = time.monotonic()
        for until, child in list(self._stopped):
            if everyone or until <= now:
                self._stopped.remove((until, child))
                if child.is_alive():
                    child.send(signal.SIGCONT)

    def _look_at_the_queue(self) -> None:
        """Its limit holds at every moment, whoever has died."""
        held = "SELECT count(*) FROM agentflow_run WHERE status = 'running' AND queue = ?"
        count = self.scene.database.value(held, storm.NARROW.name)
        assert count <= storm.CONCURRENCY, f"{count} runs of a queue for {storm.CONCURRENCY} were executed at a time"

    def _open_runs(self) -> list[Any]:
        wanted = "id, task, status, epoch, worker_id, available_at, queue, error"
        return self.scene.database.rows(f"SELECT {wanted} FROM agentflow_run WHERE finished_at IS NULL")

    def _worker(self, running: ExitStack, *, kill: bool = True) -> Child:
        point = self._fail_point(WORKING, 40) if kill else ""
        return running.enter_context(self.scene.start(storm.work, WATCHFUL, kill=point))

    def _caller(self, running: ExitStack, numbers: list[int], verdict: str, *, kill: bool = True) -> Child:
        point = self._fail_point(CALLING, 10) if kill else ""
        return running.enter_context(self.scene.start(storm.call, numbers, verdict, kill=point))

    def _fail_point(self, verbs: tuple[str, ...], most: int) -> str:
        if self.chance.random() < 0.5:
            return ""
        self.befell["fail-points set"] += 1
        return f"{self.chance.choice(verbs)}.{self.chance.choice(PLACES)}=kill@{self.chance.randint(1, most)}"


def assert_all_ended(scene: Scene, count: int) -> None:
    """What the checker cannot know: that every run has ended in its own way, and what was booked was unbooked."""
    ends = {"fails_and_undoes": "failed", "is_cancelled": "cancelled"}
    runs = scene.database.rows("SELECT * FROM agentflow_run WHERE idempotency_key LIKE 'storm %'")
    assert len(runs) == count
    for run in runs:
        assert run["status"] == ends.get(run["task"], "completed"), f"{run['id']} ({run['task']}) is {run['status']}"
    said = (
        "SELECT a.status, r.output FROM agentflow_approval a JOIN agentflow_run r ON r.id = a.run_id WHERE r.task = ?"
    )
    for row in scene.database.rows(said, "is_contested"):
        assert row["output"] == f'"{row["status"]}"'
    lines = ledger.read(scene.ledger)
    booked = {line.run for line in lines if line.phase == storm.BOOKED}
    assert booked == {line.run for line in lines if line.phase == storm.UNBOOKED}


def main() -> None:
    """Rage as long as asked, and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    given = parser.parse_args()
    sys.stdout.write(f"seed {given.seed}\n")
    sys.stdout.flush()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        empty = Path(folder) / "empty.db"
        asyncio.run(_make(empty))
        scene = made(empty, Path(folder) / "scene")
        counts = Storm(scene, random.Random(given.seed), given.seconds).rage()
    sys.stdout.write("".join(f"{count:8,} {what}\n" for what, count in sorted(counts.items())))
    sys.stdout.write("every promise was kept\n")


async def _make(path: Path) -> None:
    await (await open_store(f"sqlite:///{path}")).close()


if __name__ == "__main__":
    main()
