"""Queues: what is going on in them, stopping and starting them, and their limits."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentflow.cli.command import command, whole_number
from agentflow.cli.exits import Refused
from agentflow.cli.terminal import Terminal, user, write, write_table

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from agentflow.client import Client
    from agentflow.limits import Limits
    from agentflow.records import QueueChange, QueueState

PANEL = "Queues"
NONE = "none"
QueueName = Annotated[str, typer.Argument(metavar="QUEUE", help="The queue's name.")]
Reason = Annotated[str, typer.Option("--reason", "-m", metavar="TEXT", help="Kept with the change.")]


Concurrency = Annotated[str | None, typer.Option(metavar="COUNT|none", help="Runs at a time.")]
PerKey = Annotated[str | None, typer.Option(metavar="COUNT|none", help="Runs of one queue key at a time.")]
PerWorker = Annotated[str | None, typer.Option(metavar="COUNT|none", help="Runs in one worker at a time.")]
Backlog = Annotated[str | None, typer.Option(metavar="COUNT|none", help="Runs that may line up.")]
RateText = Annotated[str | None, typer.Option(metavar="RATE|none", help='Starts, such as "100/min".')]
BudgetText = Annotated[str | None, typer.Option(metavar="NAME=RATE|none", help='Costs, such as "tokens=90000/min".')]
Fair = Annotated[bool | None, typer.Option("--fair/--not-fair", help="Whether keys take turns.")]


def register(application: typer.Typer) -> None:
    """Add these commands, as a group of their own."""
    group = typer.Typer(help="Look at queues, pause them and change their limits.", no_args_is_help=True)
    command(group, "list", panel=PANEL)(listed)
    command(group, "pause", panel=PANEL)(pause)
    command(group, "resume", panel=PANEL)(resume)
    command(group, "limit", panel=PANEL)(limit)
    command(group, "reset", panel=PANEL)(reset)
    command(group, "log", panel=PANEL)(log)
    application.add_typer(group, name="queues", rich_help_panel=PANEL)


def listed(terminal: Terminal) -> int:
    """List the queues: their limits, and how many runs are running, due and delayed in each."""

    async def look(client: Client) -> None:
        found = await client.queues()
        terminal.answer([queue_document(one) for one in found], lambda: _write_queues(found))

    return _on_client(terminal, look)


def pause(terminal: Terminal, queue: QueueName, reason: Reason = "") -> int:
    """Take no further runs from a queue, in any process; those that run go on."""
    return _changed(terminal, lambda client: client.pause_queue(queue, by=user(), reason=reason))


def resume(terminal: Terminal, queue: QueueName, reason: Reason = "") -> int:
    """Serve a paused queue again."""
    return _changed(terminal, lambda client: client.resume_queue(queue, by=user(), reason=reason))


def reset(terminal: Terminal, queue: QueueName, reason: Reason = "") -> int:
    """Give a queue the limits back that its code declares."""
    return _changed(terminal, lambda client: client.reset_queue(queue, by=user(), reason=reason))


def limit(
    terminal: Terminal,
    queue: QueueName,
    *,
    concurrency: Concurrency = None,
    per_key: PerKey = None,
    per_worker: PerWorker = None,
    backlog: Backlog = None,
    rate: RateText = None,
    budget: BudgetText = None,
    fair: Fair = None,
    reason: Reason = "",
) -> int:
    """Change limits of a queue, at once and in every process; those not named stay, `none` removes one."""
    counts = {"concurrency": concurrency, "per_key": per_key, "per_worker": per_worker, "backlog": backlog}
    given: dict[str, Any] = {name: _read_count(name, text) for name, text in counts.items() if text is not None}
    if rate is not None:
        given["rate"] = _read_rate(rate)
    if budget is not None:
        given["budget"] = _read_budget(budget)
    if fair is not None:
        given["fair"] = fair
    if not given:
        raise Refused("found no limit; wanted at least one, such as --concurrency 5 or --rate 100/min")

    async def change(client: Client) -> QueueState:
        limits = await _limits_with(client, queue, given)
        return await client.set_queue_limits(queue, limits, by=user(), reason=reason)

    return _changed(terminal, change)


def log(
    terminal: Terminal,
    queue: QueueName,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="COUNT", parser=whole_number(1, 1000), help="At most so many.")
    ] = 50,
) -> int:
    """Show who changed a queue, when and why, newest first."""

    async def look(client: Client) -> None:
        found = await client.queue_changes(queue, limit=limit)
        terminal.answer([change_document(one) for one in found], lambda: _write_changes(found))
        if not found:
            terminal.note(f"nobody has changed queue {queue!r}")

    return _on_client(terminal, look)


# -- doing it


def _changed(terminal: Terminal, change: Callable[[Client], Awaitable[QueueState]]) -> int:
    async def steer(client: Client) -> None:
        after = await change(client)
        terminal.answer(queue_document(after), lambda: _write_queues([after]))

    return _on_client(terminal, steer)


def _on_client(terminal: Terminal, act: Callable[[Client], Awaitable[None]]) -> int:
    async def run() -> None:
        from agentflow.cli.session import opened

        async with opened(terminal) as client:
            await act(client)

    asyncio.run(run())
    return 0


async def _limits_with(client: Client, queue: str, given: Mapping[str, Any]) -> Limits:
    """The limits that hold now, with these changed."""
    from dataclasses import replace

    from agentflow.limits import UNLIMITED

    limits = next((one.limits for one in await client.queues() if one.name == queue), UNLIMITED)
    return replace(limits, **given)


def _read_count(name: str, text: str) -> int | None:
    option = f"--{name.replace('_', '-')}"
    if text == NONE:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:20])):
        raise Refused(f'{option}: found {text!r}; wanted a whole number, 1 or more, or "none" for no limit')
    return int(text)


def _read_rate(text: str) -> Any:
    from agentflow.errors import InvalidSetting
    from agentflow.limits import Rate

    try:
        return None if text == NONE else Rate.of(text)
    except InvalidSetting as error:
        raise Refused(f"--rate: {error}") from None


def _read_budget(text: str) -> Any:
    from agentflow.errors import InvalidSetting
    from agentflow.limits import Budget

    name, _, rate = text.partition("=")
    try:
        return None if text == NONE else Budget(name, rate)
    except InvalidSetting as error:
        raise Refused(f"--budget: {error}") from None


# -- saying it


def queue_document(queue: QueueState) -> dict[str, Any]:
    """A queue as `--json` prints it; a rate's `per` is in seconds."""
    from agentflow.cli.documents import instant
    from agentflow.limits import limits_document

    return {
        "name": queue.name,
        "limits": limits_document(queue.limits),
        "declared": limits_document(queue.declared),
        "running": queue.running,
        "due": queue.due,
        "delayed": queue.delayed,
        "paused_at": instant(queue.paused_at),
        "changed_by": queue.changed_by,
        "reason": queue.reason,
        "changed_at": instant(queue.changed_at),
    }


def change_document(change: QueueChange) -> dict[str, Any]:
    """A change of a queue as `--json` prints it."""
    from agentflow.cli.documents import instant

    return {
        "at": instant(change.at),
        "by": change.changed_by,
        "reason": change.reason,
        "change": json.loads(change.change),
    }


def _write_queues(queues: Any) -> None:
    from agentflow.limits import described

    rows = [
        (
            one.name,
            "paused" if one.paused_at else "served",
            str(one.running),
            str(one.due),
            str(one.delayed),
            ", ".join(described(one.limits)) or "no limits",
            f"{one.changed_by}: {one.reason}" if one.reason else one.changed_by,
        )
        for one in queues
    ]
    write_table(("queue", "state", "running", "due", "delayed", "limits", "changed by"), rows)


def _write_changes(changes: Any) -> None:
    from agentflow.limits import change_in_words

    for one in changes:
        said = f": {one.reason}" if one.reason else ""
        write(f"{one.at:%Y-%m-%d %H:%M:%S}  {change_in_words(one.change)}, by {one.changed_by}{said}")
