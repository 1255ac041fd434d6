"""A run's history: what happened to it, as typed events."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from agentflow.cli.command import command
from agentflow.cli.runs import PANEL, RunId
from agentflow.cli.terminal import Terminal, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    import typer

    from agentflow.events import Event

_LONGEST = 160
_ABOUT = frozenset({"run_id", "seq", "at", "epoch", "attempt", "type", "key"})


def register(application: typer.Typer) -> None:
    """Add this command."""
    command(application, "history", panel=PANEL)(history)


def history(terminal: Terminal, run: RunId) -> int:
    """Tell what happened to a run, one event a line; with --json as the versioned document of docs/history.md."""
    return asyncio.run(_history(terminal, run))


async def _history(terminal: Terminal, given: str) -> int:
    from agentflow.cli.lookup import find_run
    from agentflow.cli.session import opened
    from agentflow.events import document

    async with opened(terminal) as client:
        found = await find_run(client, given)
        events = await client.history(found.id)
        terminal.answer(document(found.id, events), lambda: _write(events))
    return 0


def _write(events: Sequence[Event]) -> None:
    began = events[0].at if events else None
    for event in events:
        since = f"+{(event.at - began).total_seconds():.3f}s" if began is not None else ""
        told = event.to_json()
        name = f"{told['key']}  {event.type}" if told.get("key") else event.type
        write(f"  {event.seq:>4} {since:>12} {f'turn {event.epoch}' if event.epoch else '':<8} {name}{_said(told)}")


def _said(told: dict[str, Any]) -> str:
    """What there is to an event besides when and what it was, in a line."""
    parts = []
    for name, value in told.items():
        if name in _ABOUT or value in (None, "", [], {}):
            continue
        shown = value["message"] if name == "error" else value
        parts.append(f"{name}={shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)}")
    if told["attempt"] > 1:
        parts.insert(0, f"attempt {told['attempt']}")
    text = " ".join(", ".join(parts).split())
    return f": {text if len(text) <= _LONGEST else text[:_LONGEST] + '…'}" if text else ""
