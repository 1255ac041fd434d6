"""Steering runs, one or many: cancel, pause, resume, have them tried again; fork one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentflow.cli.command import command
from agentflow.cli.exits import ExitCode, Refused
from agentflow.cli.runs import PANEL, RunId
from agentflow.cli.selecting import Selection, selects
from agentflow.cli.terminal import Terminal, user, write

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from agentflow.client import BulkReport, Client
    from agentflow.records import Run
    from agentflow.requests import RunFilter

    One = Callable[[Client, str], Awaitable[Run]]
    Many = Callable[[Client, RunFilter], Awaitable[BulkReport]]

Reason = Annotated[str, typer.Option("--reason", "-m", metavar="TEXT", help="Kept in the journal.")]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", metavar="JSON|@FILE|-", help="What the operation returned whose end is not known; it is not run."
    ),
]


def register(application: typer.Typer) -> None:
    """Add these commands."""
    for name, body in (("cancel", cancel), ("pause", pause), ("resume", resume), ("retry", retry), ("fork", fork)):
        command(application, name, panel=PANEL)(body)


@selects
def cancel(terminal: Terminal, which: Selection, *, reason: Reason = "") -> int:
    """Cancel a run, its open approvals and its children, or every run that fits; what can be undone is undone first."""
    said = {"by": user(), "reason": reason}
    return _steer(
        terminal,
        which,
        "cancelled",
        lambda client, one: client.cancel(one, **said),
        lambda client, many: client.cancel_many(many, dry_run=which.dry_run, **said),
    )


@selects
def pause(terminal: Terminal, which: Selection, *, reason: Reason = "") -> int:
    """Pause a run, or every run that fits; one that is being executed stops at its next checkpoint."""
    said = {"by": user(), "reason": reason}
    return _steer(
        terminal,
        which,
        "paused",
        lambda client, one: client.pause(one, **said),
        lambda client, many: client.pause_many(many, dry_run=which.dry_run, **said),
    )


@selects
def resume(terminal: Terminal, which: Selection, *, output: Output = None) -> int:
    """Let a run go on that is paused or needs attention, or every paused run that fits."""
    from agentflow.cli.inputs import read_json

    if output is not None and which.run is None:
        raise Refused("--output is what one operation of one run returned; wanted a run's id with it")
    given = {} if output is None else {"output": read_json(output, option="--output")}
    return _steer(
        terminal,
        which,
        "resumed",
        lambda client, one: client.resume(one, by=user(), **given),
        lambda client, many: client.resume_many(many, by=user(), dry_run=which.dry_run),
    )


@selects
def retry(terminal: Terminal, which: Selection, *, reason: Reason = "") -> int:
    """Have a run that failed, expired or was cancelled tried again from where it failed, or every one that fits."""
    said = {"by": user(), "reason": reason}
    return _steer(
        terminal,
        which,
        "retried",
        lambda client, one: client.retry(one, **said),
        lambda client, many: client.retry_many(many, dry_run=which.dry_run, **said),
    )


def _steer(terminal: Terminal, which: Selection, done: str, one: One, many: Many) -> int:
    """Do it to one run, or to many; `done` is the word for what they then are."""
    return asyncio.run(_steered(terminal, which, done, one, many))


async def _steered(terminal: Terminal, which: Selection, done: str, one: One, many: Many) -> int:
    from agentflow.cli.lookup import find_run
    from agentflow.cli.session import opened

    async with opened(terminal) as client:
        if which.run is not None:
            found = await find_run(client, which.run)
            return _answer(terminal, await one(client, found.id))
        return _answer_many(terminal, done, await many(client, which.filter(client.now())))


def _answer(terminal: Terminal, run: Run) -> int:
    terminal.answer({"id": run.id, "status": str(run.status)}, lambda: write(f"{run.id}  {run.status}"))
    if run.ending is not None and not run.is_finished:
        terminal.note("its steps are undone first")
    elif run.pause is not None and run.status == "running":
        terminal.note("it is paused at its next checkpoint")
    return 0


def _answer_many(terminal: Terminal, done: str, report: BulkReport) -> int:
    """The report; the exit code says whether anything was refused."""
    would = f"would be {done}" if report.dry_run else done

    def write_all() -> None:
        for run_id in report.done:
            write(f"{run_id}  {would}")
        for said in report.refused.values():
            write(said, "yellow")
        write(f"{len(report.done)} {would}, {len(report.refused)} refused")

    document = {"dry_run": report.dry_run, "done": list(report.done), "refused": dict(report.refused)}
    terminal.answer(document, write_all)
    return ExitCode.CONFLICT if report.refused else ExitCode.OK


# -- forking


def fork(
    terminal: Terminal,
    run: RunId,
    *,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="KEY", help="Go on from before this operation, such as charge#1.")
    ] = None,
    patch: Annotated[
        list[str] | None,
        typer.Option("--patch", metavar="KEY=JSON", help="Another result of an earlier operation; may be repeated."),
    ] = None,
    version: Annotated[str | None, typer.Option("--version", metavar="VERSION", help="Of the task.")] = None,
    reason: Reason = "",
    app: Annotated[
        str | None, typer.Option("--app", metavar="APP", help="The code, such as app.py: is the patch fit for it?")
    ] = None,
) -> int:
    """Make a new run that goes on from a point of another one's journal."""
    from agentflow.cli.targets import load

    catalog = None if app is None else load(app).catalog
    given = {"from_": from_, "patch": _patches(patch or ()), "version": version, "reason": reason}
    return asyncio.run(_forked(terminal, run, catalog, given))


async def _forked(terminal: Terminal, run: str, catalog: Any, given: dict[str, Any]) -> int:
    from agentflow.cli.lookup import find_run
    from agentflow.cli.session import opened

    async with opened(terminal, catalog=catalog) as client:
        found = await find_run(client, run)
        return _answer(terminal, await client.fork(found.id, by=user(), **given))


def _patches(texts: Sequence[str]) -> dict[str, Any]:
    """The results given, by key. Raises `Refused`."""
    from agentflow.cli.inputs import read_json

    found: dict[str, Any] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not (key and sign):
            raise Refused(f"--patch: found {text!r}; wanted KEY=JSON, such as 'fetch#1={{\"total\": 12}}'")
        if key in found:
            raise Refused(f"--patch: found {key} twice; wanted each key once")
        found[key] = read_json(value, option=f"--patch {key}")
    return found
