"""What a rehearsal has in place of a store and a clock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from agentflow.runtime.operations.bounds import SHORT
from agentflow.states import RunStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence
    from datetime import datetime, timedelta

    from agentflow.records import Entry
    from agentflow.requests import Lease, OpenWait
    from agentflow.runtime.dry.rehearsal import Rehearsal


class Nowhere:
    """The store of a rehearsal: what is written goes nowhere, and what it would have to answer is not asked."""

    def __init__(self) -> None:
        self.rehearsal: Rehearsal | None = None
        self.frontier: tuple[str, ...] = ()

    async def append(self, *_: Any) -> None:
        """Keep nothing."""

    settle = open_waits = keep_logs = append

    async def entries(self, _run_id: str, **_: Any) -> Sequence[Entry]:
        """Nothing has been written since."""
        return ()

    async def park(self, _lease: Lease, _new: Sequence[OpenWait], blocked: Collection[str]) -> RunStatus:
        """Every branch rests: note where."""
        self.frontier = tuple(dict.fromkeys(blocked))
        return RunStatus.WAITING

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[None]]:
        """Every other verb does or tells something real: the code rests where it would call it."""
        del verb
        assert self.rehearsal is not None
        return self._unknown

    async def _unknown(self, *_: Any, **__: Any) -> None:
        assert self.rehearsal is not None
        await self.rehearsal.rest_here()


class Still:
    """The clock of a rehearsal: it stands still, short pauses are over at once and long ones never."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        """The instant it stands at."""
        return self._at

    async def sleep(self, span: timedelta) -> None:
        """Return at once, or never."""
        if span > SHORT:
            await asyncio.get_running_loop().create_future()
