"""Webhooks: what listens for requests and who may send them; what was received, and having it delivered again."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentflow.cli.command import command, whole_number
from agentflow.cli.exits import ExitCode, Refused
from agentflow.cli.terminal import Terminal, safe, user, write, write_table
from agentflow.states import DeliveryOutcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from agentflow.client import Client
    from agentflow.records import Delivery
    from agentflow.tasks.webhook import Webhook

PANEL = "Webhooks"
LONGEST_BODY = 20_000
STYLES = {"started": "green", "ignored": "dim", "refused": "red", "conflict": "magenta"}
DeliveryId = Annotated[str, typer.Argument(metavar="DELIVERY", help="Its id with us, as `deliveries list` shows it.")]


def register(application: typer.Typer) -> None:
    """Add these commands, those about deliveries as a group of their own."""
    command(application, "webhooks", panel=PANEL)(webhooks)
    group = typer.Typer(help="Look at what webhooks received, and have it delivered again.", no_args_is_help=True)
    command(group, "list", panel=PANEL)(listed)
    command(group, "show", panel=PANEL)(show)
    command(group, "redeliver", panel=PANEL)(redeliver)
    application.add_typer(group, name="deliveries", rich_help_panel=PANEL)


def webhooks(
    terminal: Terminal,
    app: Annotated[str, typer.Argument(metavar="APP", help="Such as app.py or package.module.")],
) -> int:
    """List the webhooks of a module: their addresses, what they start, and how requests are verified."""
    from agentflow.cli.targets import load

    found = [one for _, one in sorted(load(app).catalog.webhooks.items())]
    terminal.answer([webhook_document(one) for one in found], lambda: _write_webhooks(found))
    for one in found:
        if one.caution:
            terminal.note(f"WARNING: {one.caution}")
    if not found:
        terminal.note(f"{app} defines no webhook; put @task.webhook(PATH, verify=...) above a @task")
    return 0


def listed(
    terminal: Terminal,
    *,
    webhook: Annotated[str | None, typer.Option("--webhook", metavar="PATH", help="Only of this webhook.")] = None,
    outcome: Annotated[
        DeliveryOutcome | None, typer.Option("--outcome", help="Only what became this.", show_choices=True)
    ] = None,
    id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Only those with this id of the sender's.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="COUNT", parser=whole_number(1, 1000), help="At most so many.")
    ] = 50,
    cursor: Annotated[
        str | None, typer.Option("--cursor", metavar="CURSOR", help="Go on where an answer of --json ended.")
    ] = None,
) -> int:
    """List deliveries, newest first: what became of each, and the run it started."""
    if id is not None and (outcome is not None or cursor is not None):
        raise Refused("--id lists all that came under an id; leave out --outcome and --cursor")

    async def look(client: Client) -> None:
        next_cursor = None
        if id is not None:
            found = list(await client.deliveries.of_id(id, webhook=webhook))[:limit]
        else:
            page = await client.deliveries.all(webhook=webhook, outcome=outcome, cursor=cursor, limit=limit)
            found, next_cursor = list(page.items), page.next_cursor
        document = {"deliveries": [delivery_document(one) for one in found], "next_cursor": next_cursor}
        terminal.answer(document, lambda: _write_deliveries(found, client.now()))
        if not found:
            terminal.note("no delivery" + ("" if webhook is outcome is id is None else " fits"))
        if next_cursor is not None:
            terminal.note(f"there are more: --cursor {next_cursor}")

    return _on_client(terminal, look)


def show(
    terminal: Terminal,
    delivery: DeliveryId,
    *,
    raw: Annotated[bool, typer.Option("--raw", help="Print the body alone, as it came.")] = False,
) -> int:
    """Show a delivery: its headers and body, what became of it and why, and what else came under its id."""
    if raw and terminal.as_json:
        raise Refused("--raw prints the body and --json a document; take one of them")

    async def look(client: Client) -> None:
        found = await client.deliveries.one(delivery)
        if raw:
            _write_raw(found)
            return
        others = await client.deliveries.of_id(found.delivery_id, webhook=found.webhook)
        document = {**whole_document(found), "others": [delivery_document(one) for one in others if one.id != found.id]}
        terminal.answer(document, lambda: _write_delivery(found, others, client.now()))

    return _on_client(terminal, look)


def redeliver(
    terminal: Terminal,
    delivery: DeliveryId,
    app: Annotated[str, typer.Argument(metavar="APP", help="The code that has the webhook, such as app.py.")],
) -> int:
    """Have a delivery judged by the code as it is now: a new one, with a run of its own. Exit 1 if it is refused."""
    from agentflow.cli.session import opened
    from agentflow.cli.targets import load

    catalog = load(app).catalog

    async def run() -> Delivery:
        async with opened(terminal, catalog=catalog) as client:
            made = await client.deliveries.redeliver(delivery, by=user())
            terminal.answer(delivery_document(made), lambda: _write_deliveries([made], client.now()))
            return made

    made = asyncio.run(run())
    if made.outcome is DeliveryOutcome.REFUSED:
        terminal.note(f"refused again: {made.detail or made.reason}")
        return ExitCode.FAILED
    if made.outcome is DeliveryOutcome.IGNORED:
        terminal.note(f"where= of webhook {made.webhook} passed over it, so it started no run")
    return ExitCode.OK


# -- doing it


def _on_client(terminal: Terminal, act: Callable[[Client], Awaitable[None]]) -> int:
    async def run() -> None:
        from agentflow.cli.session import opened

        async with opened(terminal) as client:
            await act(client)

    asyncio.run(run())
    return 0


# -- saying it


def webhook_document(webhook: Webhook) -> dict[str, Any]:
    """A webhook as `--json` prints it; `rate` is a text such as "50/s", and no secret is in it."""
    return {
        "path": webhook.path,
        "address": f"/hooks{webhook.path}",
        "task": webhook.task,
        "verified": webhook.verifier.format,
        "is_open": bool(webhook.caution),
        "secrets": len(webhook.verifier.secrets),
        "rate": None if webhook.rate is None else webhook.rate.text,
        "max_body": webhook.max_body,
        "max_depth": webhook.max_depth,
        "has_where": webhook.where is not None,
        "has_input": webhook.input is not None,
    }


def delivery_document(delivery: Delivery) -> dict[str, Any]:
    """A delivery in a listing as `--json` prints it."""
    from agentflow.cli.documents import instant

    return {
        "id": delivery.id,
        "webhook": delivery.webhook,
        "delivery_id": delivery.delivery_id,
        "outcome": str(delivery.outcome),
        "run_id": delivery.run_id,
        "received_at": instant(delivery.received_at),
        "reason": delivery.reason,
        "detail": delivery.detail,
        "redelivery_of": delivery.redelivery_of,
        "requested_by": delivery.requested_by,
        "digest": delivery.digest,
    }


def whole_document(delivery: Delivery) -> dict[str, Any]:
    """The same with its headers and body; the body is base64 where `encoding` says so."""
    from agentflow.client.bodies import headers_of

    headers = [[name, value] for name, value in headers_of(delivery)]
    return {**delivery_document(delivery), "headers": headers, "encoding": delivery.encoding, "body": delivery.body}


def _write_webhooks(found: Sequence[Webhook]) -> None:
    rows = [
        (
            f"POST /hooks{one.path}",
            one.task,
            "NOT VERIFIED" if one.caution else one.verifier.format,
            _keys(one),
            "no rate" if one.rate is None else str(one.rate),
            f"{one.max_body:,} bytes",
        )
        for one in found
    ]
    write_table(("address", "starts", "verified", "secrets", "rate", "largest body"), rows)


def _keys(webhook: Webhook) -> str:
    count = len(webhook.verifier.secrets)
    return {0: "none", 1: "1"}.get(count, f"{count}, while one is replaced")


def _write_deliveries(found: Sequence[Delivery], now: datetime) -> None:
    from agentflow.cli.views import age

    rows = [
        (
            one.id,
            str(one.outcome),
            one.webhook,
            one.delivery_id,
            f"{age(one.received_at, now)} ago",
            one.run_id or one.reason or "",
        )
        for one in found
    ]
    write_table(("id", "outcome", "webhook", "sender's id", "received", "run or reason"), rows)


def _write_delivery(delivery: Delivery, others: Sequence[Delivery], now: datetime) -> None:
    from agentflow.cli.views import age
    from agentflow.client.bodies import headers_of

    write(f"{delivery.id}  {delivery.webhook}  {delivery.outcome}", STYLES.get(delivery.outcome, ""))
    facts = {
        "received": f"{age(delivery.received_at, now)} ago, {delivery.received_at.astimezone():%Y-%m-%d %H:%M:%S %Z}",
        "sender's id": delivery.delivery_id,
        "run": delivery.run_id,
        "told": delivery.reason,
        "detail": delivery.detail if delivery.detail != delivery.reason else None,
        "again": delivery.redelivery_of and f"of {delivery.redelivery_of}, by {delivery.requested_by}",
    }
    for label, text in facts.items():
        if text:
            write(f"  {label:<12}{text}")
    write("  headers")
    for name, value in headers_of(delivery):
        write(f"    {name}: {value}")
    _write_body(delivery)
    rest = [one for one in others if one.id != delivery.id]
    if rest:
        write("  also under this id")
        for one in rest:
            write(f"    {one.id}  {one.outcome}  {age(one.received_at, now)} ago")


def _write_body(delivery: Delivery) -> None:
    from agentflow.cli.terminal import pretty
    from agentflow.client.bodies import read_body

    body = read_body(delivery)
    if body is None:
        write("  body        not kept")
        return
    write(f"  body        {body.kind}, {body.size:,} bytes")
    text = body.text if body.kind in ("text", "bytes") else pretty(body.value)
    for line in text[:LONGEST_BODY].splitlines():
        write(f"    {line}")
    if len(text) > LONGEST_BODY:
        write(f"    … cut; all of it: agentflow deliveries show {delivery.id} --raw", "dim")


def _write_raw(delivery: Delivery) -> None:
    """Byte for byte into a pipe or file; for a terminal, made safe."""
    from agentflow.tasks.deliveries import body_of

    if delivery.body is None:
        raise Refused(f"the body of delivery {delivery.id} is not kept", ExitCode.NOT_FOUND)
    content = body_of(delivery.body, delivery.encoding)
    if sys.stdout.isatty():
        write(safe(content.decode(errors="backslashreplace")))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
