"""Which process this is, and whether another one on this host is dead."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentflow.records import Worker


def host() -> str:
    """A name for this host, this boot of it and this process namespace: only within one do process ids compare."""
    return f"{socket.gethostname()}:{_read('/proc/sys/kernel/random/boot_id')[:8]}:{_namespace()}"


def started(pid: int) -> str:
    """When the process began, as the kernel counts it, so that a reused id is told from the old one; "" if unknown."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 else ""  # noqa: PLR2004  proc(5): field 22, counted after the name


def is_dead(worker: Worker) -> bool:
    """Whether the worker's process is known to have ended; False where that cannot be told."""
    if worker.host != host():
        return False
    try:
        os.kill(worker.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    now = started(worker.pid)
    return bool(now) and bool(worker.started) and now != worker.started


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
