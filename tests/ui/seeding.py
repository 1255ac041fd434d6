"""Runs and requests for page tests, made with the store's own verbs: what the pages read is what a worker leaves."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from agentflow.approvals import approval_digest, describe
from agentflow.failures import Failure
from agentflow.ids import APPROVAL, new_id
from agentflow.payloads import encode
from agentflow.requests import (
    ClaimRuns,
    Completed,
    Failed,
    NeedsAttention,
    NewApproval,
    NewEntry,
    OpenWait,
    TriggerRun,
)
from agentflow.states import EntryKind, Verdict, WaitKind

if TYPE_CHECKING:
    from agentflow.records import Approval, Run
    from agentflow.store.base import Claimed, Store

ALL = (Verdict.APPROVE, Verdict.CORRECT, Verdict.REJECT)


@dataclass
class Seeds:
    """Makes runs in one store, one claimed turn at a time."""

    store: Store
    worker_id: str = ""
    approvals: list[str] = field(default_factory=list)

    async def claimed(self, task: str = "extract_invoice", *, input: Any = None, origin: str = "api") -> Claimed:
        """A run that a worker holds."""
        if not self.worker_id:
            lease = timedelta(minutes=10)
            worker = await self.store.register_worker(host="test", pid=1, started="0", lease_for=lease)
            self.worker_id = worker.id
        given = {"document_url": "https://example.test/invoices/4711.pdf"} if input is None else input
        await self.store.trigger(TriggerRun(task=task, version="1", input=encode(given), origin=origin))
        [claimed] = await self.store.claim(ClaimRuns(worker_id=self.worker_id, tasks=[task], limit=1))
        return claimed

    async def claimed_again(self, run_id: str) -> Claimed:
        """The next turn of a run that was woken."""
        run = await self.store.run(run_id)
        [claimed] = await self.store.claim(ClaimRuns(worker_id=self.worker_id, tasks=[run.task], limit=1))
        return claimed

    async def did(self, claimed: Claimed, key: str, **entry: Any) -> None:
        """One succeeded operation, or whatever `kind` says."""
        values = {"kind": EntryKind.SUCCEEDED, "operation": "step", "took": 41_200, "output": encode({"ok": True})}
        await self.store.append(claimed.lease, NewEntry(key=key, **(values | entry)))

    async def asks(
        self,
        data: Any,
        *,
        title: str = "Invoice 4711",
        claimed: Claimed | None = None,
        key: str = "review#1",
        **more: Any,
    ) -> Approval:
        """A run that waits for a decision about `data`."""
        held = claimed or await self.claimed(more.pop("task", "extract_invoice"))
        new = new_approval(self.store, data, title=title, key=key, task=held.run.task, **more)
        wait = OpenWait(key=key, kind=WaitKind.APPROVAL, subject=new.id, approval=new)
        await self.store.park(held.lease, [wait], [key])
        self.approvals.append(new.id)
        return await self.store.approval(new.id)

    async def finished(self, task: str = "greet", output: Any = "done") -> Run:
        """A run that completed."""
        claimed = await self.claimed(task)
        await self.did(claimed, "compose#1")
        await self.store.finish(claimed.lease, Completed(encode(output)))
        return await self.store.run(claimed.run.id)

    async def failed(self, error: Exception, task: str = "import_orders") -> Run:
        """A run that failed for good, after an attempt that was tried again."""
        claimed = await self.claimed(task)
        failure = Failure.of(error).to_json()
        await self.did(claimed, "fetch#1", kind=EntryKind.ATTEMPT_FAILED, output=None, error=failure)
        await self.did(claimed, "fetch#1", kind=EntryKind.FAILED, output=None, error=failure, attempt=2)
        await self.store.finish(claimed.lease, Failed(failure))
        return await self.store.run(claimed.run.id)

    async def diverged(self, recorded: str, asked: str) -> Run:
        """A run whose code no longer fits its journal."""
        claimed = await self.claimed("nightly_report")
        await self.did(claimed, "collect#1")
        detail = json.dumps({"recorded": recorded, "asked": asked})
        error = Failure.of(RuntimeError(f"recorded {recorded}, asked {asked}")).to_json()
        await self.store.finish(claimed.lease, NeedsAttention(EntryKind.DIVERGED, error, detail))
        return await self.store.run(claimed.run.id)


def new_approval(store: Store, data: Any, *, title: str, key: str, task: str, **more: Any) -> NewApproval:
    """A request as `wait_for_approval` opens it."""
    described = describe(data)
    schema = more.pop("schema", described.schema)
    values: dict[str, Any] = {
        "id": new_id(APPROVAL, store.now()),
        "title": title,
        "summary": "",
        "body": "",
        "reason": "",
        "risk": "",
        "priority": 0,
        "confidence": None,
        "field_confidence": "{}",
        "evidence": "{}",
        "tags": "{}",
        "allow": ALL,
        "data": json.dumps(described.value),
        "schema": json.dumps(schema),
        "digest": approval_digest(task=task, key=key, value=described.value, schema=schema),
        "timeout": None,
        "on_timeout": "reject",
        "default": None,
    }
    texts = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in more.items()}
    return NewApproval(**(values | texts))
