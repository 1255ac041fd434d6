"""Events: send one to whoever waits for it, and see what was sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentflow.cli.command import command, whole_number
from agentflow.cli.matches import match_document
from agentflow.cli.terminal import Terminal, user, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from agentflow.records import Event, Match

PANEL = "Events and callbacks"


def register(application: typer.Typer) -> None:
    """Add these commands."""
    command(application, "send", panel=PANEL)(send)
    command(application, "events", panel=PANEL)(events)


def send(
    terminal: Terminal,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What happened, such as payment-received.")],
    *,
    key: Annotated[str, typer.Option("--key", metavar="KEY", help="Whose it is, such as an order's number.")] = "",
    payload: Annotated[
        str, typer.Option("--payload", "-p", metavar="JSON|@FILE|-", help="What runs that wait for it get.")
    ] = "null",
    id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="The same id never makes a second event.")
    ] = None,
) -> int:
    """Send an event: runs that wait for it go on, now or later, and tasks that listen are started."""
    from agentflow.cli.inputs import read_json

    return asyncio.run(_send(terminal, name, read_json(payload, option="--payload"), key=key, id=id))


async def _send(terminal: Terminal, name: str, payload: Any, *, key: str, id: str | None) -> int:
    from agentflow.cli.session import opened

    async with opened(terminal) as client:
        sent = await client.send_event(name, payload, key=key, id=id, by=user())
    again = " already, by this very id" if sent.repeated else ""
    terminal.answer(event_document(sent), lambda: write(f"sent{again}: {_named(sent)}, {sent.id}", "green"))
    return 0


def events(
    terminal: Terminal,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Only events of this name.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="COUNT", parser=whole_number(1, 1000), help="At most so many.")
    ] = 50,
) -> int:
    """List the latest events, newest first, with what each started or woke."""
    from agentflow.cli.session import missing_database

    if sentence := missing_database(terminal.database):
        terminal.note(sentence)
        terminal.answer([], lambda: None)
        return 0
    return asyncio.run(_events(terminal, name, limit))


async def _events(terminal: Terminal, name: str | None, limit: int) -> int:
    from agentflow.cli.session import opened

    async with opened(terminal) as client:
        found, now = await client.events(name=name, limit=limit), client.now()
        matches = await client.matches(*(one.id for one in found))
    came = {one.id: [match for match in matches if match.event_id == one.id] for one in found}
    documents = [event_document(one) | {"matches": [match_document(m) for m in came[one.id]]} for one in found]
    terminal.answer(documents, lambda: _write_events(found, came, now))
    if not found:
        terminal.note(f"no event{'' if name is None else ' of that name'} in {terminal.place}")
    return 0


def _write_events(found: Sequence[Event], came: Mapping[str, Sequence[Match]], now: datetime) -> None:
    from agentflow.cli.views import age

    for one in found:
        write(f"  {age(one.sent_at, now):>9} ago  {_named(one)}, {one.id}, by {one.sent_by}")
        for match in came[one.id]:
            became = match.run_id or match.reason or "to be looked at"
            write(f"                 {match.status} {match.listener_id}: {became}")
        for run_id in one.woken_runs:
            write(f"                 woke {run_id}")


def _named(event: Event) -> str:
    of = f" of {event.key!r}" if event.key else ""
    return f"{event.name!r}{of} (the {event.seq}. of its name and key)"


def event_document(event: Event) -> dict[str, Any]:
    """The event as the one JSON document a command prints."""
    from agentflow.cli.documents import instant, payload

    return {
        "id": event.id,
        "name": event.name,
        "key": event.key,
        "seq": event.seq,
        "payload": payload(event.payload),
        "sent_by": event.sent_by,
        "sent_at": instant(event.sent_at),
        "woken": list(event.woken_runs),
        "repeated": event.repeated,
    }
