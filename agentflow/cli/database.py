"""The database itself: its schema, and whether it is whole. Its neighbours copy, prune and move it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentflow.cli import copies, moving, pruning
from agentflow.cli.command import command
from agentflow.cli.exits import ExitCode, Refused
from agentflow.cli.terminal import Terminal, write

if TYPE_CHECKING:
    from agentflow.records import Counts
    from agentflow.store.keeping.checking import Finding

PANEL = "Database"

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


def register(application: typer.Typer) -> None:
    """Add these commands, as a group of their own."""
    group = typer.Typer(help="Look after the database.", no_args_is_help=True)
    bodies: dict[str, Any] = {
        "upgrade": upgrade,
        "check": check,
        "backup": copies.backup,
        "restore": copies.restore,
        "restored": copies.restored,
        "prune": pruning.prune,
        "move": moving.move,
    }
    for name, body in bodies.items():
        command(group, name, panel=PANEL)(body)
    application.add_typer(group, name="db", rich_help_panel=PANEL)


# -- upgrade


def upgrade(terminal: Terminal, *, dry_run: DryRun = False) -> int:
    """Bring the database to this release's schema, under a lock; every program does so when it starts, too."""
    from agentflow.cli.session import missing_database
    from agentflow.store.keeping.places import place_of
    from agentflow.store.revision import SCHEMA

    if sentence := missing_database(terminal.database):
        raise Refused(sentence, ExitCode.UNUSABLE)
    with place_of(terminal.database) as place:
        before, shown = place.revision(), place.shown
    from agentflow.store.keeping.upgrading import steps

    lacks = [] if before is not None and before >= SCHEMA else steps(before)
    if not dry_run:
        asyncio.run(_upgraded(terminal))  # refuses a schema newer than this program, too
    document = {
        "database": shown,
        "dry_run": dry_run,
        "from": before,
        "to": SCHEMA,
        "migrations": [{"revision": revision, "for": said} for revision, said in lacks],
    }
    terminal.answer(document, lambda: _write_steps(shown, before, lacks, dry_run=dry_run))
    return ExitCode.OK


async def _upgraded(terminal: Terminal) -> None:
    from agentflow.store import open_store

    with terminal.progress(f"upgrading {terminal.database}"):
        await (await open_store(terminal.database)).close()


def _write_steps(shown: str, before: str | None, lacks: list[tuple[str, str]], *, dry_run: bool) -> None:
    if not lacks:
        write(f"{shown} is up to date (schema {before})", "green")
        return
    done = "would go" if dry_run else "went"
    write(f"{shown} {done} from {'no schema' if before is None else before} to {lacks[-1][0]}", "green")
    for revision, said in lacks:
        write(f"  {revision}  {said}")


# -- check


def check(terminal: Terminal) -> int:
    """Check that the database is whole and keeps agentflow's promises, and count what is in it; exit 1 if not."""
    from agentflow.cli.session import missing_database
    from agentflow.store.keeping.checking import check as find
    from agentflow.store.keeping.places import place_of, require_present
    from agentflow.store.revision import SCHEMA

    if sentence := missing_database(terminal.database):
        raise Refused(sentence, ExitCode.UNUSABLE)
    with terminal.progress(f"checking {terminal.database}") as heard, place_of(terminal.database) as place:
        shown = place.shown
        require_present(place, SCHEMA)
        findings = list(find(place, lambda said: heard(f"checking {shown}: {said}")))
    counts = asyncio.run(_counts(terminal))
    runs = {str(status): count for status, count in counts.runs.items()}
    document = {
        "database": shown,
        "ok": not findings,
        "findings": [{"what": one.said, "count": one.count, "ids": list(one.ids)} for one in findings],
        "runs": runs,
        "pending_approvals": counts.pending_approvals,
    }
    terminal.answer(document, lambda: _write_findings(shown, findings, runs, counts))
    return ExitCode.FAILED if findings else ExitCode.OK


def _write_findings(shown: str, findings: list[Finding], runs: dict[str, int], counts: Counts) -> None:
    if not findings:
        write(f"{shown} is whole and up to date", "green")
    for one in findings:
        more = ", …" if one.count > len(one.ids) else ""
        write(f"{one.count} {one.said}: {', '.join(one.ids)}{more}", "red")
    if findings:
        write(f"{shown} is damaged, or was written past agentflow; keep it, and go on from a backup", "red")
    write("  runs       " + (", ".join(f"{count} {status}" for status, count in runs.items()) or "none"))
    write(f"  approvals  {counts.pending_approvals} pending")


async def _counts(terminal: Terminal) -> Counts:
    from agentflow.cli.session import opened

    async with opened(terminal) as client:
        return await client.counts()
