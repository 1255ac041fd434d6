"""Agents at work: tell one something, see what it may spend, and give it more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentflow.cli.command import command, whole_number
from agentflow.cli.costs import PANEL, dollars, spent_document
from agentflow.cli.exits import Refused
from agentflow.cli.runs import RunId
from agentflow.cli.terminal import Terminal, user, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import BudgetState


def register(application: typer.Typer) -> None:
    """Add these commands."""
    command(application, "tell", panel=PANEL)(tell)
    command(application, "budget", panel=PANEL)(budget)


def tell(
    terminal: Terminal,
    run: RunId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to tell it; - reads it from stdin.")],
    *,
    id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="The same id never makes a second message.")
    ] = None,
) -> int:
    """Tell the agent of a run something while it works: it reads it within its next two turns."""
    return asyncio.run(_tell(terminal, run, text, id))


async def _tell(terminal: Terminal, given: str, text: str, id: str | None) -> int:
    import sys

    from agentflow.cli.events import event_document
    from agentflow.cli.lookup import find_run
    from agentflow.cli.session import opened

    said = sys.stdin.read().strip() if text == "-" else text
    async with opened(terminal) as client:
        run = await find_run(client, given)
        sent = await client.tell(run.id, said, by=user(), id=id)
    again = " already, by this very id" if sent.repeated else ""
    terminal.answer(event_document(sent), lambda: write(f"told{again}: run {run.id}, {sent.id}", "green"))
    return 0


def budget(
    terminal: Terminal,
    run: RunId,
    grant: Annotated[
        str, typer.Argument(metavar="[grant]", help="With `grant`, put more in; without, show what is left.")
    ] = "",
    *,
    tokens: Annotated[
        int | None, typer.Option("--tokens", metavar="COUNT", parser=whole_number(1), help="So many more tokens.")
    ] = None,
    cost: Annotated[str | None, typer.Option("--cost", metavar="USD", help="So many more US dollars.")] = None,
    key: Annotated[
        str, typer.Option("--key", metavar="KEY", help="Of which agent call in the run; the run itself unless given.")
    ] = "",
) -> int:
    """Show the budgets of a run, or put more into one."""
    if grant not in {"", "grant"}:
        raise typer.BadParameter(f"found {grant!r}; wanted grant, or nothing", param_hint="[grant]")
    if not grant and (tokens or cost):
        raise Refused(f"--tokens and --cost belong to a grant: agentflow budget {run} grant …")
    return asyncio.run(_grant(terminal, run, tokens or 0, cost, key) if grant else _budgets(terminal, run))


async def _grant(terminal: Terminal, given: str, tokens: int, cost: str | None, key: str) -> int:
    from agentflow.cli.lookup import find_run
    from agentflow.cli.session import opened

    async with opened(terminal) as client:
        run = await find_run(client, given)
        state = await client.grant_budget(run.id, key, tokens=tokens, cost=cost, by=user())
    terminal.answer(_document(state), lambda: _write([state]))
    return 0


async def _budgets(terminal: Terminal, given: str) -> int:
    from agentflow.cli.lookup import find_run
    from agentflow.cli.session import opened

    async with opened(terminal) as client:
        run = await find_run(client, given)
        found = await client.budgets(run.id)
    terminal.answer([_document(one) for one in found], lambda: _write(found))
    if not found:
        terminal.note(f"run {run.id} holds no budget")
    return 0


def _write(found: Sequence[BudgetState]) -> None:
    for one in found:
        limits = []
        if one.tokens is not None:
            left = max(0, one.tokens - one.spent.tokens)
            limits.append(f"{left:,} tokens left, {one.spent.tokens:,} of {one.tokens:,} spent")
        if one.cost is not None:
            left_cost = max(one.cost - one.spent.cost, one.cost * 0)
            limits.append(f"{dollars(left_cost)} left, {dollars(one.spent.cost)} of {dollars(one.cost)} spent")
        write(f"{one.key or 'the run'}: {'; '.join(limits) or 'no limits of tokens or cost'}")


def _document(state: BudgetState) -> dict[str, Any]:
    return {
        "run_id": state.run_id,
        "key": state.key,
        "tokens": state.tokens,
        "cost_usd": None if state.cost is None else f"{state.cost:f}",
        "warn_at": state.warn_at,
        "spent": spent_document(state.spent),
    }
