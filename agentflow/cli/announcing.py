"""What a program that runs for long says once it has started: where it listens, on which database, what it takes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from agentflow.cli.addresses import address_of
from agentflow.cli.terminal import write
from agentflow.settings import shown_url

if TYPE_CHECKING:
    from agentflow.cli.serving import Parts
    from agentflow.cli.targets import Application
    from agentflow.cli.terminal import Terminal
    from agentflow.tasks.catalog import Catalog


def announce(terminal: Terminal, application: Application | None, parts: Parts) -> None:
    """Say it, as a document or in lines."""
    catalog = application.catalog if application else None
    found = _found(catalog, parts)
    addresses = {
        "address": address_of(parts.listener) if parts.listener else None,
        "health": address_of(parts.health) if parts.health else None,
    }
    document = {
        **addresses,
        "database": shown_url(terminal.database),
        **found,
        "worker": parts.worker,
        "pid": os.getpid(),
    }
    lines = {
        "inbox": addresses["address"],
        "health": addresses["health"],
        "database": document["database"],
        "schedules": str(found["schedules"] or ""),
        **{name: ", ".join(found[name]) for name in ("tasks", "labels", "queues", "webhooks")},
    }

    def write_all() -> None:
        for name, text in lines.items():
            if text:
                write(f"{name:<10} {text}")

    terminal.answer(document, write_all)
    for name, lacks in found["leaves"].items():
        terminal.note(f"leaves {name} to others: it needs {' and '.join(lacks)}; --label says what this worker has")
    terminal.note("Ctrl-C stops it")


def _found(catalog: Catalog | None, parts: Parts) -> dict[str, Any]:
    """What of the application this program serves; a worker may leave some of it to others."""
    settings = parts.settings
    return {
        "tasks": [name for name in sorted(catalog.tasks) if not settings.tasks or name in settings.tasks]
        if catalog
        else [],
        "schedules": len(catalog.schedules) if catalog and parts.schedules else 0,
        "webhooks": sorted(catalog.webhooks) if catalog and parts.listener else [],
        "labels": list(settings.labels),
        "queues": list(settings.queues),
        "leaves": dict(catalog.lacks(settings.labels, settings.tasks)) if catalog and parts.worker else {},
    }
