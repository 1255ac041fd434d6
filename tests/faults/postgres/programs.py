"""What processes of these cases run on hosts of their own."""

from __future__ import annotations

import ctypes
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.crash.programs import work

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

CLONE_NEWNET, CLONE_NEWUTS = 0x4000_0000, 0x0400_0000


def work_on_host(channel: Connection, database: str, host: str, options: dict[str, Any]) -> None:
    """A worker in the network namespace of this name, on a host that is called so."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(Path("/run/netns") / host, os.O_RDONLY)
    if libc.setns(descriptor, CLONE_NEWNET) or libc.unshare(CLONE_NEWUTS):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.close(descriptor)
    socket.sethostname(host)
    work(channel, database, options)
