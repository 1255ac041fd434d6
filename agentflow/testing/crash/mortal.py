"""A store under which a worker dies at a chosen write: before it, inside its transaction, or after its commit."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NoReturn

from agentflow.requests import Lease, NewEntry
from agentflow.states import EntryKind
from agentflow.store.sql import SqlStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime, timedelta

    from agentflow.clock import Clock
    from agentflow.store.sqlite.store import SqliteStore


class Place(StrEnum):
    """Where in a write the worker dies: nothing written, written but not committed, committed but nobody told."""

    BEFORE = "before"
    INSIDE = "inside"
    AFTER = "after"


class Fate:
    """Counts what the turns of a worker write, and ends it at write `number`; with 0 it only counts.

    With `spares_starts` the start of a call that is made once is no write to die at: workers that all died there would
    be asked what became of it for ever, and never make it.
    """

    def __init__(self, number: int = 0, place: Place = Place.BEFORE, *, spares_starts: bool = False) -> None:
        self.number = number
        self.place = place
        self.spares_starts = spares_starts
        self.writes: list[str] = []
        self.died = asyncio.Event()

    def comes(self, verb: str, args: tuple[Any, ...]) -> bool:
        """Take note of a turn's write; whether it is the fatal one."""
        if self.spares_starts and any(isinstance(one, NewEntry) and one.kind is EntryKind.STARTED for one in args):
            return False
        self.writes.append(described(verb, args))
        return len(self.writes) == self.number

    async def die(self) -> NoReturn:
        """From here on nothing of this worker is written, and nobody in it hears anything."""
        self.died.set()
        await asyncio.get_running_loop().create_future()
        raise AssertionError("unreachable")


class MortalStore(SqlStore):
    """The store as a worker sees it until its fate comes."""

    def __init__(self, inner: SqliteStore, fate: Fate) -> None:
        self._inner = inner
        self._fate = fate

    @property
    def clock(self) -> Clock:
        return self._inner.clock

    def write(self, verb: Any, *args: Any, **kwargs: Any) -> Any:
        assert not kwargs, "verbs take their arguments by position"
        return self._write(verb, args)

    async def _write(self, verb: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        fate = self._fate
        if fate.died.is_set():
            await fate.die()
        if verb.__name__ == "claim":
            return await self._claim(verb, args)
        if not (args and isinstance(args[0], Lease)) or not fate.comes(verb.__name__, args):
            return await self._inner.write(verb, *args)
        if fate.place is Place.INSIDE:
            with suppress(_CutOff):
                await self._inner.write(_cutting_off(verb), *args)
        elif fate.place is Place.AFTER:
            await self._inner.write(verb, *args)
        return await fate.die()

    async def _claim(self, verb: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """A claim that takes nothing is no write of a turn; one that does has been committed when this is known."""
        claimed = await self._inner.write(verb, *args)
        if claimed and self._fate.comes("claim", ()):
            await self._fate.die()
        return claimed

    def read(self, verb: Any, *args: Any, **kwargs: Any) -> Any:
        return self._inner.read(verb, *args, **kwargs)

    def glance(self, verb: Any, *args: Any, **kwargs: Any) -> Any:
        return self._inner.glance(verb, *args, **kwargs)

    def now(self) -> datetime:
        return self._inner.now()

    def renew(self, worker_id: str, lease_for: timedelta) -> dict[str, int] | None:
        return self._inner.renew(worker_id, lease_for)

    def watch(self, callback: Callable[[str, bool], None], *, run_id: str = "") -> Callable[[], None]:
        return self._inner.watch(callback, run_id=run_id)

    def changes(self) -> AsyncIterator[None]:
        return self._inner.changes()

    async def close(self) -> None:
        await self._inner.close()


class _CutOff(Exception):
    """The transaction is not to be committed."""


def _cutting_off(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The verb with its transaction undone once it has written everything."""

    def cut_off(*args: Any) -> NoReturn:
        verb(*args)
        raise _CutOff

    return cut_off


def described(verb: str, args: tuple[Any, ...]) -> str:
    """A write as a text for a person: `append of charge#1`."""
    entry = next((one for one in args if isinstance(one, NewEntry)), None)
    told = "" if entry is None else " ".join(filter(None, (f"({entry.kind}", entry.key))) + ")"
    return " ".join(filter(None, (verb, told)))
