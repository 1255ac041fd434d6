"""What events started: which tasks listen, what became of which event, and having it looked at anew."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentflow.cli.command import command, whole_number
from agentflow.cli.exits import ExitCode, Refused
from agentflow.cli.terminal import Terminal, user, write, write_table
from agentflow.states import MatchStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from agentflow.client import Client
    from agentflow.records import Listener, Match

PANEL = "Events and callbacks"
STYLES = {"started": "green", "failed": "red", "pending": "yellow", "ignored": "dim"}
EventId = Annotated[str, typer.Argument(metavar="EVENT", help="The event's id.")]


def register(application: typer.Typer) -> None:
    """Add these commands, those about matches as a group of their own."""
    command(application, "listeners", panel=PANEL)(listeners)
    said = "See what events started or failed to start, and have it tried again."
    group = typer.Typer(help=said, no_args_is_help=True)
    command(group, "list", panel=PANEL)(listed)
    command(group, "retry", panel=PANEL)(retry)
    application.add_typer(group, name="matches", rich_help_panel=PANEL)


def listeners(
    terminal: Terminal,
    remove: Annotated[
        str | None,
        typer.Option("--remove", metavar="LISTENER", help="Remove one that no program has any more."),
    ] = None,
) -> int:
    """List the tasks that events start, with how many events wait to be looked at."""

    async def show(client: Client) -> int:
        if remove is not None:
            gone = await client.remove_listener(remove, by=user())
            terminal.answer(listener_document(gone, 0), lambda: write(f"removed: {gone.id}", "green"))
            return 0
        found, pending = await client.listeners(), await client.pending_by_listener()
        terminal.answer(
            [listener_document(one, pending.get(one.id, 0)) for one in found],
            lambda: _write_listeners(found, pending, client.now()),
        )
        if not found:
            terminal.note(f'no task listens in {terminal.place}; put @task.on("invoice.*") above a @task and start it')
        return 0

    return _on(terminal, show, is_read=remove is None)


def listed(
    terminal: Terminal,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that failed.")] = False,
    status: Annotated[
        str | None, typer.Option("--status", metavar="STATUS", help="Only started, ignored, pending or failed ones.")
    ] = None,
    listener: Annotated[str | None, typer.Option("--listener", metavar="ID", help="Only of this listener.")] = None,
    event: Annotated[
        str | None, typer.Option("--event", metavar="ID", help="Only of this event, all there are.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="COUNT", parser=whole_number(1, 1000), help="At most so many.")
    ] = 50,
) -> int:
    """List what became of the latest events for the tasks that listen, newest first."""
    wanted = MatchStatus.FAILED if failed else _status(status)

    async def show(client: Client) -> int:
        if event is None:
            found = await client.recent_matches(listener_id=listener, status=wanted, limit=limit)
        else:
            found = [one for one in await client.matches(event) if wanted in {None, one.status}]
        terminal.answer([match_document(one) for one in found], lambda: _write_matches(found, client.now()))
        if not found:
            terminal.note(f"none in {terminal.place}")
        return 0

    return _on(terminal, show, is_read=True)


def retry(
    terminal: Terminal,
    event: EventId,
    listener: Annotated[
        str | None, typer.Argument(metavar="[LISTENER]", help="For this listener; else for each that failed.")
    ] = None,
) -> int:
    """Have an event that failed, or was passed over, looked at anew, as after a fix."""

    async def ask(client: Client) -> int:
        wanted = [listener] if listener is not None else await _failed(client, event)
        again = [await client.retry_match(event, one, by=user()) for one in wanted]
        terminal.answer([match_document(one) for one in again], lambda: _write_again(again))
        if not again:
            terminal.note(f"event {event} failed for no listener; name one to have it looked at anew")
        return 0 if again else ExitCode.NOT_FOUND

    return _on(terminal, ask, is_read=False)


async def _failed(client: Client, event: str) -> Sequence[str]:
    await client.event(event)
    return [one.listener_id for one in await client.matches(event) if one.status is MatchStatus.FAILED]


def _status(text: str | None) -> MatchStatus | None:
    if text is None:
        return None
    try:
        return MatchStatus(text)
    except ValueError:
        known = ", ".join(one.value for one in MatchStatus)
        raise Refused(f"found --status {text!r}; wanted one of {known}") from None


def _on(terminal: Terminal, act: Callable[[Client], Awaitable[int]], *, is_read: bool) -> int:
    from agentflow.cli.session import missing_database, opened

    if is_read and (sentence := missing_database(terminal.database)):
        terminal.note(sentence)
        terminal.answer([], lambda: None)
        return 0

    async def main() -> int:
        async with opened(terminal) as client:
            return await act(client)

    return asyncio.run(main())


# -- what is shown


def _write_listeners(found: Sequence[Listener], pending: Mapping[str, int], now: datetime) -> None:
    from agentflow.cli.views import age

    rows = [
        (one.id, one.pattern, one.task, str(pending.get(one.id, 0)), f"{age(one.declared_at, now)} ago")
        for one in found
    ]
    write_table(("LISTENER", "EVENTS", "TASK", "WAITING", "LAST DECLARED"), rows)


def _write_matches(found: Sequence[Match], now: datetime) -> None:
    from agentflow.cli.views import age

    for one in found:
        came = one.run_id or one.reason or ""
        said = f"  {age(one.created_at, now):>9} ago  {one.status:<8} {one.event_id}  {one.listener_id}  {came}"
        write(said.rstrip(), STYLES[one.status])


def _write_again(again: Sequence[Match]) -> None:
    for one in again:
        write(f"to be looked at again: {one.event_id} for {one.listener_id}", "green")


def listener_document(one: Listener, pending: int) -> dict[str, Any]:
    """The listener as the one JSON document a command prints."""
    from agentflow.cli.documents import instant

    return {
        "id": one.id,
        "task": one.task,
        "pattern": one.pattern,
        "pending": pending,
        "created_at": instant(one.created_at),
        "declared_at": instant(one.declared_at),
    }


def match_document(one: Match) -> dict[str, Any]:
    """What became of an event for a listener, as JSON."""
    from agentflow.cli.documents import instant

    return {
        "event": one.event_id,
        "listener": one.listener_id,
        "status": one.status.value,
        "run": one.run_id,
        "reason": one.reason,
        "created_at": instant(one.created_at),
        "settled_at": instant(one.settled_at),
    }
