"""A connection that is kept by a task of its own: opened and closed there, used by everyone else.

What opens such a connection has to close it (its task groups and cancel scopes belong to one task), and the steps that
use it come and go. The keeper ends with its event loop, closing the connection as it is cancelled, and with `aclose`.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from agentflow.errors import EgressRefused, HostUnreachable, InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 60.0


class Connection:
    """One connection of one event loop, made when it is first needed and again when it was lost."""

    def __init__(
        self, what: str, opening: Callable[[], AbstractAsyncContextManager[Any]], *, timeout: timedelta
    ) -> None:
        self._what = what
        self._opening = opening
        self._timeout = timeout
        self._lock = asyncio.Lock()
        self._keeper: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._open: Any = None
        self._failures = 0
        self._not_before = 0.0

    async def get(self) -> Any:
        """What is open. Raises `HostUnreachable` if it cannot be opened, at once while it was just tried in vain."""
        async with self._lock:
            if self._keeper is not None and not self._keeper.done() and not self._stop.is_set():
                return self._open
            await self._gone()
            left = self._not_before - asyncio.get_running_loop().time()
            if left > 0:
                raise HostUnreachable(
                    f"{self._what} could not be reached {self._failures} times; it is tried again in {left:.1f} s",
                    retry_after=timedelta(seconds=left),
                )
            try:
                self._open = await self._opened()
            except (EgressRefused, InvalidSetting):
                raise
            except Exception as error:
                raise self._failed(error) from error
            self._failures = 0
            return self._open

    def lost(self, known: Any) -> None:
        """Let go of what was found to be gone; unless it is another by now, the next `get` opens anew."""
        if known is self._open:
            self._stop.set()

    async def aclose(self) -> None:
        """Close it, if it is open."""
        async with self._lock:
            self._stop.set()
            await self._gone()

    async def _opened(self) -> Any:
        ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._stop = asyncio.Event()
        # In a context of its own: it belongs to no run, though a run's step happens to need it first.
        self._keeper = asyncio.create_task(self._keep(ready, self._stop), name=self._what, context=Context())
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                return await ready
        except BaseException:
            self._keeper.cancel()
            await self._gone()
            raise

    async def _keep(self, ready: asyncio.Future[Any], stop: asyncio.Event) -> None:
        try:
            async with self._opening() as found:
                if not ready.done():
                    ready.set_result(found)
                await stop.wait()
        except Exception as error:  # noqa: BLE001  it is told to whoever waits; later, that it is gone is all there is to know
            if not ready.done():
                ready.set_exception(_single(error))
        finally:
            if not ready.done():
                ready.cancel()

    async def _gone(self) -> None:
        """Wait until the keeper has closed what it kept."""
        if self._keeper is not None:
            await asyncio.wait([self._keeper])
            self._keeper = self._open = None

    def _failed(self, error: Exception) -> HostUnreachable:
        pause = min(_FIRST_PAUSE * 2.0 ** min(self._failures, 30), _LONGEST_PAUSE)
        self._failures += 1
        self._not_before = asyncio.get_running_loop().time() + pause
        said = (
            f"no answer within {self._timeout.total_seconds():g} s" if isinstance(error, TimeoutError) else str(error)
        )
        return HostUnreachable(
            f"{self._what} cannot be reached: {type(error).__name__}: {said}", retry_after=timedelta(seconds=pause)
        )


def _single(error: Exception) -> Exception:
    """The error itself, out of the groups that task groups put it in."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


class Connections:
    """A connection for each event loop that asks."""

    def __init__(
        self, what: str, opening: Callable[[], AbstractAsyncContextManager[Any]], *, timeout: timedelta
    ) -> None:
        self._what, self._opening, self._timeout = what, opening, timeout
        self._of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Connection] = WeakKeyDictionary()

    def here(self) -> Connection:
        """That of the running event loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._of_loop:
            self._of_loop[loop] = Connection(self._what, self._opening, timeout=self._timeout)
        return self._of_loop[loop]
