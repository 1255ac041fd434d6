"""Every interleaving of a few actors on one run, by the real verbs on a real database.

From each world every action is tried that may come next: either of two workers claims, asks a person, sleeps, records
a step, completes, fails, gives back or is tried again, with the lease it has and with those it has lost; a person
approves or rejects; time comes to the next instant that matters; leases are swept and deadlines looked after; an
operator pauses, resumes or cancels; a worker comes back under another name. A worker that dies is one that acts no
more, so a crash between any two actions is among them, and a crash inside one leaves the world before it. After each
action every promise is looked at, and from each new world everybody disappears: nothing may be stuck then.

Worlds that differ only in names, or in history that nothing reads, are one. To so many actions deep there are:

    depth   actions   worlds
    5         7,464      952
    6        24,456    2,572   the test's, in some seconds
    7        71,562    6,152
    8       187,929   13,896   AGENTFLOW_TEST_DEPTH=8, in a minute or two
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.clock import from_micros, to_micros
from agentflow.errors import AgentflowError, IllegalTransition, LeaseLost
from agentflow.requests import (
    ClaimRuns,
    Completed,
    Failed,
    HandedBack,
    Lease,
    NeedsAttention,
    NewWorker,
    OpenWait,
    TryAgain,
)
from agentflow.states import TERMINAL, EntryKind, RunStatus, Transition, Verdict, WaitKind
from agentflow.store import claiming, decisions, journal, maintenance, outcomes, runs, triggering
from agentflow.store.sqlite.file import driver
from agentflow.store.sqlite.transaction import SqliteTransaction
from agentflow.store.steering import control
from agentflow.testing import FakeClock
from tests.support.stores import a_decision, a_trigger, an_approval, an_entry, database_of

if TYPE_CHECKING:
    from sqlite3 import Connection

DEPTH = int(os.environ.get("AGENTFLOW_TEST_DEPTH", "6"))
SECOND = 1_000_000
START = to_micros(FakeClock().now())
LEASE = timedelta(seconds=40)
NAP, DEADLINE = timedelta(seconds=10), timedelta(seconds=20)
LEGAL = {(source, how.target) for how in Transition for source in how.sources}
LEGAL |= {(RunStatus.WAITING, RunStatus.RUNNING)}  # a timer wakes a run and a worker claims it in one move
GATE, TIMER = "gate#1", "sleep#1"
REFUSED = (LeaseLost, IllegalTransition)
Action = tuple[str, Callable[["World"], None]]


@dataclass(frozen=True)
class World:
    """What a path of actions has led to; the database is in the same state."""

    tx: SqliteTransaction
    now: int
    workers: tuple[str, str]
    leases: tuple[tuple[Lease, ...], tuple[Lease, ...]] = ((), ())
    names: int = 2
    path: tuple[str, ...] = ()

    def row(self, sql: str) -> Any:
        return self.rows(sql)[0]

    def rows(self, sql: str) -> list[Any]:
        return self.tx._connection.execute(sql).fetchall()


@dataclass
class Check:
    """The search: what was seen, and how deep it was looked at from there."""

    connection: Connection
    run_id: str
    seen: dict[Any, int] = field(default_factory=dict)
    actions: int = 0

    # -- the search

    def explore(self, world: World, left: int) -> None:
        key = self.key(world)
        if self.seen.get(key, -1) >= left:
            return
        if key not in self.seen:
            self.nothing_is_stuck(world)
        self.seen[key] = left
        if left == 0:
            return
        before = self.facts(world)
        for name, act in self.possible(world):
            with self.undone():
                self.actions += 1
                world.tx.now = world.now
                after = replace(act(world), path=(*world.path, name))
                self.every_promise_holds(before, after)
                self.explore(after, left - 1)

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Whatever is done within leaves no trace."""
        self.connection.execute("SAVEPOINT world")
        try:
            yield
        finally:
            self.connection.execute("ROLLBACK TO world")
            self.connection.execute("RELEASE world")

    def key(self, world: World) -> Any:
        """What the future depends on, without the names of things."""
        status, epoch, recoveries, attempt, worker, available_at, pause = world.row(
            "SELECT status, epoch, recoveries, attempt, worker_id, available_at, pause FROM agentflow_run"
        )
        registered = dict(world.rows("SELECT id, lease_until FROM agentflow_worker"))
        waits = world.rows("SELECT key, due_at FROM agentflow_wait ORDER BY key")
        return (
            (status, min(recoveries, 2), min(attempt, 3), pause is not None),
            None if worker is None else world.workers.index(worker) if worker in world.workers else 2,
            self.ahead(available_at, world.now),
            tuple(self.ahead(registered.get(one), world.now) for one in world.workers),
            tuple((key, self.ahead(due_at, world.now)) for key, due_at in waits),
            tuple(
                (status, self.ahead(deadline_at, world.now))
                for status, deadline_at in world.rows("SELECT status, deadline_at FROM agentflow_approval")
            ),
            tuple(tuple(epoch - one.epoch for one in mine) for mine in world.leases),
            tuple(kind for (kind,) in world.rows(KINDS_OF_KEYS)),
        )

    @staticmethod
    def ahead(instant: int | None, now: int) -> int | None:
        return None if instant is None else max(-1, (instant - now) // SECOND)

    # -- actions

    def possible(self, world: World) -> Iterator[Action]:
        for which in (0, 1):
            yield f"claim {which}", lambda world, which=which: claim(world, which)
            yield f"come back {which}", lambda world, which=which: come_back(world, which)
            for lease in world.leases[which]:
                for name, verb in TURN.items():
                    yield (
                        f"{name} {which}.{lease.epoch}",
                        lambda world, lease=lease, verb=verb: turn(world, lease, verb),
                    )
        for verdict in (Verdict.APPROVE, Verdict.REJECT):
            yield verdict, lambda world, verdict=verdict: decide(world, verdict)
        yield "time", come_to_the_next_instant
        yield "sweep", sweep
        yield "expire", expire
        for name, verb in OPERATOR.items():
            yield name, lambda world, verb=verb: operate(world, self.run_id, verb)

    # -- promises

    def facts(self, world: World) -> tuple[Any, ...]:
        status, epoch, finished = world.row("SELECT status, epoch, finished_at FROM agentflow_run")
        approval = world.rows("SELECT status FROM agentflow_approval")
        count = world.row("SELECT count(*) FROM agentflow_journal")[0]
        return RunStatus(status), epoch, finished, approval, count

    def every_promise_holds(self, before: tuple[Any, ...], world: World) -> None:
        was, epoch, _, approval, count = before
        status, now_epoch, finished, now_approval, now_count = self.facts(world)
        assert status is was or (was, status) in LEGAL, (was, status, world.path)
        assert was not in TERMINAL or (status is was and now_count == count), world.path
        assert epoch <= now_epoch <= epoch + 1, world.path
        assert (finished is not None) == (status in TERMINAL), world.path
        assert now_approval == approval or approval in ([], [("pending",)]), world.path
        seqs = [seq for (seq,) in world.rows("SELECT seq FROM agentflow_journal ORDER BY seq")]
        assert seqs == list(range(1, len(seqs) + 1)), world.path
        self.answers_are_heard_once(world, status)

    @staticmethod
    def answers_are_heard_once(world: World, status: RunStatus) -> None:
        waits = {
            key
            for (key,) in world.rows(
                "SELECT key FROM agentflow_wait UNION ALL SELECT key FROM agentflow_approval WHERE status = 'pending'"
            )
        }
        answers = world.row(f"SELECT count(*) FROM agentflow_journal WHERE kind = 'wait_resolved' AND key = '{GATE}'")[
            0
        ]
        resolved = world.row("SELECT count(*) FROM agentflow_approval WHERE decision_id IS NOT NULL")[0]
        assert answers == resolved <= 1, world.path
        assert not (waits and status in TERMINAL), world.path
        available_at = world.row("SELECT available_at FROM agentflow_run")[0]
        assert status is not RunStatus.WAITING or available_at is not None or GATE in waits, world.path

    def nothing_is_stuck(self, world: World) -> None:
        """Everybody is gone and much time passes: a new worker has the run, or somebody has to act, or it is over."""
        with self.undone():
            world.tx.now = world.now + 1000 * SECOND
            maintenance.sweep(world.tx, 10, 100)
            maintenance.expire(world.tx, 10)
            fresh = register(world.tx)
            claiming.claim(world.tx, ClaimRuns(worker_id=fresh, tasks=("review",), limit=1))
            status, worker = world.row("SELECT status, worker_id FROM agentflow_run")
            resting = {*TERMINAL, RunStatus.PAUSED, RunStatus.NEEDS_ATTENTION}
            assert worker == fresh or RunStatus(status) in resting, (status, world.path)


KINDS_OF_KEYS = "SELECT DISTINCT kind FROM agentflow_journal WHERE key IS NOT NULL ORDER BY kind"


# -- what the actors do


def register(tx: SqliteTransaction) -> str:
    new = NewWorker(host="h", pid=1, started="", lease_for=LEASE, tasks=("review@1",))
    return maintenance.register_worker(tx, new).id


def claim(world: World, which: int) -> World:
    registered = {one for (one,) in world.rows("SELECT id FROM agentflow_worker")}
    wanted = ClaimRuns(worker_id=world.workers[which], tasks=("review",), limit=1)
    taken = claiming.claim(world.tx, wanted)
    assert not taken or world.workers[which] in registered, world.path
    leases = list(world.leases)
    leases[which] = (*leases[which], *(one.lease for one in taken))[-2:]
    return replace(world, leases=tuple(leases))


def come_back(world: World, which: int) -> World:
    """Only a worker that has been forgotten needs another name; its leases are lost with the old one."""
    if world.workers[which] in {one for (one,) in world.rows("SELECT id FROM agentflow_worker")}:
        return world
    workers = list(world.workers)
    workers[which] = register(world.tx)
    return replace(world, workers=tuple(workers), names=world.names + 1)


def turn(world: World, lease: Lease, verb: Callable[[World, Lease], object]) -> World:
    """What a turn writes is written if, and only if, the run is still its own."""
    status, epoch = world.row("SELECT status, epoch FROM agentflow_run")
    holds = (status, epoch) == ("running", lease.epoch)
    before = world.rows("SELECT count(*) FROM agentflow_journal")
    try:
        verb(world, lease)
    except LeaseLost:
        assert not holds, world.path
        assert world.rows("SELECT count(*) FROM agentflow_journal") == before
    else:
        assert holds, f"a lost lease wrote: {world.path}"
    return world


def ask(world: World, lease: Lease) -> object:
    known = world.rows("SELECT 1 FROM agentflow_approval")
    approval = an_approval(from_micros(world.now), id="apr_1", timeout=DEADLINE, on_timeout="reject")
    new = OpenWait(key=GATE, kind=WaitKind.APPROVAL, subject="apr_1", approval=approval)
    return runs.park(world.tx, lease, [] if known else [new], [GATE])


def sleep(world: World, lease: Lease) -> object:
    known = world.rows(f"SELECT 1 FROM agentflow_journal WHERE key = '{TIMER}'")
    new = OpenWait(key=TIMER, kind=WaitKind.TIMER, due_at=from_micros(world.now) + NAP)
    return runs.park(world.tx, lease, [] if known else [new], [TIMER])


TURN: dict[str, Callable[[World, Lease], object]] = {
    "ask": ask,
    "sleep": sleep,
    "record": lambda world, lease: journal.append(world.tx, lease, an_entry("step#1")),
    "settle": lambda world, lease: runs.settle(world.tx, lease, an_entry(TIMER), TIMER),
    "complete": lambda world, lease: outcomes.finish(world.tx, lease, Completed("1")),
    "fail": lambda world, lease: outcomes.finish(world.tx, lease, Failed("{}")),
    "try again": lambda world, lease: outcomes.finish(world.tx, lease, TryAgain("{}", NAP, None)),
    "give back": lambda world, lease: outcomes.finish(world.tx, lease, HandedBack()),
    "diverge": lambda world, lease: outcomes.finish(world.tx, lease, NeedsAttention(EntryKind.DIVERGED, "{}", "{}")),
}


def decide(world: World, verdict: Verdict) -> World:
    if world.rows("SELECT 1 FROM agentflow_approval"):
        pending = world.rows("SELECT 1 FROM agentflow_approval WHERE status = 'pending'")
        made = decisions.decide(world.tx, a_decision("apr_1", verdict))
        assert isinstance(made, AgentflowError) or made.repeated or pending, world.path
    return world


def come_to_the_next_instant(world: World) -> World:
    instants = world.rows(
        "SELECT due_at FROM agentflow_wait UNION SELECT deadline_at FROM agentflow_approval WHERE status = 'pending' "
        "UNION SELECT lease_until + 1 FROM agentflow_worker UNION SELECT available_at FROM agentflow_run"
    )
    later = [instant for (instant,) in instants if instant is not None and instant > world.now]
    return replace(world, now=min(later, default=world.now))


def sweep(world: World) -> World:
    lapsed = world.rows(f"SELECT id FROM agentflow_worker WHERE lease_until < {world.now}")
    maintenance.sweep(world.tx, 10, 1)
    assert not {one for (one,) in lapsed} & {one for (one,) in world.rows("SELECT id FROM agentflow_worker")}
    return world


def expire(world: World) -> World:
    early = world.rows(f"SELECT 1 FROM agentflow_approval WHERE status = 'pending' AND deadline_at > {world.now}")
    maintenance.expire(world.tx, 10)
    assert not early or world.rows("SELECT 1 FROM agentflow_approval WHERE status = 'pending'"), world.path
    return world


OPERATOR: dict[str, Callable[[SqliteTransaction, str], object]] = {
    "cancel": lambda tx, run_id: control.cancel(tx, run_id, "mia", ""),
    "pause": lambda tx, run_id: control.pause(tx, run_id, "mia", ""),
    "resume": lambda tx, run_id: control.resume(tx, run_id, "mia", None),
}


def operate(world: World, run_id: str, verb: Callable[[SqliteTransaction, str], object]) -> World:
    """What is not possible now is refused and changes nothing."""
    world.tx._connection.execute("SAVEPOINT operator")
    try:
        verb(world.tx, run_id)
    except IllegalTransition:
        world.tx._connection.execute("ROLLBACK TO operator")
    world.tx._connection.execute("RELEASE operator")
    return world


@pytest.fixture
async def connection(tmp_path: Path) -> Any:
    async with database_of("sqlite", tmp_path) as database:
        file = database.url.removeprefix("sqlite:///")
    opened = driver.connect(file, isolation_level=None)
    opened.execute("PRAGMA foreign_keys=ON")
    opened.execute("PRAGMA synchronous=OFF")
    opened.execute("BEGIN IMMEDIATE")
    yield opened
    opened.close()


@pytest.mark.slow
@pytest.mark.timeout(1_000)
def test_whatever_happens_in_whichever_order_every_promise_holds(connection: Connection) -> None:
    tx = SqliteTransaction(connection, START)
    run = triggering.trigger(tx, a_trigger())
    world = World(tx, START, (register(tx), register(tx)))
    check = Check(connection, run.id)
    check.explore(world, DEPTH)
    print(f"{check.actions:,} actions, {len(check.seen):,} worlds to depth {DEPTH}")  # noqa: T201  for whoever goes deeper
    assert len(check.seen) > 1_000
