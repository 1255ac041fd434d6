"""The port that says whether a program is alive and ready."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agentflow import AgentFlow, task
from agentflow.cli.addresses import health_listener
from agentflow.cli.exits import ExitCode, Refused
from agentflow.cli.probes import Condition, Probes
from agentflow.errors import StoreUnavailable
from agentflow.settings import HEALTH_VARIABLE
from tests.cli.shell import Shell
from tests.support.processes import until

APP = """
    import time
    from pathlib import Path

    from agentflow import task

    @task.schedule("every 1h")
    @task
    async def holds_up() -> None:
        Path("begun").touch()
        while not Path("enough").exists():
            time.sleep(0.01)
"""


@task
async def nothing() -> None: ...


def asked(address: str, path: str = "/health/ready", *, within: float = 60) -> tuple[int, dict[str, str]]:
    try:
        with urllib.request.urlopen(address + path, timeout=within) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


# -- the port


class Port:
    """Probes on a port, and what is sent to it."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def sent(self, text: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(text)
        answer = await reader.read()
        writer.close()
        return answer


@pytest.fixture
async def port() -> AsyncIterator[Port]:
    async def trouble() -> str:
        return "it rains"

    listener = health_listener("127.0.0.1:0")
    assert listener is not None
    probes = Probes(trouble)
    await probes.start(listener)
    yield Port(listener.getsockname()[1])
    await probes.stop()


@pytest.mark.parametrize(
    ("request_line", "status", "said"),
    [
        (b"GET /health/live HTTP/1.1", b"200 OK", b'{"status": "alive"}'),
        (b"GET /health/ready HTTP/1.1", b"503 Service Unavailable", b'{"status": "not ready", "why": "it rains"}'),
        (b"GET /health/ready?verbose=1 HTTP/1.0", b"503 Service Unavailable", b"it rains"),
        (b"HEAD /health/live HTTP/1.1", b"200 OK", b""),
        (b"POST /health/live HTTP/1.1", b"405 Method Not Allowed", b"ask with GET"),
        (b"GET / HTTP/1.1", b"404 Not Found", b"ask /health/live or /health/ready"),
        (b"nonsense", b"404 Not Found", b""),
    ],
)
async def test_two_paths_are_answered_and_no_other(port: Port, request_line: bytes, status: bytes, said: bytes) -> None:
    answer = await port.sent(request_line + b"\r\nhost: x\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert said in body
    assert b"content-length: " in head
    if request_line.startswith(b"HEAD"):
        assert body == b""


async def test_a_caller_that_never_ends_its_request_is_hung_up_on(port: Port) -> None:
    assert await port.sent(b"GET /health/live HTTP/1.1\r\nx: " + b"y" * 100_000) == b""
    answer = await port.sent(b"GET /health/live HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("place", ["8081", "localhost:", ":8081", "localhost:65536", "localhost:http", "a:b:-1"])
def test_an_address_that_is_none_is_refused(place: str) -> None:
    with pytest.raises(Refused, match=r"--health: found .*; wanted HOST:PORT, such as 127\.0\.0\.1:8081") as refused:
        health_listener(place)
    assert refused.value.code is ExitCode.BAD_INPUT


def test_an_address_in_use_or_elsewhere_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        for place in (f"127.0.0.1:{other.getsockname()[1]}", "192.0.2.1:0", "no.such.host.invalid:1"):
            with pytest.raises(Refused, match=f"--health: {place} cannot be listened on") as refused:
                health_listener(place)
            assert refused.value.code is ExitCode.UNUSABLE
    assert health_listener(None) is health_listener("") is None


# -- the condition


async def test_it_is_ready_from_its_start_until_its_end_while_the_database_answers_and_no_part_says_no(
    tmp_path: Path,
) -> None:
    ending, said = asyncio.Event(), [""]
    condition = Condition(ending)
    assert await condition.trouble() == "it is starting"
    async with AgentFlow(nothing, database=f"sqlite:///{tmp_path / 'runs.db'}", worker=False) as app:
        condition.has_started(app, lambda: said[0])
        assert await condition.trouble() == ""
        said[0] = "it has stopped taking runs"
        assert await condition.trouble() == "it has stopped taking runs"
        said[0] = ""
    assert await condition.trouble() == "the database does not answer"
    ending.set()
    assert await condition.trouble() == "it is stopping"


async def test_a_worker_says_why_it_takes_no_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with AgentFlow(nothing, database=f"sqlite:///{tmp_path / 'runs.db'}") as app:
        worker = app.worker
        assert worker is not None
        await worker.until_idle()
        assert worker.trouble == ""

        async def away(_: object) -> None:
            raise StoreUnavailable("the disk is gone; nothing was stored")

        with monkeypatch.context() as broken:
            broken.setattr(app.store, "claim", away)
            run = await app.client.trigger(nothing)
            async with asyncio.timeout(60):
                while not worker.trouble:  # noqa: ASYNC110  it tells nobody
                    await asyncio.sleep(0.01)
            assert worker.trouble == "the database could not be asked for runs"
        await app.client.result(run.id, timeout="60s")
        await worker.until_idle()
        assert worker.trouble == ""
        worker._loops[0].cancel()
        await asyncio.wait([worker._loops[0]])
        assert worker.trouble == "it has stopped taking runs"
    assert worker.trouble == "it is stopping"


# -- the commands


@pytest.mark.parametrize("command", ["worker", "scheduler"])
def test_workers_and_schedulers_have_the_port_if_they_are_asked_to(command: str, agentflow: Shell) -> None:
    agentflow.write("app.py", APP)
    agentflow.environment |= {HEALTH_VARIABLE: "127.0.0.1:0"}
    started = agentflow.start(command, "app.py", "--json")
    address = started.document()["health"]
    until(lambda: asked(address) == (200, {"status": "ready"}), "it is ready")
    assert asked(address, "/health/live") == (200, {"status": "alive"})
    assert started.stop(signal.SIGTERM).code == 0


def test_a_worker_whose_event_loop_is_held_up_does_not_answer(agentflow: Shell) -> None:
    agentflow.write("app.py", APP)
    started = agentflow.start("worker", "app.py", "--health", "127.0.0.1:0", "--json")
    address = started.document()["health"]
    assert asked(address, "/health/live")[0] == 200
    agentflow("trigger", "app.py:holds_up")
    until((agentflow.folder / "begun").exists, "the loop is held up")
    with pytest.raises(TimeoutError):
        asked(address, "/health/live", within=0.5)
    (agentflow.folder / "enough").touch()
    assert asked(address, "/health/live")[0] == 200
    assert started.stop().code == 0


def test_a_worker_whose_database_is_away_is_alive_and_not_ready(agentflow: Shell, database: str) -> None:
    if not database.startswith("sqlite"):
        pytest.skip("the server is shared; the fault cases stop one of their own")
    agentflow.write("app.py", APP)
    started = agentflow.start("worker", "app.py", "--health", "127.0.0.1:0", "--json")
    address = started.document()["health"]
    file = Path(database.removeprefix("sqlite:///"))
    until(lambda: asked(address)[0] == 200, "it is ready")
    file.write_bytes(b"overwritten" + file.read_bytes()[11:])
    until(lambda: asked(address)[0] == 503, "it says that it is not ready")
    assert asked(address, "/health/live")[0] == 200
