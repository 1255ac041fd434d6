"""What the machine says of itself: disk flushes, CPU that others burn, and what it is."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from agentflow import __version__
from agentflow.store.sqlite.file import driver

TICKS = os.sysconf("SC_CLK_TCK")
FLUSHES = 18
"""The column of /proc/diskstats that counts flush requests (Linux 5.5 and newer)."""


def flushes(folder: Path) -> int | None:
    """Cache flushes so far of the disk that holds the folder, everybody's; None where the kernel does not say."""
    device = folder.stat().st_dev
    wanted = (str(os.major(device)), str(os.minor(device)))
    try:
        lines = Path("/proc/diskstats").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        fields = line.split()
        if tuple(fields[:2]) == wanted and len(fields) > FLUSHES:
            return int(fields[FLUSHES])
    return None


def busy() -> float:
    """CPU seconds that the whole machine has worked so far."""
    fields = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _iowait, *rest = map(int, fields)
    return (user + nice + system + sum(rest[:3])) / TICKS


@dataclass(frozen=True, slots=True)
class Moment:
    """The machine's and our own CPU time at one instant; our own includes children that have ended."""

    at: float
    everybody: float
    ours: float
    server: int | None

    @staticmethod
    def now(server: int | None = None) -> Moment:
        """This moment; the database server's work, if there is one, is ours too."""
        own = sum(os.times()[:4]) + (tree_cpu_seconds(server) if server else 0.0)
        return Moment(time.monotonic(), busy(), own, server)

    def foreign_cores(self) -> float:
        """How many cores other programs kept busy since this moment."""
        end = Moment.now(self.server)
        others = (end.everybody - self.everybody) - (end.ours - self.ours)
        return round(max(0.0, others / max(0.05, end.at - self.at)), 2)


def cpu_seconds(pid: int) -> float:
    """CPU time of a living process."""
    return sum(_ticks(pid)[:2]) / TICKS


def tree_cpu_seconds(pid: int) -> float:
    """CPU time of a process that starts others, and of those it started, living or ended."""
    return (sum(_ticks(pid)) + sum(sum(_ticks(child)[:2]) for child in _children(pid))) / TICKS


def _ticks(pid: int) -> list[int]:
    """Clock ticks in user and system mode, of a process itself and of its ended children; none of one that is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return []
    return [int(field) for field in stat.rpartition(")")[2].split()[11:15]]


def _children(pid: int) -> list[int]:
    return [int(word) for line in _lines(f"/proc/{pid}/task/{pid}/children") for word in line.split()]


def postmaster_of(pid: int) -> int | None:
    """The process that started this backend of a PostgreSQL server; None if it is not of this host."""
    stat = "\n".join(_lines(f"/proc/{pid}/stat"))
    if "(postgres" not in stat:
        return None
    return int(stat.rpartition(")")[2].split()[1])


def resident_bytes(pid: int) -> int:
    """Memory a living process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def description(folder: Path) -> dict[str, str]:
    """What the figures were measured on."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor() or platform.machine(),
    )
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "cores": f"{os.cpu_count()} ({cpu})",
        "memory": f"{memory / 2**20:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, file system {_file_system(folder)}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": f"{driver.sqlite_version} ({driver.__name__.partition('.')[0]})",
        "loop": "uvloop" if find_spec("uvloop") else "asyncio",
        "agentflow": __version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _file_system(folder: Path) -> str:
    mounts = [line.split()[1:3] for line in _lines("/proc/mounts")]
    around = [(where, kind) for where, kind in mounts if folder.resolve().is_relative_to(where)]
    return max(around, key=lambda one: len(one[0]), default=("", "unknown"))[1]


async def idle_percent(pid: int, seconds: float) -> float:
    """The share of a core that a process takes while nothing happens."""
    before = cpu_seconds(pid)
    await asyncio.sleep(seconds)
    return (cpu_seconds(pid) - before) / seconds * 100
