"""Watchers: who wants to hear of commits, of any run or of one."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class Watchers:
    """Callbacks by run id; "" hears of every run."""

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callable[[str, bool], None]]] = {}

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(map(len, self._callbacks.values()))

    def add(self, callback: Callable[[str, bool], None], run_id: str) -> Callable[[], None]:
        """Call back from now on; the function that stops it."""
        callbacks = self._callbacks.setdefault(run_id, [])
        callbacks.append(callback)

        def stop() -> None:
            with suppress(ValueError):
                callbacks.remove(callback)
            if not callbacks and self._callbacks.get(run_id) is callbacks:
                del self._callbacks[run_id]

        return stop

    def announce(self, touched: set[str], moved: set[str]) -> None:
        """Tell whoever wants to hear of these runs; "" stands for all."""
        for run_id in touched:
            for name in ("", run_id) if run_id else tuple(self._callbacks):
                for callback in tuple(self._callbacks.get(name, ())):
                    callback(run_id, run_id in moved)


async def bursts(watch: Callable[[Callable[[str, bool], None]], Callable[[], None]]) -> AsyncIterator[None]:
    """Yield at once, and then after each burst of what `watch` hears of."""
    changed = asyncio.Event()
    stop = watch(lambda _run_id, _moved: changed.set())
    try:
        while True:
            yield
            await changed.wait()
            changed.clear()
    finally:
        stop()
