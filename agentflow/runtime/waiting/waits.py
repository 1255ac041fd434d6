"""The waits of a turn: answered while it goes on, waited out in memory when short, or parked with the run.

An answer is looked for whenever something about the run was committed; one that comes while the run is being parked
belongs to the next turn, which the parking itself then brings about.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from agentflow.errors import UnsupportedAwait
from agentflow.runtime.parallel.branches import Branch
from agentflow.runtime.signals import Suspend
from agentflow.states import EntryKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from agentflow.records import Entry
    from agentflow.runtime.parallel.branches import Waiting
    from agentflow.runtime.turn import Turn


class Waits:
    """What the branches of one turn wait for."""

    def __init__(self, turn: Turn, *, hold_for: timedelta) -> None:
        self.root = Branch()
        self._turn = turn
        self._hold_for = hold_for
        self._is_resting = False
        self._is_parking = False
        self._looking: asyncio.Task[None] | None = None
        self._look_again = False
        self._waits: dict[Waiting, None] = {}  # in the order in which they began

    def unwind(self) -> None:
        """Let every waiting branch leave its code."""
        waits, self._waits = self._waits, {}
        for waiting in waits:
            waiting.fail(Suspend())

    async def wait(self, branch: Branch, waiting: Waiting) -> Any:
        """The answer to a wait. Parks the run, and leaves it, when nothing else of it is at work."""
        require_own_time(waiting.key)
        return await self.wait_out(branch, waiting)

    async def wait_out(self, branch: Branch, waiting: Waiting) -> Any:
        """The same, also where a clock runs meanwhile that parking would stop."""
        waiting.branch = branch
        self._waits[waiting] = None
        branch.rest()
        alarm: asyncio.Task[None] | None = None
        try:
            while not waiting.future.done():
                if self._turn.is_over or branch.is_stopped:
                    raise Suspend
                if self.root.is_quiet() and not self._is_resting:
                    await self.rest()
                elif waiting.to_open is not None:
                    await self._open([waiting])  # people see it while the other branches go on
                else:
                    alarm = alarm or self._alarm(waiting)
                    await asyncio.wait({waiting.future})
            return waiting.future.result()
        finally:
            self._waits.pop(waiting, None)
            branch.go_on()
            if alarm is not None:
                alarm.cancel()

    def _alarm(self, waiting: Waiting) -> asyncio.Task[None] | None:
        if waiting.due_at is None:
            return None
        return asyncio.create_task(self._ring(waiting))

    async def _ring(self, waiting: Waiting) -> None:
        assert waiting.due_at is not None
        await self._turn.clock.sleep(waiting.due_at - self._turn.clock.now())
        waiting.answer(None)

    def _unanswered(self) -> list[Waiting]:
        return [one for one in self._waits if not one.future.done()]

    async def finished_branch(self) -> None:
        """A branch has ended; park the run if all that is left of it waits."""
        if self.root.is_quiet() and not self._is_resting:
            await self.rest()

    async def rest(self) -> None:
        """Every branch waits: wait a short timer out in memory, or park the run and leave it. One does it for all."""
        self._is_resting = True
        try:
            await self._rest()
        finally:
            self._is_resting = False

    async def _rest(self) -> None:
        waits = self._unanswered()
        due = min((one.due_at for one in waits if one.due_at is not None), default=None)
        if due is not None and due - self._turn.clock.now() <= self._hold_for:
            await self._open([one for one in waits if one.to_open is not None])
            await self._hold(due)
            return
        new = [one.to_open for one in waits if one.to_open is not None]
        self._is_parking = True  # an answer that comes from here on belongs to the next turn
        self._turn.logs.flush()
        await self._turn.write(self._turn.store.park, new, [one.key for one in waits])
        self._turn.leave(None)
        raise Suspend

    async def _hold(self, due: datetime) -> None:
        waits = self._unanswered()
        sleeping = asyncio.create_task(self._turn.clock.sleep(due - self._turn.clock.now()))
        try:
            await asyncio.wait({sleeping, *(one.future for one in waits)}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
        for one in waits:
            if one.due_at is not None and one.due_at <= self._turn.clock.now():
                one.answer(None)

    async def _open(self, waits: list[Waiting]) -> None:
        new = [one.to_open for one in waits if one.to_open is not None]
        for one in waits:
            one.to_open = None
        if new:
            await self._turn.write(self._turn.store.open_waits, new)
            self.look()

    def look(self) -> None:
        """Something about this run was committed: see whether a wait of ours has its answer."""
        if self._turn.is_over or not any(one.to_open is None for one in self._waits):
            return
        self._look_again = True
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        try:
            while self._look_again and not self._turn.is_over:
                self._look_again = False
                found = await self._turn.store.entries(self._turn.run.id, after=self._turn.index.last_seq)
                if self._is_parking:
                    return
                self.take_in(found)
        finally:
            self._looking = None

    def take_in(self, found: Sequence[Entry]) -> None:
        """Take entries of this run into the index, each once, and let the branches go on that they answer."""
        index, waits = self._turn.index, {one.key: one for one in self._waits}
        for entry in found:
            if entry.seq <= index.last_seq:
                continue  # another look was faster
            recorded = index.add(entry)
            if recorded is not None and entry.kind is EntryKind.WAIT_RESOLVED and recorded.key in waits:
                waits[recorded.key].answer(entry)


def require_own_time(key: str) -> None:
    """Raise `UnsupportedAwait` for a durable wait inside a `wait_for`, whose clock stops while the run is parked."""
    around = next((part for part in key.split("/")[:-1] if part.startswith("wait_for#")), None)
    if around is not None:
        raise UnsupportedAwait(
            f"{key} may wait longer than the run stays in memory, and the time of {around} counts only there; "
            "give the wait a timeout of its own, such as wait_for_approval(timeout=…)"
        )
