"""Moving a database into another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.exits import ExitCode, Refused
from agentflow.cli.terminal import Terminal, write

if TYPE_CHECKING:
    from agentflow.store.keeping.moving import Moved

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="The database to move, such as sqlite:///agentflow.db.")]
Destination = Annotated[
    str, typer.Argument(metavar="DESTINATION", help="An empty one, such as postgresql://host/name.")
]


def move(terminal: Terminal, source: Source, destination: Destination) -> int:
    """Move all runs and approvals, open ones too, into another database; afterwards the first refuses all writes."""
    from agentflow.cli.session import missing_database
    from agentflow.settings import shown_url
    from agentflow.store.keeping.moving import move as move_all
    from agentflow.store.keeping.places import place_of

    if sentence := missing_database(source):
        raise Refused(sentence, ExitCode.UNUSABLE)
    with terminal.progress(f"moving {shown_url(source)}") as heard:
        dead = asyncio.run(_made_ready(source, destination))
        with place_of(source) as here, place_of(destination) as there:
            moved = move_all(here, there, heard, dead=dead)
        asyncio.run(_opened(destination))
    document = {
        "source": shown_url(source),
        "destination": shown_url(destination),
        "rows": {name.removeprefix("agentflow_"): count for name, count in moved.rows.items()},
        "nuls_shown": moved.nuls,
        "was_there": moved.was_there,
    }
    terminal.answer(document, lambda: _write(moved, shown_url(source), shown_url(destination)))
    return ExitCode.OK


async def _made_ready(source: str, destination: str) -> list[str]:
    """Bring both schemas up to date; the workers of the source that are known to have ended."""
    from agentflow.store import open_store
    from agentflow.store.keeping.moving import moved_to
    from agentflow.store.keeping.places import place_of
    from agentflow.worker import hosts

    store = await open_store(source)
    try:
        dead = [worker.id for worker in await store.workers() if hosts.is_dead(worker)]
    finally:
        await store.close()
    with place_of(source) as here:
        if moved_to(here):
            raise Refused(f"database {here.shown} was moved before; nothing was moved now", ExitCode.CONFLICT)
    await _opened(destination)
    return dead


async def _opened(url: str) -> None:
    """Open it once, as every program does: its schema is made, and its numbers follow those that came."""
    from agentflow.store import open_store

    await (await open_store(url)).close()


def _write(moved: Moved, source: str, destination: str) -> None:
    how = "had been moved already, and is the same" if moved.was_there else "moved, and found to be the same"
    write(f"{sum(moved.rows.values())} rows {how}", "green")
    for name, count in moved.rows.items():
        if count:
            write(f"  {name.removeprefix('agentflow_'):<14}{count}")
    if moved.nuls:
        write(f"{moved.nuls} rows held a NUL character, which PostgreSQL cannot hold: it is written ␀ there", "yellow")
    write(f"{source} takes no more writes; start every program with {destination}")
