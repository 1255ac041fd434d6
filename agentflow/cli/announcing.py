"""What a program that runs for long says once it has started: where it listens, on which database, what it takes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from agentflow.cli.addresses import address_of
from agentflow.cli.terminal import write
from agentflow.settings import database_url, shown_url

if TYPE_CHECKING:
    from agentflow.cli.serving import Parts
    from agentflow.cli.targets import Application
    from agentflow.cli.terminal import Terminal
    from agentflow.tasks.catalog import Catalog


TO_BEGIN: Final = "agentflow tokens create YOUR-NAME --all"


def announce(terminal: Terminal, application: Application | None, parts: Parts, *, unopened: bool = False) -> None:
    """Say it, as a document or in lines; and what to do where `unopened` pages let nobody in yet."""
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
        "dev": parts.dev,
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
    if parts.listener and parts.dev:
        terminal.note("--dev: whoever is on this machine may do everything, without a token")
    if unopened:
        terminal.note(f"nobody can sign in yet; `{TO_BEGIN}{_of_database(terminal)}` makes a token for it")
    terminal.note("Ctrl-C stops it")


def _of_database(terminal: Terminal) -> str:
    """The option that names this program's database to another, where that would not find it by itself."""
    return "" if terminal.database == database_url() else f" --database {terminal.place}"


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
