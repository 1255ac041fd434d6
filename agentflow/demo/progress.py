"""The review seen from outside its runs, through a client: begun or found again, followed, and approved unattended."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentflow.demo.distributions import digest_of
from agentflow.demo.report import JSON_FILE, MARKDOWN
from agentflow.errors import Conflict
from agentflow.states import RunStatus, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentflow import Client
    from agentflow.demo.findings import Review
    from agentflow.records import Approval, Run

PARENT: Final = "licence_review"
AUTOMATIC: Final = "auto-approve"
PAGE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The parent run of a review. `is_done` when it had ended before and its report is there to be read."""

    run: Run
    is_new: bool = False
    is_done: bool = False
    replaced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a review is."""

    total: int
    finished: int = 0
    waiting: int = 0
    stuck: int = 0

    @property
    def sentence(self) -> str:
        """The same in words."""
        waiting = f", {self.waiting} waiting for a person" if self.waiting else ""
        stuck = f", {self.stuck} in need of an operator" if self.stuck else ""
        return f"{self.finished} of {self.total} reviewed{waiting}{stuck}"

    @property
    def is_stuck(self) -> bool:
        """Whether nothing but an operator can move the review on."""
        return self.stuck > 0 and self.finished + self.stuck == self.total


@dataclass(slots=True)
class Deputy:
    """Decides the pending approvals of one review unattended, as itself and never as a person."""

    client: Client
    review_id: str
    _owners: dict[str, str | None] = field(default_factory=dict)

    async def decide_all(self) -> int:
        """How many it decided: what has a proposal is approved, what has none is rejected, for it cannot guess."""
        decided = 0
        async for approval in _pending(self.client):
            if await self._parent_of(approval.run_id) == self.review_id:
                decided += await self._decide(approval)
        return decided

    async def _decide(self, approval: Approval) -> bool:
        may_approve = Verdict.APPROVE in approval.allowed
        try:
            await self.client.decide(
                approval.id,
                Verdict.APPROVE if may_approve else Verdict.REJECT,
                by=AUTOMATIC,
                channel="cli",
                comment="" if may_approve else "there is no proposal to approve unattended",
            )
        except Conflict:
            return False  # a person was faster
        return True

    async def _parent_of(self, run_id: str) -> str | None:
        if run_id not in self._owners:
            self._owners[run_id] = (await self.client.run(run_id)).parent_id
        return self._owners[run_id]


async def begin(client: Client, review: Review, *, again: bool = False) -> Begun:
    """The run of this review: the one that is under way, the one that wrote the report that is there, or a new one.

    Reviews of the same folder whose distributions or policy differ from these are cancelled: two would overwrite each
    other's report.
    """
    folder = f"licence-review/{_short(review.output)}/"
    same = f"{folder}{digest_of(review.distributions)}-{_short(review.policy.model_dump_json())}/"
    earlier = [run async for run in _runs(client, task=PARENT) if (run.idempotency_key or "").startswith(folder)]
    ours = [run for run in earlier if (run.idempotency_key or "").startswith(same)]
    replaced = await _cancel(client, [run for run in earlier if run not in ours or again])
    if ours and not again:
        latest = max(ours, key=lambda run: run.created_at)
        if not latest.is_finished:
            return Begun(run=latest, replaced=replaced)
        if latest.status is RunStatus.COMPLETED and _has_report(review):
            return Begun(run=latest, is_done=True, replaced=replaced)
    run = await client.trigger_json(
        PARENT, {"review": review.model_dump()}, idempotency_key=f"{same}{len(ours) + 1}", origin="demo"
    )
    return Begun(run=run, is_new=True, replaced=replaced)


async def progress_of(client: Client, review_id: str, total: int) -> Progress:
    """Where the runs of the review's distributions are."""
    children = [run async for run in _runs(client, parent_id=review_id)]
    return Progress(
        total=total,
        finished=sum(run.is_finished for run in children),
        waiting=sum(run.status is RunStatus.WAITING for run in children),
        stuck=sum(run.status is RunStatus.NEEDS_ATTENTION for run in children),
    )


async def _cancel(client: Client, runs: list[Run]) -> tuple[str, ...]:
    still_open = [run.id for run in runs if not run.is_finished]
    for run_id in still_open:
        await client.cancel(run_id, by="agentflow demo", reason="another review of the same folder was started")
    return tuple(still_open)


async def _runs(client: Client, *, task: str | None = None, parent_id: str | None = None) -> AsyncIterator[Run]:
    cursor: str | None = None
    while True:
        page = await client.runs(task=task, parent_id=parent_id, cursor=cursor, limit=PAGE)
        for run in page.items:
            yield run
        cursor = page.next_cursor
        if cursor is None:
            return


async def _pending(client: Client) -> AsyncIterator[Approval]:
    cursor: str | None = None
    while True:
        page = await client.approvals(pending=True, cursor=cursor, limit=PAGE)
        for approval in page.items:
            yield approval
        cursor = page.next_cursor
        if cursor is None:
            return


def _has_report(review: Review) -> bool:
    return all((Path(review.output) / name).is_file() for name in (MARKDOWN, JSON_FILE))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
