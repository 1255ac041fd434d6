"""Stores under test, and short ways to bring a run into any state by the store's own verbs."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from agentflow.ids import APPROVAL, new_id
from agentflow.payloads import digest
from agentflow.requests import (
    ApprovalFilter,
    ClaimRuns,
    Completed,
    Decide,
    Lease,
    NewApproval,
    NewEntry,
    OpenWait,
    RunFilter,
    TriggerRun,
)
from agentflow.states import EntryKind, Verdict, WaitKind
from agentflow.store import Store, open_store
from agentflow.testing import FakeClock
from tests.support.postgres import postgres_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from agentflow.records import Approval, Entry, Run

LEASE = timedelta(seconds=30)
PATIENCE = 60.0


@dataclass
class Database:
    """A fresh database of one kind, its clock, and as many stores on it as a test opens."""

    url: str
    clock: FakeClock
    opened: list[Store] = field(default_factory=list)

    async def open(self) -> Store:
        """Another store on this database, as another process would have; closed with the test."""
        store = await open_store(self.url, clock=self.clock)
        self.opened.append(store)
        return store


@asynccontextmanager
async def database_of(kind: str, folder: Path) -> AsyncIterator[Database]:
    """A fresh database of this kind, "sqlite" or "postgres"."""
    if kind == "postgres":
        async with postgres_database() as url:
            database = Database(url, FakeClock())
            yield database
            for store in database.opened:
                await store.close()
        return
    path = folder / "agentflow.db"
    path.write_bytes(await _empty_sqlite(folder / "empty.db"))
    database = Database(f"sqlite:///{path}", FakeClock())
    yield database
    for store in database.opened:
        await store.close()


_EMPTY: dict[str, bytes] = {}


async def _empty_sqlite(path: Path) -> bytes:
    """A database with our schema and nothing in it, migrated once for all tests; tests/store migrates anew."""
    if "sqlite" not in _EMPTY:
        store = await open_store(f"sqlite:///{path}")
        await store.close()
        _EMPTY["sqlite"] = await asyncio.to_thread(path.read_bytes)
    return _EMPTY["sqlite"]


async def until(condition: Any, *, within: float = PATIENCE) -> None:
    """Return once `condition()` holds; fail if it does not in time. For what other processes and threads do."""
    loop = asyncio.get_running_loop()
    last = loop.time() + within
    while not condition():
        assert loop.time() < last, f"not so within {within} s: {condition}"
        await asyncio.sleep(0.002)


# -- requests


def a_trigger(task: str = "review", input: str = '{"n":1}', **given: Any) -> TriggerRun:
    return TriggerRun(task=task, version="1", input=input, **given)


def an_entry(key: str = "fetch#1", kind: EntryKind = EntryKind.SUCCEEDED, **given: Any) -> NewEntry:
    return NewEntry(kind=kind, key=key, operation="step", **given)


def an_approval(now: datetime, **given: Any) -> NewApproval:
    """An approval of `{"total": 10}` that allows every verdict and never times out, but for what is given."""
    data = given.pop("data", '{"total":10}')
    values: dict[str, Any] = {
        "id": new_id(APPROVAL, now),
        "title": "Invoice 17",
        "summary": "",
        "body": "",
        "reason": "",
        "risk": "",
        "priority": 0,
        "confidence": None,
        "field_confidence": "{}",
        "evidence": "{}",
        "tags": "{}",
        "allow": (Verdict.APPROVE, Verdict.CORRECT, Verdict.REJECT),
        "data": data,
        "schema": "{}",
        "digest": digest(data),
        "timeout": None,
        "on_timeout": "reject",
        "default": None,
    }
    return NewApproval(**values | given)


def a_gate(store: Store, key: str = "approval#1", *, replaces: str | None = None, **given: Any) -> OpenWait:
    """A wait for an approval."""
    asked = an_approval(store.now(), **given)
    return OpenWait(key=key, kind=WaitKind.APPROVAL, subject=asked.id, approval=asked, replaces=replaces)


def a_timer(store: Store, key: str = "sleep#1", *, after: timedelta = timedelta(hours=1)) -> OpenWait:
    return OpenWait(key=key, kind=WaitKind.TIMER, due_at=store.now() + after)


def a_decision(approval_id: str, verdict: Verdict = Verdict.APPROVE, **given: Any) -> Decide:
    values: dict[str, Any] = {"id": f"dec_{approval_id}_{verdict}", "decided_by": "mia", "channel": "api"}
    return Decide(approval_id=approval_id, verdict=verdict, **values | given)


# -- states


async def a_worker(store: Store, host: str = "one") -> str:
    """The id of a worker with a fresh lease."""
    return (await store.register_worker(host=host, pid=7, started="", lease_for=LEASE)).id


async def claimed(
    store: Store, *, worker: str | None = None, limit: int = 1, task: str = "review", queues: Sequence[str] = ()
) -> list[Lease]:
    """Leases of whatever is due, for a worker that is registered here unless given."""
    worker = worker or await a_worker(store)
    found = await store.claim(ClaimRuns(worker_id=worker, tasks=(task,), limit=limit, queues=queues))
    return [one.lease for one in found]


async def a_turn(store: Store, *, worker: str | None = None, **given: Any) -> Lease:
    """The lease of a new run that has just been claimed."""
    made = await store.trigger(a_trigger(**given))
    for lease in await claimed(store, worker=worker, limit=1000, task=made.task):
        if lease.run_id == made.id:
            return lease
    raise AssertionError(f"run {made.id} was not claimed")


async def a_gated_run(store: Store, *, trigger: dict[str, Any] | None = None, **given: Any) -> Approval:
    """The pending approval of a new run that is parked on it."""
    lease = await a_turn(store, **trigger or {})
    gate = a_gate(store, **given)
    await store.park(lease, [gate], [gate.key])
    assert gate.subject is not None
    return await store.approval(gate.subject)


async def a_child(store: Store, lease: Lease, *, key: str = "review#1", **given: Any) -> Run:
    """A child run of the lease's run."""
    (child,) = await store.trigger_child(lease, [a_trigger(**{"task": "child"} | given)], an_entry(key))
    return child


def a_wait_for(child: Run, key: str = "review#1") -> OpenWait:
    return OpenWait(key=key, kind=WaitKind.CHILD, subject=child.id)


async def completed(store: Store, run_id: str, task: str, output: str = '"done"') -> None:
    """Let a new turn complete the run, which must be due."""
    for lease in await claimed(store, limit=1000, task=task):
        if lease.run_id == run_id:
            await store.finish(lease, Completed(output))
            return
    raise AssertionError(f"run {run_id} was not due")


# -- what is stored


async def kinds_of(store: Store, run_id: str) -> list[EntryKind]:
    return [entry.kind for entry in await store.entries(run_id)]


async def last_entry(store: Store, run_id: str) -> Entry:
    return (await store.entries(run_id))[-1]


async def approvals_of(store: Store, run_id: str) -> Sequence[Approval]:
    return (await store.approvals(ApprovalFilter(pending=None, run_id=run_id))).items


async def everything_of(store: Store, run_id: str) -> dict[str, Any]:
    """All that is stored about a run and its children: equal before and after means that nothing was written."""
    children = (await store.runs(RunFilter(parent_id=run_id))).items
    return {
        "run": await store.run(run_id),
        "journal": await store.entries(run_id),
        "waits": await store.waits(run_id),
        "approvals": await approvals_of(store, run_id),
        "children": children,
        "counts": await store.counts(),
    }
