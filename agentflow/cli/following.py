"""Staying with a run: until it ends, or until nobody but an operator can move it on."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, cast

from agentflow.cli.exits import ExitCode
from agentflow.states import RunStatus

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from agentflow.cli.terminal import Terminal
    from agentflow.client import Client
    from agentflow.records import Entry, Run


async def settled(client: Client, run_id: str, *, changed: Callable[[str], None]) -> Run:
    """The run, once it has ended or needs attention; `changed` is told why it has not, each time that may be new."""
    async with aclosing(cast("AsyncGenerator[None]", client.changes())) as changes:
        async for _ in changes:
            run = await client.run(run_id)
            if rests(run):
                return run
            changed(await client.why(run_id))
    raise AssertionError("unreachable")


async def followed(client: Client, run_id: str, *, after: int, arrived: Callable[[Sequence[Entry]], None]) -> Run:
    """The run, once it has ended or needs attention; `arrived` is given its journal's new entries as they come."""
    async with aclosing(cast("AsyncGenerator[None]", client.changes())) as changes:
        async for _ in changes:
            run = await client.run(run_id)  # before its entries, so that none of an ended run is missed
            if entries := await client.journal(run_id, after=after):
                after = entries[-1].seq
                arrived(entries)
            if rests(run):
                return run
    raise AssertionError("unreachable")


def rests(run: Run) -> bool:
    """Whether waiting longer for the run is waiting for an operator."""
    return run.is_finished or run.status is RunStatus.NEEDS_ATTENTION


def outcome_code(run: Run) -> ExitCode:
    """Success for a completed run only."""
    return ExitCode.OK if run.status is RunStatus.COMPLETED else ExitCode.FAILED


async def note_if_nobody_works(terminal: Terminal, client: Client) -> None:
    """Say so when no worker is alive: a run that is waited for would wait for nobody."""
    now = client.now()
    if not any(worker.lease_until > now for worker in await client.workers()):
        terminal.note("no worker is running on this database; `agentflow serve` or `agentflow worker` starts one")
