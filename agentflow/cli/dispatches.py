"""Dispatches: events on their way to subscribers, how each attempt went, and sending one again."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentflow.cli.command import command, whole_number
from agentflow.cli.terminal import Terminal, user, write, write_table

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from agentflow.client import Client
    from agentflow.records import Dispatch

PANEL = "Subscriptions"
DispatchId = Annotated[str, typer.Argument(metavar="ID", help="The dispatch's id, which is sent as webhook-id.")]


def register(application: typer.Typer) -> None:
    """Add these commands, as a group of their own."""
    group = typer.Typer(help="Look at events on their way to subscribers, and send them again.", no_args_is_help=True)
    command(group, "list", panel=PANEL)(listed)
    command(group, "show", panel=PANEL)(show)
    command(group, "resend", panel=PANEL)(resend)
    application.add_typer(group, name="dispatches", rich_help_panel=PANEL)


def listed(
    terminal: Terminal,
    *,
    subscription: Annotated[
        str | None, typer.Option("--subscription", metavar="ID", help="Only to this subscription.")
    ] = None,
    status: Annotated[
        str | None, typer.Option("--status", metavar="STATUS", help="pending, delivered, failed or discarded.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="COUNT", parser=whole_number(1, 1000), help="At most so many.")
    ] = 50,
    cursor: Annotated[
        str | None, typer.Option("--cursor", metavar="CURSOR", help="Where the page before ended.")
    ] = None,
) -> int:
    """List events that were sent or are to be, newest first."""

    async def look(client: Client) -> None:
        found = await client.subscriptions.dispatches(
            subscription_id=subscription, status=status, cursor=cursor, limit=limit
        )
        document = {"items": [dispatch_document(one) for one in found.items], "next_cursor": found.next_cursor}
        terminal.answer(document, lambda: write_dispatches(found.items))
        if found.next_cursor:
            terminal.note(f"there are more: --cursor {found.next_cursor}")

    return on_client(terminal, look)


def show(terminal: Terminal, dispatch: DispatchId) -> int:
    """Show one event: its body, and how each attempt to send it went."""

    async def look(client: Client) -> None:
        one = await client.subscriptions.dispatch(dispatch)
        body = json.loads(one.payload)

        def write_all() -> None:
            write_dispatches([one])
            write()
            for attempt in json.loads(one.log):
                said = f": {attempt['error']}" if attempt["error"] else ""
                write(f"{attempt['at']}  {attempt['status'] or 'no answer'} after {attempt['took']} s{said}")
            write(json.dumps(body, indent=2, ensure_ascii=False))

        terminal.answer(dispatch_document(one) | {"body": body}, write_all)

    return on_client(terminal, look)


def resend(terminal: Terminal, dispatch: DispatchId) -> int:
    """Send an event again, by the same id, whatever became of it."""

    async def again(client: Client) -> None:
        after = await client.subscriptions.resend(dispatch, by=user())
        terminal.answer(dispatch_document(after), lambda: write_dispatches([after]))

    return on_client(terminal, again)


# -- doing and saying it


def on_client(terminal: Terminal, act: Callable[[Client], Awaitable[None]]) -> int:
    """Do this with a client of the command's database."""

    async def run() -> None:
        from agentflow.cli.session import opened

        async with opened(terminal) as client:
            await act(client)

    asyncio.run(run())
    return 0


def dispatch_document(one: Dispatch) -> dict[str, Any]:
    """A dispatch as `--json` prints it; `took` of an attempt is in seconds."""
    from agentflow.cli.documents import instant

    return {
        "id": one.id,
        "subscription_id": one.subscription_id,
        "event": one.event,
        "run_id": one.run_id or None,
        "status": str(one.status),
        "attempts": one.attempts,
        "next_at": instant(one.next_at),
        "created_at": instant(one.created_at),
        "delivered_at": instant(one.delivered_at),
        "requested_by": one.requested_by,
        "log": json.loads(one.log),
    }


def write_dispatches(found: Sequence[Dispatch]) -> None:
    """A line for each."""
    rows = [
        (
            one.id,
            one.event,
            str(one.status),
            str(one.attempts),
            "" if one.next_at is None else f"{one.next_at:%Y-%m-%d %H:%M:%S}",
            one.run_id,
            one.subscription_id,
            _last_error(one),
        )
        for one in found
    ]
    write_table(("id", "event", "status", "attempts", "next", "run", "subscription", "last error"), rows)


def _last_error(one: Dispatch) -> str:
    log = json.loads(one.log)
    return str(log[-1]["error"]) if log else ""
