"""Standing approvals: calls of tools that need nobody, within terms and for a time."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from agentflow.cli.command import command, whole_number
from agentflow.cli.exits import Refused
from agentflow.cli.terminal import Terminal, user, write_table

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from agentflow.approvals.terms import Term
    from agentflow.client import Client
    from agentflow.records import BackTest, Standing

PANEL = "Approvals"
ANYTHING = "*"
_WHERE: Final = re.compile(r"\s*(?P<name>[^=<\s]+)\s*(?P<how>=|<=|\sin\s)\s*(?P<value>.*)", re.DOTALL)
WANTED: Final = 'wanted name=value, name=* for anything, name<=number, or name in ["a", "b"]'

Where = Annotated[
    list[str] | None,
    typer.Option("--where", "-w", metavar="TERM", help='An argument: name=value, name=*, name<=50, name in ["a"].'),
]


def register(application: typer.Typer) -> None:
    """Add these commands, as a group of their own."""
    group = typer.Typer(help="Look at standing approvals, make and revoke them.", no_args_is_help=True)
    command(group, "list", panel=PANEL)(listed)
    command(group, "add", panel=PANEL)(add)
    command(group, "revoke", panel=PANEL)(revoke)
    application.add_typer(group, name="standing", rich_help_panel=PANEL)


def listed(
    terminal: Terminal,
    *,
    holding: Annotated[bool, typer.Option("--holding", help="Only those that may decide now.")] = False,
) -> int:
    """List standing approvals: what each lets happen without asking, and until when."""

    async def look(client: Client) -> None:
        found = await client.standings(holding=holding)
        now = client.now()
        terminal.answer([standing_document(one, now) for one in found], lambda: _write(found, now))
        if not found:
            terminal.note("there is no standing approval" + (" that holds" if holding else ""))

    return _on_client(terminal, look)


def add(
    terminal: Terminal,
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task or agent whose runs it is for.")],
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="The tool whose calls it is for.")],
    *,
    hold_for: Annotated[str, typer.Option("--for", metavar="SPAN", help="How long it holds, such as 7d; 30d at most.")],
    reason: Annotated[str, typer.Option("--reason", "-m", metavar="TEXT", help="Why; kept with it.")],
    where: Where = None,
    uses: Annotated[
        int | None, typer.Option("--uses", metavar="COUNT", parser=whole_number(1), help="How often at most.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would have approved; make nothing.")] = False,
) -> int:
    """Approve calls of a tool ahead, where every argument meets its term. One that no term names asks a person."""
    terms = [_term(text) for text in where or ()]

    async def make(client: Client) -> None:
        back = await client.backtest(task, tool, terms)
        if dry_run:
            terminal.note(_tried(back))
            terminal.answer({"looked_at": back.looked_at, "covered": back.covered}, lambda: None)
            return
        made = await client.add_standing(task, tool, terms, by=user(), reason=reason, hold_for=hold_for, most_uses=uses)
        now = client.now()
        terminal.note(_tried(back))
        terminal.answer(standing_document(made, now), lambda: _write([made], now))

    return _on_client(terminal, make)


def revoke(
    terminal: Terminal, standing: Annotated[str, typer.Argument(metavar="ID", help="The standing approval's id.")]
) -> int:
    """Let a standing approval decide nothing more; what it has decided stands."""

    async def end(client: Client) -> None:
        after = await client.revoke_standing(standing, by=user())
        now = client.now()
        terminal.answer(standing_document(after, now), lambda: _write([after], now))

    return _on_client(terminal, end)


# -- doing it


def _on_client(terminal: Terminal, act: Callable[[Client], Awaitable[None]]) -> int:
    async def run() -> None:
        from agentflow.cli.session import opened

        async with opened(terminal) as client:
            await act(client)

    asyncio.run(run())
    return 0


def _term(text: str) -> Term:
    from agentflow.approvals.terms import Term, TermKind

    found = _WHERE.fullmatch(text)
    if found is None or not found["value"].strip():
        raise Refused(f"--where: found {text!r}; {WANTED}")
    name, how, value = found["name"], found["how"].strip(), found["value"].strip()
    if how == "<=":
        return Term(name, TermKind.AT_MOST, value)
    if how == "in":
        return Term(name, TermKind.ONE_OF, _json(value))
    return Term(name, TermKind.ANY) if value == ANYTHING else Term(name, TermKind.IS, _json(value))


def _json(text: str) -> Any:
    """The JSON value of a text; the text itself where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text


# -- saying it


def standing_document(one: Standing, now: datetime) -> dict[str, Any]:
    """A standing approval as `--json` prints it; `terms` is the JSON Schema of the arguments it covers."""
    from agentflow.cli.documents import instant

    return {
        "id": one.id,
        "task": one.task,
        "tool": one.tool,
        "words": _words(one),
        "terms": json.loads(one.terms),
        "holds": one.holds_at(now),
        "uses": one.uses,
        "most_uses": one.most_uses,
        "made_by": one.made_by,
        "reason": one.reason,
        "approval_id": one.approval_id,
        "created_at": instant(one.created_at),
        "expires_at": instant(one.expires_at),
        "revoked_at": instant(one.revoked_at),
        "revoked_by": one.revoked_by,
    }


def _words(one: Standing) -> str:
    from agentflow.approvals.terms import in_words, terms_of

    return f"calls of {one.tool} in runs of {one.task} {in_words(terms_of(json.loads(one.terms)))}"


def _tried(back: BackTest) -> str:
    if not back.looked_at:
        return "nobody has decided such a call before, so there is nothing to try the terms on"
    said = f"of the last {back.looked_at} such calls that people decided, it would have approved {back.covered}"
    against = [
        f"{count} that they {what}"
        for count, what in ((back.corrected, "corrected"), (back.rejected, "rejected"))
        if count
    ]
    return f"{said}, among them {' and '.join(against)}" if against else said


def _write(found: Sequence[Standing], now: datetime) -> None:
    rows = [
        (
            one.id,
            "holds" if one.holds_at(now) else "revoked" if one.revoked_at else "over",
            f"{one.uses}" if one.most_uses is None else f"{one.uses} of {one.most_uses}",
            f"{one.expires_at:%Y-%m-%d %H:%M}",
            f"{one.made_by}: {one.reason}",
            _words(one),
        )
        for one in found
    ]
    write_table(("id", "state", "uses", "until", "made by", "what"), rows)
