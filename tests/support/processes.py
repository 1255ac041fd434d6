"""Processes to be killed: forked, within milliseconds, from one that has imported agentflow but opened nothing."""

from __future__ import annotations

import ctypes
import errno
import importlib
import multiprocessing
import os
import resource
import signal
import threading
import time
from multiprocessing import connection, forkserver
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from agentflow import failpoints
from tests.support import ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection
    from typing import TypeVar

    T = TypeVar("T")

ROOT = Path(__file__).parents[2]
PR_SET_PDEATHSIG = 1
PATIENCE = float(os.environ.get("AGENTFLOW_TEST_PATIENCE", "120"))
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["pytest", "psycopg", "agentflow.store.postgres.store", "tests.crash.programs"])
# Starting a process also looks whether the others have ended, and an exit code can be read from its pipe only once: of
# two threads that look at the same moment, one would be told 255.
LOOKING = threading.Lock()


def until(true: Callable[[], T], what: str, *, within: float = PATIENCE) -> T:
    """What `true` gives, once it gives anything but a false value: the one place where tests look again and again."""
    deadline = time.monotonic() + within
    while not (found := true()):
        if time.monotonic() > deadline:
            raise AssertionError(f"in {within} s it did not happen that {what}")
        time.sleep(0.003)
    return found


def say(fifo: str, word: str) -> None:
    """Write to the pipe, once somebody reads from it."""
    Path(fifo).write_text(word, encoding="utf-8")


def offer(fifo: str, word: str) -> bool:
    """Write to the pipe if somebody reads from it; whether anybody does."""
    try:
        descriptor = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return False
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as pipe:
            pipe.write(word)
    except BrokenPipeError:  # whoever read had its word already
        return False
    return True


class Child:
    """A process that runs `target(channel, *args)`, with fail-points of its own."""

    def __init__(self, target: Callable[..., None], *args: Any, ledger_file: Path, kill: str = "") -> None:
        _warm_up()
        self.channel, theirs = CONTEXT.Pipe()
        environment = {failpoints.VARIABLE: kill, ledger.VARIABLE: str(ledger_file)}
        self.process = CONTEXT.Process(target=_begin, args=(environment, target, theirs, *args), daemon=True)
        with LOOKING:
            self.process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.channel.close()
        with LOOKING:
            self.process.close()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def hear(self, *, within: float = PATIENCE) -> Any:
        """What it says next. Raises `EOFError` if it dies first."""
        if not self.channel.poll(within):
            raise AssertionError(f"the child {self.pid} said nothing in {within} s")
        return self.channel.recv()

    def tell(self, word: Any) -> None:
        self.channel.send(word)

    def ended(self, *, within: float = PATIENCE) -> int:
        """Its exit code, negative for a signal, once it has ended."""
        connection.wait([self.process.sentinel], timeout=within)
        with LOOKING:
            code = self.process.exitcode
        assert code is not None, f"the child {self.pid} was still alive after {within} s"
        return code

    def is_alive(self) -> bool:
        with LOOKING:
            return self.process.is_alive()

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def stop(self) -> None:
        """Stop all of its threads where they are."""
        self.send(signal.SIGSTOP)
        until(self.is_stopped, f"the child {self.pid} stands still")

    def is_stopped(self) -> bool:
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        return stat.rpartition(")")[2].split()[0] == "T"

    def kill(self) -> int:
        """Kill it with SIGKILL if it lives; its exit code."""
        if self.is_alive():
            self.process.kill()
        return self.ended()


def first_ended(children: Sequence[Child], *, within: float) -> Child | None:
    """A child that has ended, None if all of them still live after this time."""
    ready = connection.wait([child.process.sentinel for child in children], timeout=within)
    return next((child for child in children if child.process.sentinel in ready), None)


def _begin(environment: dict[str, str], target: Callable[..., None], channel: Connection, *args: Any) -> None:
    # It does not outlive a test run that is killed: the process it was forked from ends then, unless it is held open.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.close(forkserver._forkserver._forkserver_alive_fd)  # type: ignore[attr-defined]  there is no public way
    os.environ.update(environment)
    importlib.reload(failpoints)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    target(channel, *args)


def _warm_up() -> None:
    """Start the process that the others are forked from; where it starts from must not matter."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT) + (os.pathsep + before if before else "")
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
