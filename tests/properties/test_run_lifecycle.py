"""Hypothesis drives every verb of the store, in any order, with current and stale leases, to find a broken promise.

AGENTFLOW_TEST_EXAMPLES sets how many lives of a store are tried.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agentflow.errors import Conflict, IdempotencyMismatch, IllegalTransition, LeaseLost
from agentflow.requests import (
    ApprovalFilter,
    ClaimRuns,
    Completed,
    Failed,
    HandedBack,
    Lease,
    NeedsAttention,
    OpenWait,
    RunFilter,
    TryAgain,
)
from agentflow.states import EntryKind, RunStatus, Transition, Verdict, WaitKind
from tests.support.stores import (
    LEASE,
    a_decision,
    a_gate,
    a_timer,
    a_trigger,
    a_wait_for,
    an_entry,
    database_of,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from agentflow.records import Approval, Entry, Run

EXAMPLES = int(os.environ.get("AGENTFLOW_TEST_EXAMPLES", "60"))
ALL = 1_000
MEMORY = Path("/dev/shm")
"""Nothing here is about surviving a power failure, so the flushes may be free."""
TASKS = ("review", "archive")
OUTCOMES = (
    Completed("1"),
    Failed("{}"),
    TryAgain("{}", timedelta(seconds=5), None),
    HandedBack(),
    NeedsAttention(EntryKind.DIVERGED, "{}", "it diverged"),
)
LEGAL = {(source, how.target) for how in Transition for source in how.sources}
LEGAL |= {(RunStatus.WAITING, RunStatus.RUNNING)}  # a timer wakes a run and a worker claims it in one move
RUNS, LEASES, WORKERS, APPROVALS = (
    st.runner().flatmap(lambda machine, of=of: st.sampled_from(list(getattr(machine, of))))
    for of in ("known_runs", "leases", "workers", "known_approvals")
)
SPANS = st.sampled_from(("1ms", "3s", "20s", "40s", "10m"))


class RunLifecycle(RuleBasedStateMachine):
    """A store, what it said last time, and every lease it ever gave."""

    @initialize()
    def open(self) -> None:
        """Three runs are held, one of them asks; a fourth is queued."""
        self.runner = asyncio.Runner()
        self.exits = AsyncExitStack()
        folder = self.exits.enter_context(tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None))
        self.database = self.do(self.exits.enter_async_context(database_of("sqlite", Path(folder))))
        self.clock = self.database.clock
        self.store = self.do(self.database.open())
        self.known_runs: dict[str, Run] = {}
        self.known_approvals: dict[str, Approval] = {}
        self.journals: dict[str, list[Entry]] = {}
        self.fed = 0
        self.blocked: dict[str, set[str]] = {}
        self.keys = 0
        self.leases: list[Lease] = []
        self.workers = [self.register(), self.register()]
        for lasting in (None, timedelta(seconds=60), None):
            self.trigger("review", None, "1", None, lasting)
        self.every_promise_holds()
        self.claim(self.workers[0], 3, TASKS)
        self.ask(self.leases[0], timedelta(seconds=2))
        self.trigger("archive", None, "1", None, None)

    def teardown(self) -> None:
        if not hasattr(self, "runner"):
            return
        try:
            for run_id, journal in self.journals.items():
                assert list(self.do(self.store.entries(run_id))) == journal
        finally:
            self.do(self.exits.aclose())
            self.runner.close()

    def do(self, verb: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(verb)

    def tick(self) -> None:
        """Give what is made next an instant of its own, so that ids sort the same whenever a life is repeated."""
        self.clock.advance("1ms")

    def register(self) -> str:
        self.tick()
        worker = self.do(self.store.register_worker(host="h", pid=1, started="", lease_for=LEASE))
        return str(worker.id)

    def next_key(self, kind: str) -> str:
        self.keys += 1
        return f"{kind}#{self.keys}"

    def fenced(self, lease: Lease, verb: Coroutine[Any, Any, Any]) -> Any:
        """What a turn's write gives: it succeeds if the lease is current, and is refused with `LeaseLost` if not."""
        run = self.do(self.store.run(lease.run_id))
        is_current = run.status is RunStatus.RUNNING and run.epoch == lease.epoch
        try:
            given = self.do(verb)
        except LeaseLost:
            assert not is_current
            return None
        assert is_current
        return given

    # -- from outside

    @rule(
        task=st.sampled_from(TASKS),
        key=st.none() | st.sampled_from("ab"),
        input=st.sampled_from(("1", "2")),
        delay=st.none() | st.just(timedelta(seconds=3)),
        lasting=st.none() | st.just(timedelta(seconds=60)),
    )
    def trigger(
        self, task: str, key: str | None, input: str, delay: timedelta | None, lasting: timedelta | None
    ) -> None:
        request = a_trigger(task, input, idempotency_key=key, delay=delay, max_duration=lasting)
        made_before = [
            run
            for run in self.known_runs.values()
            if key is not None and (run.task, run.idempotency_key) == (task, key)
        ]
        self.tick()
        try:
            made = self.do(self.store.trigger(request))
        except IdempotencyMismatch:
            assert made_before[0].input != input
        else:
            assert [run.id for run in made_before] in ([], [made.id])

    @rule(run_id=RUNS)
    def cancel(self, run_id: str) -> None:
        before = self.known_runs[run_id]
        try:
            assert self.do(self.store.cancel(run_id, by="mia", reason="")).status is RunStatus.CANCELLED
        except IllegalTransition:
            assert before.is_finished
        else:
            assert not before.is_finished

    @rule(run_id=RUNS)
    def resume(self, run_id: str) -> None:
        try:
            self.do(self.store.resume(run_id, by="mia"))
        except IllegalTransition:
            assert self.known_runs[run_id].status is not RunStatus.NEEDS_ATTENTION
        else:
            assert self.known_runs[run_id].status is RunStatus.NEEDS_ATTENTION

    @rule(approval_id=APPROVALS, verdict=st.sampled_from(Verdict), final=st.none() | st.just('{"total":11}'))
    def decide(self, approval_id: str, verdict: Verdict, final: str | None) -> None:
        """The same decision may come again: the first receipt is the answer then."""
        before = self.do(self.store.approval(approval_id))
        try:
            receipt = self.do(self.store.decide(a_decision(approval_id, verdict, final=final)))
        except Conflict:
            assert not before.is_pending or before.deadline_at <= self.clock.now()
            assert not self.do(self.store.approval(approval_id)).is_pending
        else:
            assert receipt.repeated != before.is_pending
            after = self.do(self.store.approval(approval_id))
            assert (after.decision_id, after.status) == (receipt.id, receipt.outcome)

    # -- workers and time

    @rule()
    def start_worker(self) -> None:
        self.workers.append(self.register())

    @rule(worker=WORKERS, limit=st.integers(1, 4), tasks=st.sampled_from((TASKS, TASKS[:1])))
    def claim(self, worker: str, limit: int, tasks: tuple[str, ...]) -> None:
        """A worker that has been given up asks in vain."""
        registered = worker in {one.id for one in self.do(self.store.workers())}
        taken = self.do(self.store.claim(ClaimRuns(worker_id=worker, tasks=tasks, limit=limit)))
        assert len(taken) <= (limit if registered else 0)
        for one in taken:
            before = self.known_runs[one.run.id]
            assert before.status in {RunStatus.QUEUED, RunStatus.WAITING}
            assert before.available_at is not None
            assert before.available_at <= self.clock.now()
            assert one.lease.epoch == before.epoch + 1
            assert one.run.task in tasks
            if before.epoch:
                assert list(one.entries) == self.journals[one.run.id]
        self.leases += [one.lease for one in taken]

    @rule(worker=WORKERS)
    def renew(self, worker: str) -> None:
        registered = worker in {one.id for one in self.do(self.store.workers())}
        held = self.store.renew(worker, LEASE)
        assert (held is not None) == registered
        for run_id, epoch in (held or {}).items():
            run = self.known_runs[run_id]
            assert (run.status, run.worker_id, run.epoch) == (RunStatus.RUNNING, worker, epoch)

    @rule(worker=WORKERS)
    def bury(self, worker: str) -> None:
        self.do(self.store.bury([worker]))

    @rule(worker=WORKERS)
    def retire(self, worker: str) -> None:
        self.do(self.store.retire_worker(worker))
        assert all(run.worker_id != worker for run in self.do(self.store.runs(RunFilter(limit=ALL))).items)

    @rule(span=SPANS)
    def pass_time(self, span: str) -> None:
        self.clock.advance(span)

    @rule(limit=st.sampled_from((1, ALL)), max_recoveries=st.integers(0, 2))
    def sweep(self, limit: int, max_recoveries: int) -> None:
        swept = self.do(self.store.sweep(limit=limit, max_recoveries=max_recoveries))
        assert swept <= limit
        if swept < limit:
            registered = {one.id for one in self.do(self.store.workers())}
            running = self.do(self.store.runs(RunFilter(statuses=("running",), limit=ALL))).items
            assert {run.worker_id for run in running} <= registered

    @rule(limit=st.sampled_from((1, ALL)))
    def expire(self, limit: int) -> None:
        if self.do(self.store.expire(limit=limit)) < limit:
            due_at = self.do(self.store.next_due_at())
            assert due_at is None or due_at > self.clock.now()

    # -- turns

    @rule(lease=LEASES, settles=st.booleans())
    def append(self, lease: Lease, settles: bool) -> None:
        key = self.next_key("fetch")
        entry = an_entry(key)
        verb = self.store.settle(lease, entry, "gate") if settles else self.store.append(lease, entry)
        self.fenced(lease, verb)

    @rule(lease=LEASES, key=st.none() | st.sampled_from("ab"))
    def trigger_child(self, lease: Lease, key: str | None) -> None:
        self.tick()
        request = a_trigger("archive", "1", idempotency_key=key)
        with suppress(IdempotencyMismatch):
            self.fenced(lease, self.store.trigger_child(lease, [request], an_entry(self.next_key("child"))))

    @rule(lease=LEASES, lasting=st.none() | st.just(timedelta(seconds=2)))
    def ask(self, lease: Lease, lasting: timedelta | None) -> None:
        self.tick()
        gate = a_gate(self.store, self.next_key("gate"), timeout=lasting)
        self.fenced(lease, self.store.open_waits(lease, [gate]))

    @rule(lease=LEASES, child_id=RUNS, sleeps=st.booleans(), on_everything=st.booleans())
    def park(self, lease: Lease, child_id: str, sleeps: bool, on_everything: bool) -> None:
        """On a child or a timer, and perhaps on whatever else is open."""
        new: OpenWait
        if sleeps or child_id == lease.run_id:
            new = a_timer(self.store, self.next_key("sleep"), after=timedelta(seconds=3))
        else:
            new = a_wait_for(self.known_runs[child_id], self.next_key("child"))
        before = {wait.key for wait in self.do(self.store.waits(lease.run_id))} if on_everything else set()
        blocked = {new.key} | before
        status = self.fenced(lease, self.store.park(lease, [new], blocked))
        if status is RunStatus.WAITING:
            self.blocked[lease.run_id] = blocked

    @rule(lease=LEASES, outcome=st.sampled_from(OUTCOMES))
    def finish(self, lease: Lease, outcome: Any) -> None:
        self.fenced(lease, self.store.finish(lease, outcome))

    @rule(lease=LEASES, worker=WORKERS)
    def change_hands(self, lease: Lease, worker: str) -> None:
        """So that stale leases on runs that are running again are common."""
        self.fenced(lease, self.store.finish(lease, HandedBack()))
        self.every_promise_holds()
        self.claim(worker, 4, TASKS)

    # -- what holds at every moment

    @invariant()
    def every_promise_holds(self) -> None:
        self.journals_only_grow_and_have_no_gap()
        self.runs_move_by_legal_moves_and_ended_ones_do_not()
        self.approvals_are_resolved_once()
        self.every_wait_has_its_reason_and_no_wake_up_was_missed()

    def journals_only_grow_and_have_no_gap(self) -> None:
        for entry in self.do(self.store.feed(after=self.fed, limit=ALL)):
            journal = self.journals.setdefault(entry.run_id, [])
            before = self.known_runs.get(entry.run_id)
            assert entry.seq == len(journal) + 1
            assert before is None or not before.is_finished, "an ended run's journal grew"
            journal.append(entry)
            self.fed = entry.id

    def runs_move_by_legal_moves_and_ended_ones_do_not(self) -> None:
        for run in self.do(self.store.runs(RunFilter(limit=ALL))).items:
            before = self.known_runs.get(run.id, run)
            assert run == before or not before.is_finished
            assert run.status is before.status or (before.status, run.status) in LEGAL
            assert run.epoch >= before.epoch
            assert (run.status is RunStatus.RUNNING) == (run.worker_id is not None)
            assert run.is_finished == (run.finished_at is not None)
            self.known_runs[run.id] = run

    def approvals_are_resolved_once(self) -> None:
        for approval in self.do(self.store.approvals(ApprovalFilter(pending=None, limit=ALL))).items:
            before = self.known_approvals.get(approval.id, approval)
            assert approval == before or before.is_pending
            resolved = [
                entry
                for entry in self.journals[approval.run_id]
                if entry.kind is EntryKind.WAIT_RESOLVED and entry.key == approval.key
            ]
            assert len(resolved) == (approval.decision_id is not None)
            self.known_approvals[approval.id] = approval

    def every_wait_has_its_reason_and_no_wake_up_was_missed(self) -> None:
        pending = {one.id for one in self.known_approvals.values() if one.is_pending}
        asked: set[str | None] = set()
        for run in self.known_runs.values():
            waits = self.do(self.store.waits(run.id)) if run.epoch else []
            assert not (waits and run.is_finished)
            asked |= {wait.subject for wait in waits if wait.kind is WaitKind.APPROVAL}
            children = [self.known_runs[str(wait.subject)] for wait in waits if wait.kind is WaitKind.CHILD]
            assert not any(child.is_finished for child in children)
            if run.status is RunStatus.WAITING:
                assert self.blocked[run.id] <= {wait.key for wait in waits}
        assert asked == pending


TestRunLifecycle = RunLifecycle.TestCase
TestRunLifecycle.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
