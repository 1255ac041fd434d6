"""Who executes runs: the workers that have a lease, what each takes, and whether it is about to end."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from agentflow.cli.command import command
from agentflow.cli.terminal import Terminal, write_table

if TYPE_CHECKING:
    from datetime import datetime

    import typer

    from agentflow.records import Worker

ALIVE, DRAINING, LOST = "alive", "draining", "lost"


def register(application: typer.Typer) -> None:
    """Add this command."""
    command(application, "workers", panel="Runs")(workers)


def workers(terminal: Terminal) -> int:
    """List the workers: where each runs, which tasks and queues it takes, its labels, and whether it is ending."""
    return asyncio.run(_listed(terminal))


async def _listed(terminal: Terminal) -> int:
    from agentflow.cli.session import opened
    from agentflow.cli.views import age

    async with opened(terminal) as client:
        now, found = client.now(), await client.workers()
    documents = [worker_document(one, now) for one in found]

    def write_all() -> None:
        rows = [
            (
                one["id"],
                one["state"],
                f"{one['host']} ({one['pid']})",
                age(worker.started_at, now),
                _listing(one["tasks"]),
                _listing(one["labels"]),
                _listing(one["queues"]) or "all",
            )
            for one, worker in zip(documents, found, strict=True)
        ]
        write_table(("id", "state", "host (process)", "age", "tasks", "labels", "queues"), rows)

    terminal.answer(documents, write_all)
    if not found:
        terminal.note("no worker is running; `agentflow worker app.py` starts one")
    return 0


def state_of(worker: Worker, now: datetime) -> str:
    """Whether the worker takes runs, is ending, or has not renewed its lease in time."""
    if worker.lease_until <= now:
        return LOST
    return ALIVE if worker.draining_at is None else DRAINING


def worker_document(worker: Worker, now: datetime) -> dict[str, Any]:
    """The worker for a program. `lacks` names tasks it knows and leaves to others, with the labels it lacks."""
    return {
        "id": worker.id,
        "state": state_of(worker, now),
        "host": worker.host.partition(":")[0],
        "pid": worker.pid,
        "started_at": worker.started_at.isoformat(),
        "lease_until": worker.lease_until.isoformat(),
        "draining_at": worker.draining_at.isoformat() if worker.draining_at else None,
        "tasks": json.loads(worker.tasks),
        "lacks": json.loads(worker.lacks),
        "labels": json.loads(worker.labels),
        "queues": json.loads(worker.queues),
    }


def _listing(names: list[str]) -> str:
    return ", ".join(name for name in names if not name.endswith("@*"))
