"""One run, as it is or as it goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.command import command
from agentflow.cli.runs import PANEL, RunId
from agentflow.cli.terminal import Terminal, write

if TYPE_CHECKING:
    from agentflow.client import Client
    from agentflow.records import Run


def register(application: typer.Typer) -> None:
    """Add this command."""
    command(application, "show", panel=PANEL)(show)


def show(
    terminal: Terminal,
    run: RunId,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Stay until it ends; exit 1 unless it completed.")
    ] = False,
    conversation: Annotated[
        bool, typer.Option("--conversation", "-c", help="What its agents said and called, in place of its journal.")
    ] = False,
) -> int:
    """Show a run: its input and output, why it is where it is, its journal and its logs."""
    if conversation:
        return asyncio.run(_converse(terminal, run))
    return asyncio.run(_show(terminal, run, follow=follow))


async def _converse(terminal: Terminal, given: str) -> int:
    from agentflow.cli.conversing import conversation_document, write_conversations
    from agentflow.cli.lookup import find_run
    from agentflow.cli.session import opened

    async with opened(terminal) as client:
        run = await find_run(client, given)
        found = await client.conversations(run.id)
    terminal.answer([conversation_document(one) for one in found], lambda: write_conversations(found))
    if not found:
        terminal.note(f"run {run.id} has no conversation: no agent has begun in it")
    return 0


async def _show(terminal: Terminal, given: str, *, follow: bool) -> int:
    from agentflow.cli.following import outcome_code
    from agentflow.cli.lookup import find_run
    from agentflow.cli.session import opened

    async with opened(terminal) as client:
        run = await find_run(client, given)
        if not follow:
            await _answer(terminal, client, run)
            return 0
        run = await (_wait(terminal, client, run) if terminal.as_json else _follow(terminal, client, run))
        return outcome_code(run)


async def _answer(terminal: Terminal, client: Client, run: Run) -> None:
    from agentflow.cli.documents import run_document
    from agentflow.cli.views import write_entries, write_logs, write_outcome, write_run

    why, entries, logs = await client.why(run.id), await client.journal(run.id), await client.logs(run.id)
    now = client.now()

    def write_all() -> None:
        write_run(run, why=why, now=now)
        write_outcome(run)
        write("\njournal")
        write_entries(entries, since=run.created_at)
        if logs:
            write("\nlogs")
            write_logs(logs)

    terminal.answer(run_document(run, why=why, entries=entries, logs=logs), write_all)


async def _wait(terminal: Terminal, client: Client, run: Run) -> Run:
    from agentflow.cli.following import settled

    with terminal.progress(f"{run.id} {run.status}") as say:
        ended = await settled(client, run.id, changed=say)
    await _answer(terminal, client, ended)
    return ended


async def _follow(terminal: Terminal, client: Client, run: Run) -> Run:
    from agentflow.cli.following import followed, note_if_nobody_works
    from agentflow.cli.views import write_entries, write_outcome, write_run

    write_run(run, why=await client.why(run.id), now=client.now())
    if not run.is_finished:
        await note_if_nobody_works(terminal, client)
    write("\njournal")
    ended = await followed(
        client, run.id, after=0, arrived=lambda entries: write_entries(entries, since=run.created_at)
    )
    write()
    write(f"{ended.id}  {ended.status}: {await client.why(ended.id)}")
    write_outcome(ended)
    return ended
