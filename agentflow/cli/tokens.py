"""API tokens: make them, list them, revoke them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentflow.access import EVERYTHING, SCOPES, scopes_of
from agentflow.cli.command import command
from agentflow.cli.exits import Refused
from agentflow.cli.terminal import Terminal, user, write, write_table

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from agentflow.client import Client
    from agentflow.records import ApiToken

PANEL = "Access"
FOREVER = "never"

Scopes = Annotated[
    list[str] | None,
    typer.Option("--scope", "-s", metavar="SCOPE", help=f"What it may do; repeatable. There are: {', '.join(SCOPES)}."),
]


def register(application: typer.Typer) -> None:
    """Add these commands, as a group of their own."""
    group = typer.Typer(help="Make, list and revoke the tokens people and programs sign in with.", no_args_is_help=True)
    command(group, "create", panel=PANEL)(create)
    command(group, "list", panel=PANEL)(listed)
    command(group, "revoke", panel=PANEL)(revoke)
    application.add_typer(group, name="tokens", rich_help_panel=PANEL)


def create(
    terminal: Terminal,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is; decisions are recorded under it.")],
    *,
    scopes: Scopes = None,
    everything: Annotated[bool, typer.Option("--all", help="Let it do everything.")] = False,
    expires: Annotated[
        str, typer.Option("--expires-in", metavar="SPAN", help='How long it holds, such as 90d, or "never".')
    ] = FOREVER,
) -> int:
    """Make a token and print it, this once: it is not kept."""
    if bool(scopes) == everything:
        raise Refused(f"wanted --all, or what it may do, by --scope. There are: {', '.join(SCOPES)}")

    async def make(client: Client) -> None:
        wanted = (EVERYTHING,) if everything else scopes or ()
        life = None if expires == FOREVER else expires
        token, text = await client.tokens.create(name, scopes=wanted, by=user(), expires_in=life)
        terminal.note(f"the token of {token.name}, {token.id}; it is shown this once")
        terminal.answer({**token_document(token, client.now()), "token": text}, lambda: write(text))

    return _on_client(terminal, make, may_create=True)


def listed(
    terminal: Terminal,
    *,
    holding: Annotated[bool, typer.Option("--holding", help="Only those that may be used now.")] = False,
) -> int:
    """List tokens, newest first: whose they are, what they may do and when they were last used."""

    async def look(client: Client) -> None:
        now = client.now()
        found = [one for one in await client.tokens.all() if not holding or one.holds_at(now)]
        terminal.answer([token_document(one, now) for one in found], lambda: _write(found, now))
        if not found:
            terminal.note("there is no token" + (" that holds" if holding else ""))

    return _on_client(terminal, look)


def revoke(
    terminal: Terminal, token: Annotated[str, typer.Argument(metavar="TOKEN", help="The token's name or id.")]
) -> int:
    """Let a token be used no more, from now on; whoever signed in with it is out."""

    async def end(client: Client) -> None:
        after = await client.tokens.revoke(token, by=user())
        now = client.now()
        terminal.answer(token_document(after, now), lambda: _write([after], now))

    return _on_client(terminal, end)


# -- doing it


def _on_client(terminal: Terminal, act: Callable[[Client], Awaitable[None]], *, may_create: bool = False) -> int:
    async def run() -> None:
        from agentflow.cli.session import opened

        async with opened(terminal, may_create=may_create) as client:
            await act(client)

    asyncio.run(run())
    return 0


# -- saying it


def token_document(token: ApiToken, now: datetime) -> dict[str, Any]:
    """A token as `--json` prints it; what it is itself is not known any more."""
    from agentflow.cli.documents import instant

    return {
        "id": token.id,
        "name": token.name,
        "scopes": list(scopes_of(token.scopes)),
        "holds": token.holds_at(now),
        "created_at": instant(token.created_at),
        "created_by": token.created_by,
        "expires_at": instant(token.expires_at),
        "revoked_at": instant(token.revoked_at),
        "revoked_by": token.revoked_by,
        "last_used_at": instant(token.last_used_at),
    }


def _write(found: Sequence[ApiToken], now: datetime) -> None:
    rows = [
        (
            one.id,
            one.name,
            "holds" if one.holds_at(now) else "revoked" if one.revoked_at else "expired",
            FOREVER if one.expires_at is None else f"{one.expires_at:%Y-%m-%d %H:%M}",
            "" if one.last_used_at is None else f"{one.last_used_at:%Y-%m-%d %H:%M}",
            one.created_by,
            " ".join(scopes_of(one.scopes)),
        )
        for one in found
    ]
    write_table(("id", "name", "state", "until", "last used", "made by", "scopes"), rows)
