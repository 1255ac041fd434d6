"""A run taken along: exported to a file, and replayed from it with no effects."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentflow.cli.command import command
from agentflow.cli.exits import ExitCode, Refused
from agentflow.cli.runs import RunId
from agentflow.cli.terminal import Terminal, safe, write

if TYPE_CHECKING:
    from types import FrameType

    from agentflow.cli.exported import Exported
    from agentflow.records import Approval
    from agentflow.runtime.dry.rehearsal import Asked
    from agentflow.runtime.dry.replaying import DryReplay
    from agentflow.tasks.task import Task

PANEL = "Runs"
_PACKAGE = str(Path(__file__).parents[1]) + os.sep


def register(application: typer.Typer) -> None:
    """Add these commands."""
    command(application, "export", panel=PANEL)(export)
    command(application, "replay", panel=PANEL)(replay)


# -- export


def export(
    terminal: Terminal,
    run: RunId,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file, which must not exist.")
    ] = None,
) -> int:
    """Print a run with its journal and approvals as one JSON document, to be replayed elsewhere."""
    from agentflow.cli.exported import document_of

    exported = asyncio.run(_collected(terminal, run))
    text = json.dumps(document_of(exported), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return 0
    _write_new(Path(output), text)
    terminal.answer(
        {"id": exported.run.id, "file": output}, lambda: write(f"{exported.run.id} is in {output}; it is as it was now")
    )
    return 0


async def _collected(terminal: Terminal, given: str) -> Exported:
    from agentflow.cli.exported import Exported
    from agentflow.cli.lookup import find_run
    from agentflow.cli.session import opened

    async with opened(terminal) as client:
        run = await find_run(client, given)
        journal = await client.journal(run.id)
        approvals: list[Approval] = []
        cursor: str | None = None
        while True:
            page = await client.approvals(pending=None, run_id=run.id, cursor=cursor, limit=200)
            approvals += page.items
            cursor = page.next_cursor
            if cursor is None:
                return Exported(run, journal, approvals)


def _write_new(path: Path, text: str) -> None:
    """Write what may be confidential to a file that only its owner can read."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Refused(f"--output: {path} exists; remove it, or name another file") from None
    except OSError as error:
        raise Refused(f"--output: cannot write {path}: {(error.strerror or str(error)).lower()}") from None


# -- replay


def replay(
    terminal: Terminal,
    file: Annotated[str, typer.Argument(metavar="FILE", help="What `agentflow export` wrote.")],
    app: Annotated[str, typer.Argument(metavar="APP", help="Such as app.py or package.module.")],
    break_at: Annotated[
        str | None,
        typer.Option("--break-at", metavar="KEY", help="Enter the debugger where the code asks for this operation."),
    ] = None,
) -> int:
    """Replay an exported run against the code of a module, with no effects; exit 1 if it does not fit."""
    from agentflow.cli.exported import read_export
    from agentflow.cli.targets import load
    from agentflow.cli.verdicts import verdict_document, word

    exported = read_export(file)
    run = exported.run
    task = load(app).catalog.task_for(run)
    if task is None:
        raise Refused(f"{app} has no code for task {run.task!r} version {run.version!r}", ExitCode.NOT_FOUND)
    if not terminal.as_json:
        write(f"{run.id}  {run.task}@{run.version}  {run.status}")
    telling = _Telling(terminal, break_at)
    found = asyncio.run(_replayed(exported, task, telling))
    if break_at is not None and not telling.has_broken:
        terminal.note(f"the code did not ask for {break_at}; it asked for {', '.join(telling.keys) or 'nothing'}")
    document = {"id": run.id, "task": run.task, "version": run.version, "operations": telling.operations}
    terminal.answer(document | verdict_document(found), lambda: _write_end(exported, found))
    return ExitCode.OK if word(found) == "fits" else ExitCode.FAILED


async def _replayed(exported: Exported, task: Task[..., Any], telling: _Telling) -> DryReplay:
    from agentflow.runtime.dry.replaying import LIMIT, dry_replay

    with redirect_stdout(sys.stderr):  # stdout is for the command's answer, not for what the task prints
        limit = None if telling.break_at is not None else LIMIT
        return await dry_replay(exported.run, exported.journal, task, limit=limit, watch=telling.asked)


class _Telling:
    """Says of each operation, as the code asks for it, what it gave."""

    def __init__(self, terminal: Terminal, break_at: str | None) -> None:
        self._terminal = terminal
        self._stdout = sys.stdout
        self.break_at = break_at
        self.has_broken = False
        self.operations: list[dict[str, Any]] = []

    @property
    def keys(self) -> list[str]:
        """What was asked for, in order."""
        return [operation["key"] for operation in self.operations]

    def asked(self, asked: Asked) -> None:
        """The code asks for this operation."""
        from agentflow.cli.given import given

        document, sentence = given(asked)
        self.operations.append({"key": asked.key, "operation": asked.operation, **document})
        if not self._terminal.as_json:
            with redirect_stdout(self._stdout):
                write(f"  {asked.operation:<9} {asked.key}  {sentence}")
        if asked.key == self.break_at and not self.has_broken:
            self.has_broken = True
            _enter_debugger(asked.key)


def _enter_debugger(key: str) -> None:
    frame: FrameType | None = sys._getframe()  # noqa: SLF001  the user's frame is among those that are running
    up = 0
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, up = frame.f_back, up + 1
    if frame is not None:
        place = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        print(safe(f"{key} is asked for at {place}; in pdb, `up {up}` goes there"), file=sys.stderr, flush=True)
    breakpoint()  # noqa: T100  what --break-at is for


def _write_end(exported: Exported, found: DryReplay) -> None:
    from agentflow.cli.documents import payload
    from agentflow.cli.verdicts import sentence
    from agentflow.cli.views import write_value
    from agentflow.requests import Completed
    from agentflow.runtime.dry.replaying import Fits

    write(sentence(found))
    if not isinstance(found, Fits):
        return
    if found.frontier:
        write(f"it goes on at {', '.join(found.frontier)}")
    if isinstance(found.outcome, Completed):
        write_value("result", payload(found.outcome.output))
        if exported.run.output not in {None, found.outcome.output}:
            write_value("but was", payload(exported.run.output))
