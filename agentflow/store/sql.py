"""The store's verbs over any SQL database: a database says how a transaction is written and read, and no more.

The promises are in `base.py`; the transactions are in `runs.py`, `journal.py`, `decisions.py` and their neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow import requests as q
from agentflow.later import later
from agentflow.store import (
    claiming,
    decisions,
    journal,
    liveness,
    maintenance,
    outcomes,
    reads,
    runs,
    standings,
    triggering,
)
from agentflow.store.access import AccessVerbs
from agentflow.store.listening.verbs import ListeningVerbs
from agentflow.store.queueing import queues, standing
from agentflow.store.receiving.verbs import DeliveryVerbs
from agentflow.store.scheduling.verbs import ScheduleVerbs
from agentflow.store.spending import entries
from agentflow.store.spending.verbs import SpendingVerbs
from agentflow.store.steering import alarms, control, forking
from agentflow.store.telling.verbs import TellingVerbs
from agentflow.store.waiting import callbacks, events, streams

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    from agentflow import records as r
    from agentflow.states import RunStatus
    from agentflow.store.base import Claimed
    from agentflow.store.keeping import pruning, restoring
else:
    pruning, restoring = later("agentflow.store.keeping.pruning"), later("agentflow.store.keeping.restoring")


class SqlStore(SpendingVerbs, AccessVerbs, DeliveryVerbs, ListeningVerbs, TellingVerbs, ScheduleVerbs):
    """Every verb, each as one call of `write` or `read`."""

    async def trigger(self, request: q.TriggerRun) -> r.Run:
        return await self.write(triggering.trigger, request)

    async def trigger_many(self, requests: Sequence[q.TriggerRun]) -> Sequence[r.Run]:
        return await self.write(triggering.trigger_many, requests)

    async def trigger_child(
        self, lease: q.Lease, requests: Sequence[q.TriggerRun], entry: q.NewEntry
    ) -> Sequence[r.Run]:
        return await self.write(triggering.trigger_child, lease, requests, entry)

    async def claim(self, request: q.ClaimRuns) -> Sequence[Claimed]:
        return await self.write(claiming.claim, request)

    async def append(self, lease: q.Lease, entry: q.NewEntry) -> None:
        await self.write(journal.append if entries.is_plain(entry) else entries.append, lease, entry)

    async def settle(self, lease: q.Lease, entry: q.NewEntry, scope: str) -> None:
        await self.write(runs.settle, lease, entry, scope)

    async def open_waits(self, lease: q.Lease, waits: Sequence[q.OpenWait]) -> None:
        await self.write(runs.open_waits, lease, waits)

    async def park(self, lease: q.Lease, waits: Sequence[q.OpenWait], blocked: Collection[str]) -> RunStatus:
        return await self.write(runs.park, lease, waits, blocked)

    async def finish(self, lease: q.Lease, outcome: q.Outcome) -> None:
        await self.write(outcomes.finish, lease, outcome)

    async def keep_logs(self, lines: Sequence[q.NewLogLine]) -> None:
        await self.write(journal.keep_logs, lines)

    async def cancel(self, run_id: str, *, by: str, reason: str) -> r.Run:
        return await self.write(control.cancel, run_id, by, reason)

    async def pause(self, run_id: str, *, by: str, reason: str) -> r.Run:
        return await self.write(control.pause, run_id, by, reason)

    async def resume(self, run_id: str, *, by: str, output: str | None = None) -> r.Run:
        return await self.write(control.resume, run_id, by, output)

    async def retry(self, run_id: str, *, by: str, reason: str) -> r.Run:
        return await self.write(control.retry, run_id, by, reason)

    async def fork(self, request: q.ForkRun) -> r.Run:
        return await self.write(forking.fork, request)

    async def stuck(self, *, limit: int) -> Sequence[r.Run]:
        return await self.read(alarms.stuck, limit)

    async def decide(self, request: q.Decide) -> r.Decision:
        return await self.write(decisions.decide, request)

    async def add_standing(self, request: q.NewStanding) -> r.Standing:
        return await self.write(standings.add, request)

    async def revoke_standing(self, standing_id: str, *, by: str) -> r.Standing:
        return await self.write(standings.revoke, standing_id, by)

    async def standing(self, standing_id: str) -> r.Standing:
        return await self.read(standings.get, standing_id)

    async def standings(self, *, holding: bool = False, limit: int = 200) -> Sequence[r.Standing]:
        return await self.read(standings.listed, holding, limit)

    async def standings_for(self, task: str, tool: str) -> Sequence[r.Standing]:
        return await self.glance(standings.for_calls, task, tool)

    async def decided_calls(self, task: str, tool: str, *, limit: int) -> Sequence[r.Approval]:
        return await self.read(standings.decided_calls, task, tool, limit)

    async def send_event(self, request: q.SendEvent) -> r.Event:
        return await self.write(events.send_event, request)

    async def is_answered(self, run_id: str, wait: q.OpenWait) -> bool:
        return await self.glance(runs.is_answered, run_id, wait)

    async def receive_events(self, lease: q.Lease, request: q.ReceiveEvents, entry: q.NewEntry) -> Sequence[r.Event]:
        return await self.write(streams.receive_events, lease, request, entry)

    async def create_callback(self, lease: q.Lease, new: q.NewCallback, entry: q.NewEntry) -> r.Callback:
        return await self.write(callbacks.create_callback, lease, new, entry)

    async def resolve_callback(self, request: q.ResolveCallback) -> r.Callback:
        return await self.write(callbacks.resolve_callback, request)

    async def beat_callback(self, token_digest: str, details: str | None) -> r.Callback:
        return await self.write(callbacks.beat_callback, token_digest, details)

    async def beat(self, lease: q.Lease, key: str, details: str) -> None:
        await self.write(liveness.beat, lease, key, details)

    async def last_beat(self, run_id: str, key: str) -> str | None:
        return await self.glance(liveness.last_beat, run_id, key)

    async def admit(self, rule: q.BreakerRule) -> datetime | None:
        if await self.glance(liveness.is_clean, rule.key):
            return None
        return await self.write(liveness.admit, rule)

    async def report(self, rule: q.BreakerRule, *, ok: bool) -> None:
        if not (ok and await self.glance(liveness.is_clean, rule.key)):
            await self.write(liveness.report, rule, ok)

    async def register_worker(
        self,
        *,
        host: str,
        pid: int,
        started: str,
        lease_for: timedelta,
        tasks: Sequence[str] = (),
        labels: Sequence[str] = (),
        lacks: Mapping[str, Sequence[str]] | None = None,
        queues: Sequence[str] = (),
    ) -> r.Worker:
        new = q.NewWorker(
            host=host,
            pid=pid,
            started=started,
            lease_for=lease_for,
            tasks=tasks,
            labels=labels,
            lacks=lacks or {},
            queues=queues,
        )
        return await self.write(maintenance.register_worker, new)

    async def drain_worker(self, worker_id: str) -> None:
        await self.write(maintenance.drain_worker, worker_id)

    async def retire_worker(self, worker_id: str) -> None:
        await self.write(maintenance.retire_worker, worker_id)

    async def held(self, worker_id: str) -> Mapping[str, tuple[int, bool]]:
        return await self.glance(maintenance.held, worker_id)

    async def sweep(self, *, limit: int, max_recoveries: int) -> int:
        return await self.write(maintenance.sweep, limit, max_recoveries)

    async def bury(self, worker_ids: Collection[str]) -> None:
        await self.write(maintenance.bury, worker_ids)

    async def expire(self, *, limit: int) -> int:
        return await self.write(maintenance.expire, limit)

    async def next_due_at(self) -> datetime | None:
        return await self.glance(maintenance.next_due_at)

    async def prune(self, request: q.Prune) -> r.Pruned:
        return await self.write(pruning.prune, request)

    async def prunable(self, request: q.Prune) -> r.Pruned:
        return await self.read(pruning.prunable, request)

    async def forget_workers(self) -> int:
        return await self.write(restoring.forget_workers)

    async def mark_restored(self, request: q.MarkRestored) -> r.Restored:
        return await self.write(restoring.mark_restored, request)

    async def withhold(self, *, by: str, reason: str) -> r.Withheld:
        return await self.write(restoring.withhold, by, reason)

    async def declare_queues(self, declared: Sequence[q.DeclareQueue]) -> None:
        await self.write(queues.declare_queues, declared)

    async def change_queue(self, request: q.ChangeQueue) -> r.QueueState:
        return await self.write(queues.change_queue, request)

    async def queues(self) -> Sequence[r.QueueState]:
        return await self.read(queues.queues)

    async def queue_changes(self, queue: str, *, limit: int = 50) -> Sequence[r.QueueChange]:
        return await self.read(queues.queue_changes, queue, limit)

    async def queue_place(self, run_id: str) -> r.QueuePlace:
        return await self.read(standing.place_of, run_id)

    async def run(self, run_id: str) -> r.Run:
        return await self.read(runs.get, run_id)

    async def runs(self, which: q.RunFilter) -> r.Page[r.Run]:
        return await self.read(reads.runs, which)

    async def entries(self, run_id: str, *, after: int = 0, limit: int | None = None) -> Sequence[r.Entry]:
        return await self.read(reads.entries, run_id, after, limit)

    async def logs(self, run_id: str) -> Sequence[r.LogLine]:
        return await self.read(reads.logs, run_id)

    async def waits(self, run_id: str) -> Sequence[r.Wait]:
        return await self.read(reads.waits, run_id)

    async def approval(self, approval_id: str) -> r.Approval:
        return await self.read(decisions.get, approval_id)

    async def approvals(self, which: q.ApprovalFilter) -> r.Page[r.Approval]:
        return await self.read(reads.approvals, which)

    async def events(self, *, name: str | None = None, limit: int = 50) -> Sequence[r.Event]:
        return await self.read(events.latest, name, limit)

    async def callback(self, token_digest: str) -> r.Callback:
        return await self.read(callbacks.get, token_digest)

    async def callbacks(self, run_id: str) -> Sequence[r.Callback]:
        return await self.read(callbacks.of_run, run_id)

    async def counts(self) -> r.Counts:
        return await self.read(reads.counts)

    async def workers(self) -> Sequence[r.Worker]:
        return await self.read(reads.workers)

    async def head(self) -> int:
        return await self.read(reads.head)

    async def feed(self, *, after: int, limit: int) -> Sequence[r.Entry]:
        return await self.read(reads.feed, after, limit)
