"""Copies of a database: making one while all goes on, and going on from one."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from agentflow.cli.exits import ExitCode, Refused
from agentflow.cli.terminal import Terminal, user, write

if TYPE_CHECKING:
    from datetime import datetime

    from agentflow.records import Restored, Withheld
    from agentflow.store.base import Store

Target = Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy is to be.")]
Copy = Annotated[Path, typer.Argument(metavar="FILE", help="A copy that `agentflow db backup` made.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]
GoOn = Annotated[
    bool, typer.Option("--go-on", help="Let open runs go on by themselves; what they did since is done again.")
]
Reason = Annotated[str, typer.Option("--reason", "-m", metavar="TEXT", help="Kept in each open run's journal.")]
Anyway = Annotated[bool, typer.Option("--force", help="Even while a worker seems to be alive.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marking:
    """How a database is marked as restored."""

    terminal: Terminal
    go_on: bool
    reason: str
    anyway: bool


# -- making one


def backup(terminal: Terminal, file: Target, *, force: Force = False) -> int:
    """Copy the database as it is at one moment, while workers go on: of a SQLite file a file, of a server a dump."""
    from agentflow.cli.session import missing_database
    from agentflow.settings import shown_url
    from agentflow.store.keeping.backing import copy_file, dump_server
    from agentflow.store.postgres.server import is_postgres
    from agentflow.store.sqlite.file import path_of

    if sentence := missing_database(terminal.database):
        raise Refused(sentence, ExitCode.UNUSABLE)
    shown, target = shown_url(terminal.database), file.absolute()
    with terminal.progress(f"copying {shown}") as heard:
        if is_postgres(terminal.database):
            size = dump_server(terminal.database, target, heard, force=force)
        else:
            size = copy_file(path_of(terminal.database), target, heard, force=force)
    document = {"database": shown, "file": str(target), "bytes": size}
    terminal.answer(document, lambda: write(f"{shown} copied to {target} ({size} bytes), and checked", "green"))
    return ExitCode.OK


# -- going on from one


def restore(terminal: Terminal, file: Copy, *, force: Force = False, go_on: GoOn = False, reason: Reason = "") -> int:
    """Make the database anew from a copy, and mark it as restored: its open runs are paused until a person has looked.

    A database file that is there is refused, or with --force kept beside it under another name.
    """
    from agentflow.store.keeping.backing import load_server
    from agentflow.store.postgres.server import is_postgres

    marking = Marking(terminal=terminal, go_on=go_on, reason=reason, anyway=True)
    if not is_postgres(terminal.database):
        return _restore_file(marking, file, force=force)
    with terminal.progress(f"restoring {file}") as heard:
        load_server(terminal.database, file.absolute(), heard)
    return asyncio.run(_restored(marking))


def _restore_file(marking: Marking, copy: Path, *, force: bool) -> int:
    """The restored file takes its name when it is marked: before that, no worker finds it."""
    from agentflow.store.keeping.backing import copy_file, put_in_place, require_sound
    from agentflow.store.sqlite.file import path_of

    terminal = marking.terminal
    if not copy.exists():
        raise Refused(f"there is no copy at {copy}; wanted what `agentflow db backup` made", ExitCode.NOT_FOUND)
    path = path_of(terminal.database)
    part = path.with_name(f"{path.name}.restoring")
    with terminal.progress(f"restoring {copy}") as heard:
        require_sound(copy.absolute(), said=copy)
        _require_unused(path, force=force)
        copy_file(copy.absolute(), part, heard, force=True)
    code = asyncio.run(_restored(marking, f"sqlite:///{quote(str(part))}"))
    kept = put_in_place(part, path)
    if kept is not None:
        terminal.note(f"the database that was there is {kept} now")
    return code


def _require_unused(path: Path, *, force: bool) -> None:
    """Raise `Refused` for a database that is there, unless it may be set aside and no worker is seen on it."""
    if not path.exists():
        return
    if not force:
        raise Refused(
            f"there is a database at {path}, and nothing was restored; stop what works on it, then give --force to "
            "keep it beside the restored one, or name another with --database",
            ExitCode.CONFLICT,
        )
    from agentflow.errors import StoreUnusable
    from agentflow.store.keeping.moving import alive_on
    from agentflow.store.keeping.places import FilePlace
    from agentflow.worker import hosts

    with suppress(StoreUnusable), FilePlace(f"sqlite:///{quote(str(path))}") as place:  # a damaged one is set aside
        for one in alive_on(place):
            if one.host == hosts.host() and not hosts.is_dead(one):
                raise Refused(
                    f"worker {one.id} (process {one.pid}) works on {path}; stop it first. Nothing was restored",
                    ExitCode.CONFLICT,
                )


def restored(terminal: Terminal, *, go_on: GoOn = False, reason: Reason = "", force: Anyway = False) -> int:
    """Mark a database that was put back by other means (pg_restore, a snapshot) before any worker is started on it.

    Its open runs are paused until a person has looked, what a worker of the lost time still writes is refused, and
    schedules go on from now.
    """
    return asyncio.run(_restored(Marking(terminal=terminal, go_on=go_on, reason=reason, anyway=force)))


async def _restored(marking: Marking, url: str = "") -> int:
    from agentflow.cli.session import opened_store
    from agentflow.settings import shown_url

    terminal = marking.terminal
    async with opened_store(terminal, url) as store:
        if not marking.anyway:
            await _require_no_worker(store)
        last = await _last_known(store)
        since = (
            f"the database was restored from a backup; what happened after {last:%Y-%m-%d %H:%M:%S} UTC is not known"
        )
        with terminal.progress("marking open runs") as heard:
            workers = await store.forget_workers()
            done = await _marked(store, heard, reason=f"{since}. {marking.reason}".rstrip(". "), go_on=marking.go_on)
            withheld = await store.withhold(by=user(), reason=since)
    document = {
        "database": shown_url(terminal.database),
        "last_known": last.isoformat(),
        "paused": done.paused,
        "going_on": done.going_on,
        "left": done.left,
        "workers_forgotten": workers,
        "schedules_put_off": withheld.schedules,
        "occurrences_skipped": withheld.occurrences,
        "backfills_cancelled": withheld.backfills,
        "matches_failed": withheld.matches,
        "dispatches_discarded": withheld.dispatches,
        "sessions_ended": withheld.sessions,
        "tokens_valid": withheld.tokens,
    }
    terminal.answer(document, lambda: _write(done, last, workers, withheld))
    return ExitCode.OK


async def _require_no_worker(store: Store) -> None:
    from agentflow.worker import hosts

    alive = [one for one in await store.workers() if one.lease_until > store.now() and not hosts.is_dead(one)]
    if alive:
        one = alive[0]
        raise Refused(
            f"worker {one.id} (process {one.pid} on {one.host.partition(':')[0]}) works on this database, or did so up "
            f"to the backup; stop it or wait until {one.lease_until:%H:%M:%S} UTC, or give --force. Nothing was marked",
            ExitCode.CONFLICT,
        )


async def _last_known(store: Store) -> datetime:
    """When the last thing happened that the database knows of."""
    entries = await store.feed(after=await store.head() - 1, limit=1)
    return entries[-1].at if entries else store.now()


async def _marked(store: Store, heard: Any, *, reason: str, go_on: bool) -> Restored:
    from agentflow.records import Restored
    from agentflow.requests import MarkRestored

    total, after = Restored(), ""
    while True:
        request = MarkRestored(by=user(), reason=reason, after=after, go_on=go_on)
        found = await store.mark_restored(request)
        total = Restored(
            paused=total.paused + found.paused,
            going_on=total.going_on + found.going_on,
            left=total.left + found.left,
        )
        heard(f"marking open runs: {total.paused + total.going_on + total.left}")
        if found.after is None:
            return total
        after = found.after


def _write(done: Restored, last: datetime, workers: int, withheld: Withheld) -> None:
    write(f"restored; the last thing known is of {last:%Y-%m-%d %H:%M:%S} UTC", "green")
    write(f"  {done.paused} open runs paused: look at them, then `agentflow resume`")
    if done.going_on:
        write(f"  {done.going_on} open runs go on by themselves")
    if done.left:
        write(f"  {done.left} were paused or needed attention already")
    write(f"  {workers} workers of before are forgotten, {withheld.schedules} schedules go on from now")
    if withheld.occurrences or withheld.backfills:
        write(f"  {withheld.occurrences} queued occurrences skipped, {withheld.backfills} backfills cancelled")
    if withheld.matches:
        write(f"  {withheld.matches} events that waited for a listener failed: `agentflow matches list`, then `retry`")
    if withheld.dispatches:
        write(f"  {withheld.dispatches} dispatches discarded: `agentflow dispatches resend` those still to be sent")
    if withheld.tokens:
        write(
            f"  {withheld.tokens} API tokens hold, as at the time of the backup: revoke again what was revoked since "
            "(`agentflow tokens list`)",
            "yellow",
        )
