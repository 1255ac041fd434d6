"""A program asked to end: by a first signal in order, within a deadline; by a second one at once."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from agentflow.cli.exits import ExitCode

if TYPE_CHECKING:
    from agentflow.cli.terminal import Terminal

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
FAREWELL: Final = 1.0


def end(code: ExitCode) -> None:
    """End here and now. Durable work needs no farewell: whoever starts next goes on from here."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(RuntimeError, OSError, ValueError):  # it is being written to, or nobody reads it any more
            stream.flush()
    os._exit(code)


class Ending:
    """Hears signals, also while code holds up the event loop; `asked` is set by the first one.

    So many seconds `within` that one the program has ended, whatever still goes on.
    """

    def __init__(self, terminal: Terminal, *, within: float) -> None:
        self.asked = asyncio.Event()
        self._terminal = terminal
        self._within = within
        self._loop = asyncio.get_running_loop()
        self._is_heard = False
        self._told, self._tell = os.pipe()
        for number in SIGNALS:
            signal.signal(number, self._hear)
        threading.Thread(target=self._watch, name="agentflow-ending", daemon=True).start()

    def _hear(self, number: int, _: Any) -> None:
        """In the main thread, between any two of its instructions: no lock may be waited for here."""
        if self._is_heard:
            end(ExitCode.INTERRUPTED)
        self._is_heard = True
        os.write(self._tell, b"!")
        with suppress(RuntimeError):  # the loop has ended; so does the program
            self._loop.call_soon_threadsafe(self._begin, signal.Signals(number).name)

    def _begin(self, name: str) -> None:
        self._terminal.note(f"{name}: letting runs come to rest; once more ends at once")
        self.asked.set()

    def _watch(self) -> None:
        os.read(self._told, 1)
        select.select([self._told], [], [], self._within)  # a wait by real time: nothing more is ever written
        farewell = threading.Thread(target=self._say_so, daemon=True)
        farewell.start()
        farewell.join(FAREWELL)  # nobody may read what is said
        os._exit(ExitCode.OK)

    def _say_so(self) -> None:
        self._terminal.note(f"not everything came to rest within {self._within:g} s; the program ends without")
        end(ExitCode.OK)
