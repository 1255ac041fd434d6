"""Opening a SQLite file: which library, which pragmas, and the sentences for files that cannot be used.

Exactly one SQLite library is used in a process: a second one closing the same file would drop the first one's locks.
SQLite before 3.51.3 can corrupt a WAL file that several processes write, so with such a one a file is opened by one
process only, which a lock file beside it enforces.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from agentflow.errors import InvalidSetting, StoreUnusable
from agentflow.settings import shown_url

try:
    from pysqlite3 import dbapi2 as found
except ImportError:  # no wheel for this platform
    import sqlite3 as found

try:
    import fcntl
except ImportError:  # Windows, where a wheel always carries a current SQLite
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Sequence
    from sqlite3 import Connection

driver: Final = found
SAFE_VERSION: Final = (3, 51, 3)
NETWORK_FILE_SYSTEMS: Final = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "glusterfs", "ceph"}
BUSY_MS: Final = 10_000
PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
    "PRAGMA journal_size_limit=67108864",
    # A log that is folded in early is soon written over in place, where a flush need not also record a longer file.
    # Measured on fresh files: a tenth more steps in the first thousand than with the default of 1,000, none later.
    "PRAGMA wal_autocheckpoint=300",
)
LOOK_ONLY: Final = ("PRAGMA trusted_schema=OFF", "PRAGMA cell_size_check=ON", "PRAGMA query_only=ON")
"""For a file that may not be ours: not even its journal mode is changed."""


def path_of(url: str) -> Path:
    """The file a `sqlite:///…` URL names. Raises `InvalidSetting` for anything else."""
    found = re.fullmatch(r"sqlite:///(?P<path>[^?#]+)", url)
    if found is None:
        raise InvalidSetting(
            f"database {shown_url(url)!r} cannot be used: wanted sqlite:///name.db (a file in this folder), "
            "sqlite:////folder/name.db (an absolute path) or postgresql://user:password@host:port/name"
        )
    path = unquote(found["path"])
    if path == ":memory:":
        raise InvalidSetting("runs are durable, so the database must be a file: sqlite:///name.db")
    return Path(path).absolute()


def prepare(path: Path) -> Any:
    """Check the place and make the file, readable by its owner only. Returns a lock to hold, or None.

    Raises `StoreUnusable` with what to do.
    """
    if not path.parent.is_dir():
        raise StoreUnusable(f"database {path} cannot be opened: folder {path.parent} does not exist; make it first")
    kind = file_system(path.resolve(), _mounts())
    if kind in NETWORK_FILE_SYSTEMS:
        raise StoreUnusable(
            f"database {path} is on a network file system ({kind}), where SQLite loses data; use a local disk"
        )
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreUnusable(
            f"database {path} cannot be written ({error.strerror}); make the file and its folder writable, "
            "or name another with --database"
        ) from error
    return None if driver.sqlite_version_info >= SAFE_VERSION else _hold_alone(path)


def _hold_alone(path: Path) -> Any:
    """Hold the file for this process alone; see the module's first paragraph."""
    lock = path.with_name(path.name + ".lock").open("w")
    try:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        wanted = ".".join(map(str, SAFE_VERSION))
        raise StoreUnusable(
            f"database {path} is in use by another process, and SQLite {driver.sqlite_version} is not safe for two; "
            f"stop the other one, or install a Python package that carries SQLite {wanted} or newer (pysqlite3)"
        ) from error
    return lock


def _mounts() -> str:
    """What is mounted where, a line for each; "" where the system does not say."""
    try:
        return Path("/proc/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def file_system(path: Path, mounts: str) -> str:
    """The kind of file system the file is on by these lines of /proc/mounts, "" where they do not tell."""
    best, kind = "", ""
    for line in mounts.splitlines():
        _, where, found, *_ = line.split(" ")
        where = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), where)  # a space is written \040
        inside = where == "/" or str(path) == where or str(path).startswith(where.rstrip("/") + "/")
        if inside and len(where) >= len(best):
            best, kind = where, found
    return kind


def connect(
    path: Path,
    *,
    busy_ms: int = BUSY_MS,
    read_only: bool = False,
    full: bool = True,
    pragmas: Sequence[str] = PRAGMAS,
) -> Connection:
    """A connection with our pragmas, in autocommit mode. Raises `StoreUnusable` with what to do."""
    connection: Connection | None = None
    try:
        connection = driver.connect(
            str(path), isolation_level=None, check_same_thread=False, cached_statements=256, timeout=busy_ms / 1000
        )
        for pragma in pragmas:
            connection.execute(pragma)
        if not full:
            connection.execute("PRAGMA synchronous=NORMAL")
        if read_only:
            connection.execute("PRAGMA query_only=ON")
    except driver.Error as error:
        if connection is not None:
            connection.close()
        raise StoreUnusable(explain(path, error)) from error
    return connection


def is_busy(error: Exception) -> bool:
    """Whether another process holds the lock that was asked for."""
    return isinstance(error, driver.Error) and ("locked" in str(error) or "busy" in str(error))


SAID: Final = (
    (("not a database",), "{path} is not a SQLite database; name another file with --database"),
    (("locked", "busy"), "database {path} is locked by another program; stop it or try again"),
    (("readonly", "read-only"), "database {path} is read-only; make the file and its folder writable"),
    (("full",), "the disk that holds database {path} is full; free some space"),
    (("malformed", "corrupt"), "database {path} is damaged ({error}); restore it from a backup"),
    (
        ("unable to open",),
        "{path} cannot be opened as a database; is it a folder, or in one that this user may not enter?",
    ),
)


def explain(path: Path, error: Exception) -> str:
    """One sentence for what a driver error means for this file, and what to do."""
    text = str(error).lower()
    said = next((said for signs, said in SAID if any(sign in text for sign in signs)), None)
    return (said or "database {path} cannot be used: {error}").format(path=path, error=error)
