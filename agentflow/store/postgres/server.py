"""Connecting to a PostgreSQL server, directly or through a pooler that hands out its connections by the transaction.

Nothing here relies on what a session remembers, unless the session is known to be the server's own. Through a pooler
there are no prepared statements, nothing is set but for a transaction (`begin`), and no hint is listened for.
"""

from __future__ import annotations

import os
import re
import select
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import InvalidSetting, StoreUnusable
from agentflow.store.postgres.sentences import explain, shown

if TYPE_CHECKING:
    from psycopg import Connection

__all__ = ["begin", "connect", "driver", "explain", "has_hung_up", "is_pooled", "is_postgres", "shown"]

SCHEMES: Final = ("postgresql://", "postgres://")
OLDEST: Final = 14
CONNECT_SECONDS: Final = 10
LIMITS: Final = {"statement_timeout": "20s", "idle_in_transaction_session_timeout": "10s"}
"""What ends a statement, and a transaction whose program stands still with rows locked that others wait for."""
PLANS: Final = {"enable_seqscan": "off"}
"""Each statement has its index: the server's figures lag behind, and it would go on reading all of what was small."""
OURS: Final = LIMITS | PLANS
DEFAULTS: Final = {
    "application_name": "agentflow",
    # A host that is cut off, and answers nothing any more, is given up before a lease is.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
PREPARE_AFTER: Final = 3
MIGRATION_LOCK: Final = 0x61_67_66_6C_6F_77
"""The advisory lock under which one process at a time looks at the schema and brings it up to date."""

WANTED: Final = (
    "wanted postgresql://user:password@host:port/name (in a password, @ : / ? # % are %40 %3A %2F %3F %23 %25)"
)
WHO: Final = "SELECT pg_backend_pid(), current_setting('synchronous_commit')"
# What is answered to a caller is on the disk, whatever the server's default; a stricter one is left as it is.
ON_DISK: Final = "set_config('synchronous_commit', replace(current_setting('synchronous_commit'), 'off', 'on'), "
POOLED_BEGIN: Final = (
    f"BEGIN; {' '.join(f'SET LOCAL {name} = {value!r};' for name, value in OURS.items())} SELECT {ON_DISK}true)"
)


def is_postgres(url: str) -> bool:
    """Whether the URL names a PostgreSQL server."""
    return url.startswith(SCHEMES)


def driver() -> Any:
    """The one driver. Raises `InvalidSetting` that says how to get it."""
    try:
        return import_module("psycopg")
    except ImportError as error:
        raise InvalidSetting(
            "a postgresql:// database needs the driver psycopg, and its libpq: pip install 'agentflow[postgres]'"
        ) from error


def connect(url: str, *, patience: int = CONNECT_SECONDS) -> Connection[Any]:
    """A connection in autocommit mode, given up after `patience` seconds unless the URL says otherwise.

    Raises `InvalidSetting` for a URL that names no server, and `StoreUnusable` with what to do.
    """
    psycopg = driver()
    given = parameters(url)
    wanted = {**DEFAULTS, "connect_timeout": patience, **given, "client_encoding": "utf8"}
    try:
        connection = _connected(wanted, given)
    except psycopg.Error as error:
        if wrong := re.search(r"\binvalid (\w+|integer) value:? .*", str(error)):
            raise _unreadable(url, wrong[0]) from None
        raise StoreUnusable(explain(url, error)) from error
    try:
        _require_current(url, connection)
        _make_ours(connection)
    except BaseException as error:
        connection.close()
        if isinstance(error, psycopg.Error):
            raise StoreUnusable(explain(url, error)) from error
        raise
    return connection


def is_pooled(connection: Connection[Any]) -> bool:
    """Whether a pooler is in between, so that one transaction's session need not be the next one's."""
    return connection.prepare_threshold is None


def has_hung_up(connection: Connection[Any]) -> bool:
    """Whether the server has ended this idle connection: better known before it is sent what it might have done."""
    with suppress(driver().Error):
        while wait_for(
            connection.fileno(), seconds=0
        ):  # an idle one says nothing, but for its end and a warning of that
            connection.pgconn.consume_input()
        return False
    return True


def wait_for(number: int, *, to_write: bool = False, seconds: float | None = None) -> bool:
    """Wait until a socket has something to read, or takes something; whether it was in time."""
    if not hasattr(select, "poll"):  # Windows
        return any(select.select([number], [number] if to_write else [], [], seconds))
    waiting = select.poll()
    waiting.register(number, select.POLLIN | (select.POLLOUT if to_write else 0))
    return bool(waiting.poll(None if seconds is None else seconds * 1000))


def begin(connection: Connection[Any], mode: str = "") -> None:
    """Begin a transaction, with our limits where the session cannot be told them once for all."""
    if is_pooled(connection):
        connection.execute(POOLED_BEGIN.replace("BEGIN", f"BEGIN {mode}", 1).encode(), prepare=False)
    else:
        connection.execute(f"BEGIN {mode}".encode())


def _connected(wanted: dict[str, Any], given: dict[str, str]) -> Connection[Any]:
    """A connection that was told our limits as it began; without them where a pooler refuses to pass them on."""
    psycopg = driver()
    own = given.get("options") or os.environ.get("PGOPTIONS", "")
    options = " ".join([*(f"-c {name}={value}" for name, value in OURS.items()), own]).strip()
    ready = {"autocommit": True, "prepare_threshold": PREPARE_AFTER}
    try:
        connection: Connection[Any] = psycopg.connect(**{**wanted, "options": options}, **ready)
    except psycopg.OperationalError as error:
        if "unsupported startup parameter" not in str(error):
            raise
        connection = psycopg.connect(**wanted, **ready)
    return connection


def _require_current(url: str, connection: Connection[Any]) -> None:
    """Raise `StoreUnusable` for a server that is too old, before it is asked anything."""
    version = connection.info.server_version // 10_000
    if version < OLDEST:
        raise StoreUnusable(
            f"database {shown(url)} is on PostgreSQL {version}; agentflow needs {OLDEST} or newer: upgrade the server"
        )


def _make_ours(connection: Connection[Any]) -> None:
    """Find out whose session it is, and have commits flushed on one that is ours alone."""
    row = connection.execute(WHO).fetchone()
    assert row is not None
    pid, flushing = row
    if pid != connection.info.backend_pid:
        connection.prepare_threshold = None
        begin(connection)  # refused in statement mode, where nothing could be stored
        connection.execute("ROLLBACK")
    elif flushing == "off":
        connection.execute(f"SELECT {ON_DISK}false)".encode())


# -- the URL


def parameters(url: str) -> dict[str, str]:
    """What the URL says, by libpq's names. Raises `InvalidSetting` that repeats no password."""
    psycopg = driver()
    try:
        found: dict[str, str] = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        unknown = re.search(r'invalid URI query parameter: "(\w+)"', str(error))
        reason = _no_parameter(unknown[1]) if unknown else _malformed(str(error))
        raise _unreadable(url, reason) from None  # whose text quotes what may be a password
    for host in found.get("host", "").split(","):
        if not host.startswith("/") and re.search(r"[@#?\s]", host):
            raise _unreadable(url, "its host has a character no host has")
    for port in found.get("port", "").split(","):
        if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):  # noqa: PLR2004  the last port
            raise _unreadable(url, "its port is no number from 1 to 65535")
    return found


def _no_parameter(name: str) -> str:
    known = [option.keyword.decode() for option in driver().pq.Conninfo.get_defaults()]
    near = get_close_matches(name, known, n=1)
    return f"there is no parameter {name!r}" + (f"; did you mean {near[0]}?" if near else "")


def _malformed(text: str) -> str:
    """What is wrong with it, in words that repeat nothing of it."""
    if "percent-encoded" in text:
        return "a % is not followed by two hexadecimal digits"
    if "key/value separator" in text:
        return "a parameter after the ? is not written name=value, or its value has a = not written as %3D"
    if "IPv6" in text:
        return "an address in [ ] is not closed, or is empty"
    return "it is not written as libpq reads it"


def _unreadable(url: str, reason: str) -> InvalidSetting:
    return InvalidSetting(f"database {shown(url)!r} names no PostgreSQL server: {reason}; {WANTED}")
