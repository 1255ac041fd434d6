"""Records as the JSON documents `--json` prints. Their keys are a promise to scripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentflow.payloads import readable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agentflow.records import Approval, Decision, Entry, LogLine, Run
    from agentflow.tasks.task import Task


def run_summary(run: Run) -> dict[str, Any]:
    """A run in a listing."""
    return {
        "id": run.id,
        "task": run.task,
        "status": str(run.status),
        "version": run.version,
        "queue": run.queue,
        "origin": run.origin,
        "parent_id": run.parent_id,
        "attempt": run.attempt,
        "created_at": instant(run.created_at),
        "started_at": instant(run.started_at),
        "finished_at": instant(run.finished_at),
        "available_at": instant(run.available_at),
        "tags": plain(run.tags) or [],
        "metadata": plain(run.metadata),
    }


def run_result(run: Run) -> dict[str, Any]:
    """How a run ended, or that it has not."""
    return {"id": run.id, "status": str(run.status), "output": payload(run.output), "error": failure(run.error)}


def run_document(run: Run, *, why: str, entries: Sequence[Entry], logs: Sequence[LogLine]) -> dict[str, Any]:
    """Everything about one run."""
    return {
        **run_summary(run),
        **run_result(run),
        "input": payload(run.input),
        "why": why,
        "journal": [entry_document(entry) for entry in entries],
        "logs": [
            {
                "at": instant(line.at),
                "level": line.level,
                "logger": line.logger,
                "message": line.message,
                "key": line.key,
            }
            for line in logs
        ],
    }


def entry_document(entry: Entry) -> dict[str, Any]:
    """A journal entry; `took` is in seconds."""
    return {
        "seq": entry.seq,
        "kind": str(entry.kind),
        "key": entry.key,
        "operation": entry.operation,
        "epoch": entry.epoch,
        "attempt": entry.attempt,
        "at": instant(entry.at),
        "took": None if entry.took is None else entry.took.total_seconds(),
        "input": payload(entry.input),
        "output": payload(entry.output),
        "error": failure(entry.error),
        "detail": plain(entry.detail),
    }


def approval_document(approval: Approval) -> dict[str, Any]:
    """An approval: what is asked, about which data, and the decision once there is one."""
    return {
        "id": approval.id,
        "title": approval.title,
        "status": str(approval.status),
        "data": plain(approval.data),
        "summary": approval.summary,
        "reason": approval.reason,
        "run_id": approval.run_id,
        "task": approval.task,
        "key": approval.key,
        "allow": [str(verdict) for verdict in approval.allowed],
        "risk": approval.risk,
        "priority": approval.priority,
        "confidence": approval.confidence,
        "evidence": plain(approval.evidence),
        "tags": plain(approval.tags),
        "schema": plain(approval.schema),
        "version": approval.version,
        "created_at": instant(approval.created_at),
        "deadline_at": instant(approval.deadline_at),
        "decided_at": instant(approval.decided_at),
        "decided_by": approval.decided_by,
        "comment": approval.comment,
        "final": plain(approval.final),
    }


def decision_document(decision: Decision) -> dict[str, Any]:
    """The receipt of a decision."""
    return {
        "id": decision.id,
        "approval_id": decision.approval_id,
        "run_id": decision.run_id,
        "outcome": str(decision.outcome),
        "decided_by": decision.decided_by,
        "comment": decision.comment,
        "decided_at": instant(decision.decided_at),
        "data": plain(decision.final),
    }


def task_document(task: Task[..., Any]) -> dict[str, Any]:
    """A task as a caller needs to know it."""
    return {
        "id": task.id,
        "version": task.version,
        "queue": task.queue,
        "max_duration": None if task.max_duration is None else task.max_duration.total_seconds(),
        "input": task.signature.json_schema(),
        "schedules": [{"id": one.id, "rule": one.rule, "timezone": one.timezone} for one in task.schedules],
        "webhooks": [one.path for one in task.webhooks],
    }


def instant(at: datetime | None) -> str | None:
    """An instant as ISO 8601, in UTC."""
    return None if at is None else at.isoformat()


def payload(text: str | None) -> Any:
    """A stored value of a run, without the tags that tell its types."""
    return None if text is None else readable(text)


def failure(text: str | None) -> dict[str, Any] | None:
    """A stored failure: its class, its message, where it was raised, and what caused it."""
    return None if text is None else _failure(readable(text))


def _failure(stored: Any) -> dict[str, Any]:
    if not isinstance(stored, dict):
        return {"type": "", "message": str(stored), "traceback": "", "cause": None}
    cause = stored.get("cause")
    return {
        "type": stored.get("type", ""),
        "message": stored.get("message", ""),
        "traceback": stored.get("traceback", ""),
        "cause": None if cause is None else _failure(cause),
    }


def plain(text: str | None) -> Any:
    """Stored JSON as it is; text that is no JSON stays text."""
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
