"""Ears: the kernel says when somebody writes to a file, where it can; nobody has to look all the time."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

IN_MODIFY: Final = 0x2
IN_ONESHOT: Final = 0x80000000
EVENTS: Final = 4096
"""Bytes read at a time; more than the two events that one listening can bring."""


class Ears:
    """Hears of the next write to a file, by inotify. Deaf where there is none, and on file systems that do not tell."""

    def __init__(self, path: Path) -> None:
        self._path = os.fsencode(path)
        self._heard: asyncio.Future[bool] | None = None
        self._libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
        self._file = -1 if self._libc is None else int(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        if self._file >= 0:
            asyncio.get_running_loop().add_reader(self._file, self._read)

    def listen(self) -> bool:
        """Begin to listen for one write, which `hear` then tells of. False if nothing can be heard here."""
        if self._file < 0:
            return False
        return int(self._libc.inotify_add_watch(self._file, self._path, ctypes.c_uint32(IN_MODIFY | IN_ONESHOT))) >= 0

    async def hear(self, *, within: float) -> bool:
        """Whether somebody wrote before the seconds were over; returns as soon as that is known."""
        loop = asyncio.get_running_loop()
        self._heard = heard = loop.create_future()
        timer = loop.call_later(within, _tell, heard, False)
        try:
            return await heard or self._read()  # it may have been said as the time ran out
        finally:
            timer.cancel()

    def _read(self) -> bool:
        try:
            os.read(self._file, EVENTS)
        except BlockingIOError:
            return False
        if self._heard is not None:
            _tell(self._heard, True)
        return True

    def close(self) -> None:
        """Hear nothing more. May be called twice."""
        if self._file >= 0:
            asyncio.get_running_loop().remove_reader(self._file)
            os.close(self._file)
            self._file = -1


def _tell(heard: asyncio.Future[bool], said: bool) -> None:
    if not heard.done():
        heard.set_result(said)
