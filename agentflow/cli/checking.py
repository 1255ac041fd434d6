"""Whether the code on disk fits the runs that are open."""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from agentflow.cli.command import command
from agentflow.cli.exits import ExitCode
from agentflow.cli.terminal import Terminal, write
from agentflow.states import OPEN

if TYPE_CHECKING:
    from agentflow.client import Client
    from agentflow.records import Run
    from agentflow.runtime.dry.replaying import DryReplay
    from agentflow.tasks.catalog import Catalog

PANEL = "Definitions"
AT_ONCE: Final = 100
"""Runs looked at side by side: code that waits for nothing recorded then holds up the others only once."""
_STYLES: Final = {"fits": "green", "diverges": "red", "breaks": "red", "no code": "yellow"}


def register(application: typer.Typer) -> None:
    """Add this command."""
    command(application, "check", panel=PANEL)(check)


def check(
    terminal: Terminal,
    app: Annotated[str, typer.Argument(metavar="APP", help="Such as app.py or package.module.")],
) -> int:
    """Replay every open run against the code of a module, with no effects; exit 1 if one would not go on."""
    from agentflow.cli.targets import load

    return asyncio.run(_check(terminal, load(app).catalog))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one run in a dry replay; `found` is None where there is no code for it."""

    run: Run
    found: DryReplay | None
    version: str | None

    @property
    def name(self) -> str:
        """The one word for it."""
        from agentflow.cli.verdicts import word

        return "no code" if self.found is None else word(self.found)

    def __str__(self) -> str:
        from agentflow.cli.verdicts import sentence

        if self.found is None:
            return f"no code for task {self.run.task!r} version {self.run.version!r}"
        carried = "" if self.version == self.run.version else f" (carried over to version {self.version})"
        return sentence(self.found) + carried

    def document(self) -> dict[str, Any]:
        """The same for a program."""
        from agentflow.cli.verdicts import verdict_document

        run = self.run
        known = {"id": run.id, "task": run.task, "version": run.version, "status": str(run.status)}
        told = {"verdict": "no_code"} if self.found is None else verdict_document(self.found)
        return {**known, "code_version": self.version, **told}


async def _check(terminal: Terminal, catalog: Catalog) -> int:
    from agentflow.cli.session import opened

    documents: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    async with opened(terminal) as client:
        with terminal.progress("looking at the open runs") as say:
            async for verdict in _verdicts(client, catalog):
                counts[verdict.name] += 1
                say(f"looked at {counts.total()} open runs")
                if terminal.as_json:
                    documents.append(verdict.document())
                else:
                    run = verdict.run
                    write(f"{run.id}  {run.task}@{run.version}  {verdict}", _STYLES[verdict.name])
    summary = {name: counts[name] for name in _STYLES}
    terminal.answer(
        {"runs": documents, "summary": {name.replace(" ", "_"): count for name, count in summary.items()}},
        lambda: write(_summary(summary)),
    )
    return ExitCode.FAILED if counts["diverges"] or counts["breaks"] else ExitCode.OK


async def _verdicts(client: Client, catalog: Catalog) -> AsyncIterator[Verdict]:
    """Every open run, newest first, with what a dry replay of it finds."""
    cursor: str | None = None
    while True:
        page = await client.runs(statuses=sorted(OPEN), cursor=cursor, limit=AT_ONCE)
        with redirect_stdout(_Unsaid()):  # what a replay prints was said before
            found = await asyncio.gather(*(_looked_at(client, catalog, run) for run in page.items))
        for verdict in found:
            yield verdict
        cursor = page.next_cursor
        if cursor is None:
            return


class _Unsaid(io.TextIOBase):
    """Where nothing is written to."""

    def write(self, text: str) -> int:
        return len(text)


async def _looked_at(client: Client, catalog: Catalog, run: Run) -> Verdict:
    from agentflow.runtime.dry.replaying import dry_replay

    run = await client.run(run.id)  # a listing leaves out what is large
    task = catalog.task_for(run)
    if task is None:
        return Verdict(run, None, None)
    return Verdict(run, await dry_replay(run, await client.journal(run.id), task), task.version)


def _summary(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    if not total:
        return "no run is open"
    told = {
        "fits": "fit" if counts["fits"] != 1 else "fits",
        "diverges": "diverge" if counts["diverges"] != 1 else "diverges",
        "breaks": "break" if counts["breaks"] != 1 else "breaks",
        "no code": "have no code" if counts["no code"] != 1 else "has no code",
    }
    parts = [f"{count} {told[name]}" for name, count in counts.items() if count]
    return f"{total} {'run is' if total == 1 else 'runs are'} open: {', '.join(parts)}"
