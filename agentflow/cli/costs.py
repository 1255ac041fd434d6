"""Costs: what language models cost, by day, task or model."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentflow.cli.command import command
from agentflow.cli.terminal import Terminal, write_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from agentflow.records import CostsRow, Spent

PANEL = "Agents"
WAYS = ("day", "task", "model")


def register(application: typer.Typer) -> None:
    """Add this command."""
    command(application, "costs", panel=PANEL)(costs)


def costs(
    terminal: Terminal,
    *,
    since: Annotated[str, typer.Option("--since", metavar="SPAN", help="How far back, such as 7d or 12h.")] = "30d",
    by: Annotated[str, typer.Option("--by", metavar="day|task|model", help="What the sums are of.")] = "day",
    task: Annotated[str | None, typer.Option("--task", metavar="TASK", help="Only runs of this task.")] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="MODEL", help="Only calls of this model.")] = None,
) -> int:
    """Say what language models cost; days are those of UTC."""
    from agentflow.cli.session import missing_database

    if by not in WAYS:
        raise typer.BadParameter(f"found {by!r}; wanted {', '.join(WAYS)}", param_hint="--by")
    if sentence := missing_database(terminal.database):
        terminal.note(sentence)
        terminal.answer({"since": since, "by": by, "rows": [], "total": None}, lambda: None)
        return 0
    return asyncio.run(_costs(terminal, since, by, task, model))


async def _costs(terminal: Terminal, since: str, by: str, task: str | None, model: str | None) -> int:
    from agentflow.cli.session import opened

    async with opened(terminal) as client:
        found = await client.costs(since=since, task=task, model=model)
    sums = _sums(found, by)
    total = _total(row.spent for row in found)
    rows = [{by: str(name), **spent_document(spent)} for name, spent in sums]
    document = {"since": since, "by": by, "rows": rows, "total": spent_document(total)}
    terminal.answer(document, lambda: _write(by, sums, total))
    if not found:
        terminal.note(f"nothing was spent on models{' like that' if task or model else ''} within {since}")
    elif total.unpriced:
        terminal.note(f"of {total.unpriced:,} calls no price is known; their cost is in no sum")
    return 0


def _write(by: str, sums: Sequence[tuple[Any, Spent]], total: Spent) -> None:
    if not sums:
        return
    rows = [_row(str(name), spent) for name, spent in [*sums, ("total", total)]]
    write_table([by, "calls", "tokens in", "cached", "tokens out", "cost", "unpriced"], rows)


def _row(name: str, spent: Spent) -> list[str]:
    counts = (spent.calls, spent.input_tokens, spent.cached_tokens, spent.output_tokens)
    cost = "?" if spent.unpriced == spent.calls else dollars(spent.cost)
    return [name, *(f"{one:,}" for one in counts), cost, f"{spent.unpriced:,}" if spent.unpriced else ""]


def _sums(rows: Sequence[CostsRow], by: str) -> list[tuple[Any, Spent]]:
    """The sums by what was asked for: days in order, the newest first; the dearest task or model first."""
    groups: dict[Any, list[Spent]] = {}
    for row in rows:
        groups.setdefault(getattr(row, by), []).append(row.spent)
    found = [(name, _total(spent)) for name, spent in groups.items()]
    if by == "day":
        return sorted(found, key=lambda one: one[0], reverse=True)
    return sorted(found, key=lambda one: (-one[1].cost, -one[1].tokens, one[0]))


def _total(spent: Iterable[Spent]) -> Spent:
    from decimal import Decimal

    from agentflow.records import Spent

    whole = list(spent)
    names = ("calls", "input_tokens", "output_tokens", "cached_tokens", "unpriced")
    counts = {name: sum(getattr(one, name) for one in whole) for name in names}
    return Spent(cost=sum((one.cost for one in whole), Decimal(0)), **counts)


def spent_document(spent: Spent) -> dict[str, Any]:
    """Sums as a script reads them: US dollars as text, which loses nothing."""
    return {
        "calls": spent.calls,
        "input_tokens": spent.input_tokens,
        "cached_tokens": spent.cached_tokens,
        "output_tokens": spent.output_tokens,
        "cost_usd": f"{spent.cost:f}",
        "unpriced_calls": spent.unpriced,
    }


def dollars(amount: Decimal | None) -> str:
    """US dollars to the fraction that matters; "?" where no price is known."""
    if amount is None:
        return "?"
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}"
