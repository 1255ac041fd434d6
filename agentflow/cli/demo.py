"""`agentflow demo`: the licence review of this very environment, with the inbox open beside it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from agentflow.cli.addresses import DEFAULT_PORT
from agentflow.cli.command import command
from agentflow.cli.exits import ExitCode, Refused
from agentflow.cli.terminal import Terminal, write
from agentflow.clock import SystemClock
from agentflow.states import RunStatus

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from socket import socket

    from agentflow.client import Client
    from agentflow.demo.findings import Policy, Review
    from agentflow.demo.progress import Begun, Deputy
    from agentflow.records import Run

PANEL = "Start here"
PORTS: Final = 20  # tried after the one asked for
EVERY: Final = timedelta(milliseconds=100)  # between two looks: a review commits far more often than a person can read
LINGER: Final = timedelta(seconds=2)  # the pages stay up at the end: somebody has just pressed the last button

Output = Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Takes report.md and report.json.")]
AutoApprove = Annotated[
    bool, typer.Option("--auto-approve", help="Decide as “auto-approve” instead of waiting for a person.")
]
Allow = Annotated[
    str,
    typer.Option(
        "--allow", metavar="LICENCES", help="SPDX ids that need no person, by commas; else the usual permissive ones."
    ),
]
Threshold = Annotated[float, typer.Option("--threshold", min=0.0, max=1.0, help="The confidence that needs no person.")]
Port = Annotated[
    int,
    typer.Option("--port", min=0, max=65535, metavar="PORT", help="Of the inbox; the next free one if it is taken."),
]
Again = Annotated[bool, typer.Option("--again", help="Review again what has been reviewed.")]


def register(application: typer.Typer) -> None:
    """Add this command."""
    command(application, "demo", panel=PANEL)(demo)


def demo(
    terminal: Terminal,
    *,
    output: Output = Path("licence-review"),
    auto_approve: AutoApprove = False,
    allow: Allow = "",
    threshold: Threshold = 0.8,
    port: Port = DEFAULT_PORT,
    again: Again = False,
) -> int:
    """Review the licences of the Python distributions installed here, with a person in the inbox where one is needed.

    Kill it at any time and start it again: it goes on.
    """
    from agentflow.cli.voices import speak
    from agentflow.demo.distributions import installed
    from agentflow.demo.findings import Review

    _make(output)
    review = Review(output=str(output.resolve()), policy=_policy(allow, threshold), distributions=installed())
    speak(quiet=True)
    try:
        return asyncio.run(_demo(terminal, review, auto_approve=auto_approve, port=port, again=again))
    except (KeyboardInterrupt, asyncio.CancelledError):
        terminal.note("Stopped. The same command goes on from here.")
        return ExitCode.INTERRUPTED


def _make(output: Path) -> None:
    """The folder for the report. Raises `Refused`, before anything is started, where there can be none."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"--output: found {str(output)!r}, which cannot be a folder ({error.strerror})") from error
    if not os.access(output, os.W_OK):
        raise Refused(f"--output: found {str(output)!r}, which this user may not write to; wanted another folder")


def _policy(allow: str, threshold: float) -> Policy:
    """The policy of the options. Raises `Refused` for a licence that is not on the SPDX list, naming the nearest."""
    from agentflow.demo import spdx
    from agentflow.demo.findings import DEFAULT_ALLOWED, Policy

    names = [name.strip() for name in allow.split(",") if name.strip()] if allow else list(DEFAULT_ALLOWED)
    allowed = []
    for name in names:
        try:
            allowed.append(spdx.one_licence(name))
        except spdx.NotSpdx as error:
            raise Refused(f"--allow: found {name!r}, {error}; wanted an SPDX identifier{spdx.nearest(name)}") from error
    return Policy(allow=sorted(set(allowed)), threshold=threshold)


async def _demo(terminal: Terminal, review: Review, *, auto_approve: bool, port: int, again: bool) -> int:
    from agentflow import AgentFlow
    from agentflow import demo as tasks
    from agentflow.demo.progress import Deputy, begin

    _end_on_sigterm()
    async with AgentFlow(tasks, database=terminal.database) as flow:
        begun = await begin(flow.client, review, again=again)
        _tell(terminal, review, begun)
        if begun.is_done:
            return await _ended(terminal, flow.client, review, begun.run)
        deputy = Deputy(flow.client, begun.run.id) if auto_approve else None
        async with _inbox(flow.client, port) as address:
            terminal.note(f"Decide in the inbox: {address}/inbox" if deputy is None else f"The inbox: {address}/inbox")
            run = await _followed(terminal, flow.client, begun.run.id, len(review.distributions), deputy)
            code = await _ended(terminal, flow.client, review, run)
            if deputy is None:
                await SystemClock().sleep(LINGER)
    return code


def _end_on_sigterm() -> None:
    """Take SIGTERM as Ctrl-C is taken: the worker hands back what it holds before the program ends."""
    task = asyncio.current_task()
    if task is not None and sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


@asynccontextmanager
async def _inbox(client: Client, port: int) -> AsyncIterator[str]:
    """The pages, served beside the worker; their address."""
    from agentflow.cli.addresses import address_of
    from agentflow.cli.pages import Pages

    listener = _listener(port)
    pages = Pages(client, listener, dev=True)
    await pages.start()
    try:
        yield address_of(listener)
    finally:
        await pages.stop()


def _listener(port: int) -> socket:
    """A socket on this port, or on the first free one after it. Raises `Refused` when twenty in a row are taken."""
    from agentflow.cli.addresses import bound

    last = min(port + PORTS, 65535)
    for candidate in range(port, last) if port else ():
        try:
            return bound("127.0.0.1", candidate, dev=True)
        except Refused as error:
            if error.code is not ExitCode.UNUSABLE:
                raise
    return bound("127.0.0.1", last if port else 0, dev=True)


async def _followed(terminal: Terminal, client: Client, run_id: str, total: int, deputy: Deputy | None) -> Run:
    """The review's run, once it has ended or only an operator can move it on."""
    from agentflow.cli.following import rests
    from agentflow.demo.progress import progress_of

    said = ""
    with terminal.progress("Reviewing…") as changed:
        async with aclosing(cast("AsyncGenerator[None]", client.changes())) as changes:
            async for _ in changes:
                run = await client.run(run_id)
                if rests(run):
                    return run
                if deputy is not None:
                    await deputy.decide_all()
                progress = await progress_of(client, run_id, total)
                if progress.sentence != said:
                    said = progress.sentence
                    changed(said)
                    if not sys.stderr.isatty():
                        terminal.note(said)
                if progress.is_stuck and deputy is not None:  # a person here could still help it on in the pages
                    return run
                await SystemClock().sleep(EVERY)
    raise AssertionError("unreachable")


def _tell(terminal: Terminal, review: Review, begun: Begun) -> None:
    """Say which review this is before anything else happens."""
    for run_id in begun.replaced:
        terminal.note(f"Cancelled {run_id}, a review of the same folder that this one takes the place of")
    count = len(review.distributions)
    if begun.is_done:
        terminal.note(f"These {count} distributions have been reviewed; --again reviews them anew")
    elif begun.is_new:
        terminal.note(f"Reviewing {count} distributions in run {begun.run.id}")
    else:
        terminal.note(f"Going on with run {begun.run.id}, which reviews {count} distributions")
    terminal.note(f"Database: {terminal.place}")


async def _ended(terminal: Terminal, client: Client, review: Review, run: Run) -> int:
    """Say how the review ended and where its report is. The exit code."""
    from agentflow.cli.following import outcome_code
    from agentflow.demo.report import JSON_FILE, MARKDOWN, OUTCOMES

    if run.status is not RunStatus.COMPLETED:
        raise Refused(await client.why(run.id), ExitCode.FAILED)
    folder = Path(review.output)
    totals = json.loads((folder / JSON_FILE).read_text(encoding="utf-8"))["totals"]

    def show() -> None:
        for outcome, words in OUTCOMES.items():
            if totals[outcome]:
                write(f"{totals[outcome]:5} {words}")
        write(f"Report: {folder / MARKDOWN} and {JSON_FILE}", style="bold")

    document = {"id": run.id, "status": run.status, "report": str(folder / MARKDOWN), "json": str(folder / JSON_FILE)}
    terminal.answer({**document, "totals": totals}, show)
    return outcome_code(run)
