"""Callbacks: answer a run in place of the system it asked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentflow.cli.command import command
from agentflow.cli.events import PANEL
from agentflow.cli.terminal import Terminal, write

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentflow.client import Client
    from agentflow.records import Callback

Token = Annotated[str, typer.Argument(metavar="TOKEN", help="The token the run gave away; - reads it from stdin.")]


def register(application: typer.Typer) -> None:
    """Add these commands, as a group of their own."""
    group = typer.Typer(help="Answer a run that waits for a callback.", no_args_is_help=True)
    for name, body in (("complete", complete), ("fail", fail), ("heartbeat", heartbeat)):
        command(group, name, panel=PANEL)(body)
    application.add_typer(group, name="callback", rich_help_panel=PANEL)


def complete(
    terminal: Terminal,
    token: Token,
    result: Annotated[str, typer.Option("--result", "-r", metavar="JSON|@FILE|-", help="What the run gets.")] = "null",
) -> int:
    """Complete a callback: its run goes on with the result."""
    from agentflow.cli.inputs import read_json

    given = read_json(result, option="--result")
    return asyncio.run(_answer(terminal, lambda client: client.complete_callback(_token(token), given)))


def fail(
    terminal: Terminal,
    token: Token,
    error: Annotated[str, typer.Option("--error", "-m", metavar="TEXT", help="Why; told to the run.")],
) -> int:
    """Fail a callback: its run gets the error."""
    return asyncio.run(_answer(terminal, lambda client: client.fail_callback(_token(token), error)))


def heartbeat(
    terminal: Terminal,
    token: Token,
    details: Annotated[str, typer.Option("--details", metavar="JSON|@FILE|-", help="How far the work is.")] = "null",
) -> int:
    """Keep a callback alive: its heartbeat time begins anew."""
    from agentflow.cli.inputs import read_json

    given = read_json(details, option="--details")
    return asyncio.run(_answer(terminal, lambda client: client.beat_callback(_token(token), given)))


def _token(given: str) -> str:
    """The token, which a careful person does not leave in the shell's history."""
    import sys

    return sys.stdin.readline().strip() if given == "-" else given


async def _answer(terminal: Terminal, said: Callable[[Client], Awaitable[Callback]]) -> int:
    from agentflow.cli.session import opened

    async with opened(terminal) as client:
        callback = await said(client)
    terminal.answer(callback_document(callback), lambda: write(_line(callback), "green"))
    return 0


def _line(callback: Callback) -> str:
    until = f" until {callback.lapses_at:%Y-%m-%d %H:%M:%S} UTC" if callback.is_pending and callback.lapses_at else ""
    return f"{callback.status}{until}: callback {callback.id} of run {callback.run_id}"


def callback_document(callback: Callback) -> dict[str, Any]:
    """The callback as the one JSON document a command prints."""
    from agentflow.cli.documents import instant

    return {
        "id": callback.id,
        "run_id": callback.run_id,
        "key": callback.key,
        "status": str(callback.status),
        "created_at": instant(callback.created_at),
        "due_at": instant(callback.due_at),
        "lapses_at": instant(callback.lapses_at),
        "resolved_at": instant(callback.resolved_at),
    }
