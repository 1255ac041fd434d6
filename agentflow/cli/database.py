"""The database itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import typer

from agentflow.cli.command import command
from agentflow.cli.terminal import Terminal, write

if TYPE_CHECKING:
    from agentflow.records import Counts

PANEL = "Database"


def register(application: typer.Typer) -> None:
    """Add these commands, as a group of their own."""
    group = typer.Typer(help="Look after the database.", no_args_is_help=True)
    command(group, "check", panel=PANEL)(check)
    application.add_typer(group, name="db", rich_help_panel=PANEL)


def check(terminal: Terminal) -> int:
    """Open the database, bring it up to date, check that it is whole, and count what is in it."""
    counts = asyncio.run(_counts(terminal))
    runs = {str(status): count for status, count in counts.runs.items()}
    document = {
        "database": terminal.database,
        "ok": True,
        "runs": runs,
        "pending_approvals": counts.pending_approvals,
    }

    def write_all() -> None:
        write(f"{terminal.database} is whole and up to date", "green")
        write("  runs       " + (", ".join(f"{count} {status}" for status, count in runs.items()) or "none"))
        write(f"  approvals  {counts.pending_approvals} pending")

    terminal.answer(document, write_all)
    return 0


async def _counts(terminal: Terminal) -> Counts:
    from agentflow.cli.session import opened

    with terminal.progress(f"checking {terminal.database}"):
        async with opened(terminal) as client:
            return await client.counts()
