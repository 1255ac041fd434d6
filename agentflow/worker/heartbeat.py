"""The heartbeat: renews the worker's lease from a thread of its own, so that busy code cannot make it look dead."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Final

from agentflow.worker.upkeep import complain

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

PATIENCE: Final = 2.0
FIRST: Final = 1.0
"""Seconds until the first beat at most: its connection is there before others have taken them all."""


class Heartbeat:
    """Renews one worker's lease until stopped. `beat` hears which runs are still held, `lost` that none is."""

    def __init__(
        self,
        renew: Callable[[], dict[str, int] | None],
        *,
        every: timedelta,
        lease_for: timedelta,
        beat: Callable[[dict[str, int]], None],
        lost: Callable[[], None],
    ) -> None:
        self._renew = renew
        self._every = every.total_seconds()
        self._lease_for = lease_for.total_seconds()
        self._beat = beat
        self._lost = lost
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="agentflow-heartbeat", daemon=True)

    def start(self) -> None:
        """Begin; the lease was fresh a moment ago."""
        self._thread.start()

    def stop(self) -> None:
        """End, without giving the lease back; a renewal that the database does not answer is not waited out."""
        self._stopped.set()
        if self._thread is not threading.current_thread():
            self._thread.join(PATIENCE)

    def _run(self) -> None:
        # The lease counts from before the renewal was sent, and is given up a beat early: by the time another worker
        # may take the runs, this one has stopped believing in them.
        trusted_until = monotonic() + self._lease_for - self._every
        pause = min(FIRST, self._every)
        while not self._stopped.wait(pause):
            pause, sent = self._every, monotonic()
            try:
                held = self._renew()
            except Exception as error:  # noqa: BLE001  any failure is tried again until the lease is over
                complain("the lease could not be renewed", error)
                if monotonic() < trusted_until:
                    continue
                held = None
            if held is None:
                self._lost()
                return
            trusted_until = sent + self._lease_for - self._every
            self._beat(held)
