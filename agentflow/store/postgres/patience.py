"""Conversations with a server that has fallen silent are ended, or whoever holds them would wait for ever.

The server ends what takes too long by itself, and the kernel gives up a host that answers nothing at all. Left is the
server that stands still behind a network that goes on, or behind something in between that does.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOK_EVERY: Final = 1.0
LEASE, ANYTHING = 10.0, 25.0
"""Seconds that a server may say nothing: when asked for a lease, whose loss must be known before it is over; and else,
where it would have ended before what takes long."""


class Line(Protocol):
    """Whatever has a socket."""

    def fileno(self) -> int:
        """Its number."""
        ...


class Patience:
    """Watches over connections in use, from a thread of its own; any thread may use one."""

    def __init__(self) -> None:
        self._until: dict[int, tuple[float, Line]] = {}
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="agentflow-patience", daemon=True)
        self._thread.start()

    @contextmanager
    def over(self, line: Line, seconds: float) -> Iterator[None]:
        """Hang up if the block lasts longer than this: what it waits for then raises the driver's error."""
        self.begin(line, seconds)
        try:
            yield
        finally:
            self.end(line)

    def begin(self, line: Line, seconds: float) -> None:
        """Hang up if `end` does not follow in this time."""
        self._until[id(line)] = (monotonic() + seconds, line)

    def end(self, line: Line) -> None:
        """It has been heard."""
        self._until.pop(id(line), None)

    def close(self) -> None:
        """Watch no more."""
        self._is_closed.set()

    def _watch(self) -> None:
        while not self._is_closed.wait(LOOK_EVERY):
            now = monotonic()
            for key, (until, line) in list(self._until.items()):
                if until < now and self._until.pop(key, None) is not None:
                    _hang_up(line)


def _hang_up(line: Line) -> None:
    """Close both ways of its socket under it; the connection itself belongs to the thread that waits on it."""
    with suppress(Exception), socket.socket(fileno=os.dup(line.fileno())) as found:  # it may be closed at this moment
        found.shutdown(socket.SHUT_RDWR)
