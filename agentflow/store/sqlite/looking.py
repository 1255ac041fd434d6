"""Looks for what other programs commit: the writer's `data_version` changes only then.

A look is one pragma: some microseconds, no disk. Fifty a second find a commit soon, and are most of what an idle worker
costs; so while nobody writes, the kernel is asked to tell of the next write (`ears.py`), and looks are few. What was
heard is a hint that somebody begins to write; that it is committed is for a look to find.
"""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, Final

from agentflow.store.sqlite.ears import Ears

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agentflow.store.sqlite.writer import SqliteWriter

EVERY: Final = 0.02
"""Seconds between looks while this program works, and where nothing can be heard."""
OFTEN: Final = 0.002
"""Seconds between looks when somebody writes, or did a moment ago: whoever decides from outside decides again."""
SELDOM: Final = 0.25
"""Seconds between looks while the kernel is listened to. A commit that takes longer than `SOON_FOR` waits so long."""
OFTEN_FOR: Final = 500
SOON_FOR: Final = 50
"""Looks at that pace after another program's commit was seen, and after a write was heard."""
QUIET: Final = 10
"""Looks without a commit by anybody before the kernel is listened to."""
DEAF: Final = 3
"""Commits one after the other that were not heard, after which the kernel is not trusted to tell of this file."""


class Looking:
    """Looks until it is cancelled, and calls `seen` for each look that finds something."""

    def __init__(self, path: Path, writer: SqliteWriter, renewals: Callable[[], int], seen: Callable[[], None]) -> None:
        self._writer = writer
        self._renewals = renewals
        self._seen = seen
        self._known = writer.foreign_version(), renewals(), writer.commits
        self._often = 0
        self._quiet = 0
        self._unheard = 0
        self._log = path.with_name(path.name + "-wal")

    async def go_on(self) -> None:
        """Look for ever. Time is real here, since other programs do not share a test's clock."""
        with closing(Ears(self._log)) as ears:
            while True:
                if self._often or self._quiet < QUIET or not ears.listen():
                    await asyncio.sleep(OFTEN if self._often else EVERY)  # noqa: TID251  real time, see above
                    self._look()
                else:
                    await self._rest(ears)

    async def _rest(self, ears: Ears) -> None:
        """Wait for the kernel to tell of a write, for as long as it may be trusted to."""
        if self._look():
            return  # committed before the kernel was asked
        while not await ears.hear(within=SELDOM):
            if self._look():
                self._unheard += 1
                if self._unheard >= DEAF:
                    ears.close()
                return
        self._often, self._unheard = SOON_FOR, 0
        self._look()

    def _look(self) -> bool:
        version, renewals, commits = self._known
        self._known = self._writer.foreign_version(), self._renewals(), self._writer.commits
        is_new = self._known[0] != version
        is_beat = is_new and self._known[1] != renewals  # our own heartbeat is nobody's decision
        self._often = OFTEN_FOR if is_new and not is_beat else 0 if is_beat else max(0, self._often - 1)
        if (is_new and not is_beat) or self._known[2] != commits:
            self._quiet = 0
        else:
            self._quiet += 1
        if is_new:
            self._seen()
        return is_new
