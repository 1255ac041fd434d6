"""Removing what ended long ago."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentflow.cli.exits import ExitCode, Refused
from agentflow.cli.terminal import Terminal, write

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow.records import Pruned
    from agentflow.requests import Kept, Prune
    from agentflow.store.base import Store

OlderThan = Annotated[
    str, typer.Option("--older-than", metavar="SPAN", help="Such as 90d: what ended before that goes.")
]
Tasks = Annotated[list[str] | None, typer.Option("--task", metavar="TASK", help="Only runs of this task; repeatable.")]
Statuses = Annotated[
    list[str] | None, typer.Option("--status", metavar="STATUS", help="Only runs that ended so; repeatable.")
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="KIND",
        help="runs, logs, events, occurrences, deliveries or dispatches; repeatable. All these if left out. "
        "usage (what models cost) and threads (conversations) go only if named.",
    ),
]
KeepApprovals = Annotated[
    bool, typer.Option("--keep-approvals/--no-keep-approvals", help="Whether approvals and decisions stay readable.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count what would be removed, and remove nothing.")]
Vacuum = Annotated[
    bool, typer.Option("--vacuum", help="Give the space back to the disk; a SQLite file is rewritten for it.")
]


def prune(
    terminal: Terminal,
    *,
    older_than: OlderThan,
    task: Tasks = None,
    status: Statuses = None,
    only: Only = None,
    keep_approvals: KeepApprovals = True,
    dry_run: DryRun = False,
    vacuum: Vacuum = False,
) -> int:
    """Remove runs that ended long ago with all that is about them, and old log lines, events and deliveries.

    Never what is open, nor what something open may still need. Interrupt it at any time, and begin again.
    """
    from agentflow.durations import duration
    from agentflow.requests import Kept
    from agentflow.states import TERMINAL, RunStatus

    every: list[Kept] = [kind for kind in Kept if kind is not Kept.APPROVALS]
    kinds = [kind for kind in every if (kind in only if only else kind not in {Kept.USAGE, Kept.THREADS})]
    _require_known(only, [str(kind) for kind in every], "--only")
    _require_known(status, sorted(str(one) for one in TERMINAL), "--status")
    if task or status:
        if only and kinds != [Kept.RUNS]:
            raise Refused("--task and --status choose runs; wanted no other kind than runs with --only")
        kinds = [Kept.RUNS]
    given: dict[str, Any] = {"tasks": tuple(task or ()), "approvals": not keep_approvals}
    if status:
        given["statuses"] = tuple(RunStatus(one) for one in status)
    span = duration(older_than)
    counts = asyncio.run(_pruned(terminal, kinds, span, given, dry_run=dry_run))
    freed = None if dry_run or not vacuum else _vacuumed(terminal)
    return _answer(terminal, counts, dry_run=dry_run, freed=freed)


def _require_known(given: list[str] | None, wanted: list[str], option: str) -> None:
    unknown = [one for one in given or () if one not in wanted]
    if unknown:
        raise Refused(f"{option}: found {unknown[0]!r}; wanted one of {', '.join(wanted)}")


async def _pruned(
    terminal: Terminal, kinds: list[Kept], span: Any, given: dict[str, Any], *, dry_run: bool
) -> dict[Kept, Pruned]:
    from agentflow.cli.session import opened_store
    from agentflow.requests import Prune

    async with opened_store(terminal) as store:
        before = store.now() - span
        with terminal.progress("looking for what is old") as heard:
            return {
                kind: await _all(store, Prune(kind=kind, before=before, **given), heard, dry_run=dry_run)
                for kind in kinds
            }


async def _all(store: Store, request: Prune, heard: Callable[[str], None], *, dry_run: bool) -> Pruned:
    """Go through it page by page; again if something went, since what it was needed for may have gone with it."""
    from agentflow.records import Pruned

    total, first = Pruned(), request
    while True:
        found = await (store.prunable(request) if dry_run else store.prune(request))
        total = Pruned(removed=total.removed + found.removed, reduced=total.reduced + found.reduced)
        heard(f"{request.kind}: {total.removed + total.reduced} {'found' if dry_run else 'removed'}")
        if found.after is None:
            return total
        request = replace(first, after=found.after)


def _vacuumed(terminal: Terminal) -> int:
    """How many bytes smaller the file is."""
    from agentflow.store.keeping.space import give_back

    with terminal.progress("giving space back to the disk"):
        return give_back(terminal.database)


def _answer(terminal: Terminal, counts: dict[Kept, Pruned], *, dry_run: bool, freed: int | None) -> int:
    document = {
        "dry_run": dry_run,
        **{str(kind): {"removed": one.removed, "reduced": one.reduced} for kind, one in counts.items()},
        "bytes_given_back": freed,
    }
    done = "would be removed" if dry_run else "removed"

    def write_all() -> None:
        for kind, one in counts.items():
            said = f"{one.removed} {kind} {done}"
            write(said + (f", {one.reduced} more but for their approvals" if one.reduced else ""))
        if freed is not None:
            write(f"{freed} bytes given back to the disk")
        elif not dry_run and any(one.removed or one.reduced for one in counts.values()):
            write("their space is used again by what comes; --vacuum gives it back to the disk")

    terminal.answer(document, write_all)
    return ExitCode.OK
