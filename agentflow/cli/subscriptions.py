"""Subscriptions: URLs that are told what happens to runs and approvals."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentflow.cli.command import command
from agentflow.cli.dispatches import dispatch_document, on_client, write_dispatches
from agentflow.cli.exits import Refused
from agentflow.cli.terminal import Terminal, user, write, write_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.client import Client
    from agentflow.records import Subscription

PANEL = "Subscriptions"
Id = Annotated[str, typer.Argument(metavar="ID", help="The subscription's id.")]
Events = Annotated[
    list[str] | None,
    typer.Option("--event", "-e", metavar="PATTERN", help='A type such as run.failed, or "run.*"; repeatable.'),
]
Tasks = Annotated[
    list[str] | None, typer.Option("--task", metavar="PATTERN", help="Only of runs of this task; repeatable.")
]
Description = Annotated[str | None, typer.Option("--description", metavar="TEXT", help="What it is for.")]
SecretVariable = Annotated[
    str | None,
    typer.Option(
        "--secret-env", metavar="NAME", help="Take the secret from this environment variable of whoever sends."
    ),
]
Reason = Annotated[str, typer.Option("--reason", "-m", metavar="TEXT", help="Kept with the change.")]


def register(application: typer.Typer) -> None:
    """Add these commands, as a group of their own."""
    group = typer.Typer(help="Have URLs told of runs and approvals.", no_args_is_help=True)
    command(group, "add", panel=PANEL)(add)
    command(group, "list", panel=PANEL)(listed)
    command(group, "show", panel=PANEL)(show)
    command(group, "change", panel=PANEL)(change)
    command(group, "disable", panel=PANEL)(disable)
    command(group, "enable", panel=PANEL)(enable)
    command(group, "rotate-secret", panel=PANEL)(rotate_secret)
    command(group, "remove", panel=PANEL)(remove)
    command(group, "ping", panel=PANEL)(ping)
    application.add_typer(group, name="subscriptions", rich_help_panel=PANEL)


def add(
    terminal: Terminal,
    url: Annotated[str, typer.Argument(metavar="URL", help="Where events are posted to.")],
    *,
    events: Events = None,
    tasks: Tasks = None,
    description: Description = None,
    secret_variable: SecretVariable = None,
) -> int:
    """Add a subscription and print its secret, this once. It is told of what happens from now on."""
    if not events:
        raise Refused('found no --event; wanted at least one, such as --event run.failed or --event "run.*"')

    async def make(client: Client) -> None:
        made = await client.subscriptions.add(
            url,
            events=events,
            tasks=tasks or (),
            description=description or "",
            secret=_variable(secret_variable),
            by=user(),
        )
        _answer_secret(terminal, made)

    return on_client(terminal, make)


def listed(terminal: Terminal) -> int:
    """List subscriptions: where they are, what they are told of, and whether they are enabled."""

    async def look(client: Client) -> None:
        found = await client.subscriptions.all()
        terminal.answer([subscription_document(one) for one in found], lambda: _write(found))
        if not found:
            terminal.note("there is no subscription; `agentflow subscriptions add URL --event run.failed` makes one")

    return on_client(terminal, look)


def show(terminal: Terminal, subscription: Id) -> int:
    """Show one subscription, without its secret, and its latest dispatches."""

    async def look(client: Client) -> None:
        one = await client.subscriptions.one(subscription)
        sent = (await client.subscriptions.dispatches(subscription_id=one.id, limit=10)).items
        document = subscription_document(one) | {"dispatches": [dispatch_document(each) for each in sent]}

        def write_all() -> None:
            _write([one])
            write()
            write_dispatches(sent)

        terminal.answer(document, write_all)

    return on_client(terminal, look)


def change(
    terminal: Terminal,
    subscription: Id,
    *,
    url: Annotated[str | None, typer.Option("--url", metavar="URL", help="Another URL.")] = None,
    events: Events = None,
    tasks: Tasks = None,
    every_task: Annotated[bool, typer.Option("--every-task", help="Of every task again.")] = False,
    description: Description = None,
) -> int:
    """Change where a subscription is, or what it is told of; what is not named stays."""
    if every_task and tasks:
        raise Refused("found --every-task and --task; wanted one of them")
    wanted = [] if every_task else tasks or None

    async def alter(client: Client) -> None:
        after = await client.subscriptions.change(
            subscription, url=url, events=events or None, tasks=wanted, description=description, by=user()
        )
        _answer(terminal, after)

    return on_client(terminal, alter)


def disable(terminal: Terminal, subscription: Id, reason: Reason = "") -> int:
    """Tell a subscription nothing more; what waits to be sent to it is discarded."""

    async def end(client: Client) -> None:
        _answer(terminal, await client.subscriptions.disable(subscription, by=user(), reason=reason))

    return on_client(terminal, end)


def enable(terminal: Terminal, subscription: Id) -> int:
    """Tell a disabled subscription of what happens from now on."""

    async def begin(client: Client) -> None:
        _answer(terminal, await client.subscriptions.enable(subscription, by=user()))

    return on_client(terminal, begin)


def rotate_secret(
    terminal: Terminal,
    subscription: Id,
    *,
    keep_for: Annotated[
        str, typer.Option("--keep-for", metavar="SPAN", help="How long the one before signs, too; 7d at most.")
    ] = "24h",
    secret_variable: SecretVariable = None,
) -> int:
    """Give a subscription another secret and print it, this once."""

    async def rotate(client: Client) -> None:
        after = await client.subscriptions.rotate_secret(
            subscription, by=user(), secret=_variable(secret_variable), keep_for=keep_for
        )
        _answer_secret(terminal, after)

    return on_client(terminal, rotate)


def remove(terminal: Terminal, subscription: Id) -> int:
    """Remove a subscription, with the record of all that was sent to it."""

    async def drop(client: Client) -> None:
        await client.subscriptions.remove(subscription, by=user())
        terminal.answer({"id": subscription, "removed": True}, lambda: write(f"{subscription} is removed"))

    return on_client(terminal, drop)


def ping(terminal: Terminal, subscription: Id) -> int:
    """Send an event that says nothing; `agentflow dispatches show ID` says how it went."""

    async def send(client: Client) -> None:
        sent = await client.subscriptions.ping(subscription, by=user())
        terminal.answer(dispatch_document(sent), lambda: write_dispatches([sent]))

    return on_client(terminal, send)


# -- doing it


def _variable(name: str | None) -> str | None:
    return None if name is None else f"env:{name}"


# -- saying it


def _answer(terminal: Terminal, one: Subscription) -> None:
    terminal.answer(subscription_document(one), lambda: _write([one]))


def _answer_secret(terminal: Terminal, one: Subscription) -> None:
    terminal.note(f"the secret of {one.id}; it is shown this once")
    terminal.answer(subscription_document(one) | {"secret": one.secret}, lambda: write(one.secret))


def subscription_document(one: Subscription) -> dict[str, Any]:
    """A subscription as `--json` prints it, without its secret."""
    from agentflow.cli.documents import instant

    return {
        "id": one.id,
        "url": one.url,
        "events": json.loads(one.events),
        "tasks": json.loads(one.tasks),
        "description": one.description,
        "created_at": instant(one.created_at),
        "created_by": one.created_by,
        "previous_secret_until": instant(one.previous_until),
        "disabled_at": instant(one.disabled_at),
        "disabled_by": one.disabled_by,
        "disabled_reason": one.disabled_reason,
    }


def _write(found: Sequence[Subscription]) -> None:
    rows = [
        (
            one.id,
            "disabled" if one.disabled_at else "enabled",
            one.url,
            " ".join(json.loads(one.events)),
            " ".join(json.loads(one.tasks)) or "every task",
            one.description,
            one.disabled_reason or "",
        )
        for one in found
    ]
    write_table(("id", "state", "url", "events", "tasks", "description", "why"), rows)
