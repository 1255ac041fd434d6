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

    @staticmethod
    def now() -> Moment:
        """This moment."""
        return Moment(time.monotonic(), busy(), sum(os.times()[:4]))

    def foreign_cores(self) -> float:
        """How many cores other programs kept busy since this moment."""
        end = Moment.now()
        others = (end.everybody - self.everybody) - (end.ours - self.ours)
        return round(max(0.0, others / max(0.05, end.at - self.at)), 2)


def cpu_seconds(pid: int) -> float:
    """CPU time of a living process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


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
