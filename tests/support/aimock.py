"""A server that speaks the providers' protocols and that we did not write: `aimock`, from the npm registry.

It is what AGENTFLOW_TEST_AIMOCK names (the folder of the package), else what was installed under the system's temporary
folder before, else it is installed there: once, however many test runs want it at that moment. Node.js is the `node` of
the PATH, or the program that AGENTFLOW_TEST_NODE names.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.processes import PR_SET_PDEATHSIG, until

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_AIMOCK = "no aimock"
VARIABLE = "AGENTFLOW_TEST_AIMOCK"
NODE_VARIABLE = "AGENTFLOW_TEST_NODE"
PACKAGE = "@copilotkit/aimock"
VERSION = "1.43.0"
OLDEST_NODE = 20
INSTALLS_WITHIN = 200
LISTENING = re.compile(r"listening on (http://\S+)")
VARIABLES = {
    "OPENAI_BASE_URL": "/v1",
    "OPENAI_API_KEY": "",
    "ANTHROPIC_BASE_URL": "",
    "ANTHROPIC_API_KEY": "",
}
"""The settings under which all three wires find the server; those without a path are keys."""


@cache
def node() -> str:
    """The Node.js to run it with; without one the test is skipped, which conftest turns into a failure in CI."""
    found = shutil.which(os.environ.get(NODE_VARIABLE) or "node")
    if found is not None:
        told = subprocess.run([found, "--version"], check=False, capture_output=True, text=True).stdout
        major = re.match(r"v(\d+)", told)
        if major and int(major[1]) >= OLDEST_NODE:
            return found
    pytest.skip(
        f"{NO_AIMOCK}: it needs Node.js {OLDEST_NODE} or later: install it (Debian: `apt-get install nodejs npm`), "
        f"or name the program in {NODE_VARIABLE}"
    )


@cache
def package() -> Path:
    """The folder of the package, installed if need be; where that fails the test is skipped."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    place = Path(tempfile.gettempdir()) / f"agentflow-aimock-{VERSION}-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    if place.stat().st_uid != os.getuid():
        pytest.skip(f"{NO_AIMOCK}: {place} belongs to somebody else; remove it, or name a folder in {VARIABLE}")
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        whole = place / "whole"
        if not whole.exists():
            _install(place / "begun")
            (place / "begun").rename(whole)
    return whole / "node_modules" / PACKAGE


def _install(folder: Path) -> None:
    npm = shutil.which("npm", path=os.pathsep.join([str(Path(node()).parent), os.environ.get("PATH", "")]))
    if npm is None:
        pytest.skip(f"{NO_AIMOCK}: there is no npm to install {PACKAGE}@{VERSION}; or name its folder in {VARIABLE}")
    shutil.rmtree(folder, ignore_errors=True)
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
    try:
        subprocess.run(
            [*command, f"{PACKAGE}@{VERSION}"], check=True, capture_output=True, text=True, timeout=INSTALLS_WITHIN
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip()[-300:]
        pytest.skip(
            f"{NO_AIMOCK}: `npm install {PACKAGE}@{VERSION}` failed: {said}; run it yourself and name the folder "
            f"node_modules/{PACKAGE} in {VARIABLE}"
        )


class Aimock:
    """A running server. What it has not been told to answer it answers with 404."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=f"{url}/__aimock", timeout=60, trust_env=False)

    def reset(self) -> None:
        """Forget every answer, fault and request."""
        self._post("/reset")
        self._http.delete("/chaos").raise_for_status()

    def answers(self, response: dict[str, Any], **match: Any) -> None:
        """Answer so what matches: `userMessage=`, `toolCallId=`, `model=`, `sequenceIndex=` …; the first told wins."""
        self._post("/fixtures", {"fixtures": [{"match": match, "response": response}]})

    def says(self, text: str, **match: Any) -> None:
        """Answer with this text."""
        self.answers({"content": text}, **match)

    def faults(self, **rates: float) -> None:
        """Let its switch for faults do this to requests: `rateLimitRate=1` gives all a 429, `dropRate=1` a 500."""
        self._post("/chaos", rates)

    def fails_once(self, status: int, message: str = "Sorry.") -> None:
        """Answer the next request with this status."""
        self._post("/error", {"status": status, "body": {"message": message, "type": "server_error"}})

    def journal(self) -> list[dict[str, Any]]:
        """What was asked, in order: `path`, `headers`, `body` as it understood it, and `response` with `status`."""
        found: list[dict[str, Any]] = self._http.get("/journal").raise_for_status().json()
        return found

    def asked(self) -> list[tuple[str, int]]:
        """The model and the answer's status of each request, in order."""
        return [(one["body"]["model"], one["response"]["status"]) for one in self.journal()]

    def environment(self) -> dict[str, str]:
        """The variables under which all three wires find it."""
        return {
            name: f"{self.url}{path}" if name.endswith("_URL") else "sk-of-no-use" for name, path in VARIABLES.items()
        }

    def close(self) -> None:
        """Close the connections to it."""
        self._http.close()

    def _post(self, path: str, content: Any = None) -> None:
        answer = self._http.post(path, json={} if content is None else content)
        assert answer.is_success, answer.text


@pytest.fixture(scope="session")
def aimock_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aimock]:
    """One server for all tests of this process, on a port the system picks."""
    folder = tmp_path_factory.mktemp("aimock")
    nothing, log = folder / "nothing.json", folder / "log"
    nothing.write_text('{"fixtures": []}')
    command = [node(), str(package() / "dist" / "cli.js"), "--port", "0", "--fixtures", str(nothing)]
    with log.open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, preexec_fn=_die_with_its_parent)  # noqa: PLW1509  one system call, and nothing is imported
    try:
        running = Aimock(until(lambda: _address(log, server), "aimock listened"))
        yield running
        running.close()
    finally:
        server.terminate()
        server.wait(60)


def _address(log: Path, server: subprocess.Popen[bytes]) -> str:
    assert server.poll() is None, f"aimock ended: {log.read_text()}"
    found = LISTENING.search(log.read_text())
    return found[1] if found else ""


def _die_with_its_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@pytest.fixture
def aimock(aimock_server: Aimock, monkeypatch: pytest.MonkeyPatch) -> Aimock:
    """The server, which knows of no answer yet, as the provider of all three wires."""
    aimock_server.reset()
    for name, value in aimock_server.environment().items():
        monkeypatch.setenv(name, value)
    return aimock_server
