"""Every event reaches its subscriber, by one id however often, whoever of those who tell is killed, and where."""

from __future__ import annotations

import signal
from collections import Counter
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from tests.crash.scenes import ON_BOTH
from tests.crash.telling import happen, tell
from tests.support.processes import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.crash.scenes import Scene

pytestmark = ON_BOTH

EVENTS = 40
SHORT, LONG = 2, 600
"""Seconds until what a program had begun to send is sent by another: soon where it is killed, else in no test."""
DISPATCHES = "SELECT count(*) FROM agentflow_dispatch"
DELIVERED = "SELECT count(*) FROM agentflow_dispatch WHERE status = 'delivered'"
POINTS = [
    f"{verb}.{place}"
    for verb in ("tell", "claim_dispatches", "settle_dispatch")
    for place in ("before", "inside", "after")
]


@contextmanager
def subscriber() -> Iterator[tuple[str, Counter[str]]]:
    """A URL, and how often each message came."""
    came: Counter[str] = Counter()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            came[self.headers["webhook-id"]] += 1
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", came
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_each_event_is_told_by_one_id(scene: Scene, point: str) -> None:
    with subscriber() as (url, came):
        with scene.start(happen, url, EVENTS) as program:
            assert program.hear() == "happened"
        with scene.start(tell, SHORT, kill=f"{point}=kill") as doomed:
            assert doomed.ended() == -signal.SIGKILL
        is_stored = not point.startswith("tell") or point == "tell.after"
        assert scene.database.value(DISPATCHES) == EVENTS * is_stored
        with scene.start(tell, LONG):
            until(lambda: scene.database.value(DELIVERED) == EVENTS, "every event was taken")

        assert len(came) == EVENTS
        assert scene.database.value(DISPATCHES) == EVENTS
        again = sum(came.values()) - EVENTS
        assert again == 0 or (point.startswith("settle_dispatch") and again <= 4), came


def test_several_that_tell_do_so_once_each(scene: Scene) -> None:
    with subscriber() as (url, came), ExitStack() as running:
        for _ in range(3):
            running.enter_context(scene.start(tell, LONG))
        with scene.start(happen, url, EVENTS) as program:
            assert program.hear() == "happened"
        until(lambda: scene.database.value(DELIVERED) == EVENTS, "every event was taken")

        assert sorted(came.values()) == [1] * EVENTS
