"""The real command in a process of its own, in a folder and on a database that are the test's."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentflow.cli.documents import approval_document, run_result
from agentflow.client import Client
from agentflow.store import open_store

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "agentflow")


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line it complained in."""
        [line] = self.err.splitlines()
        return line


class Started:
    """A command that runs for long. Its answer is read, not waited for by the clock."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def document(self) -> Any:
        lines = []
        for line in self.process.stdout or ():
            lines.append(line)
            if line == "}\n":
                return json.loads("".join(lines))
        raise AssertionError(f"ended without an answer: {self.stop(signal.SIGKILL)}")

    def stop(self, number: int = signal.SIGTERM) -> Ended:
        if self.process.poll() is None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=120)
        return Ended(self.process.returncode, out, err)


class Shell:
    """A folder to stand in, with agentflow on the path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("AGENTFLOW_")}
        self.environment |= {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        self.started: list[Started] = []

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def __call__(self, *arguments: str, stdin: str | bytes = "", **variables: str) -> Ended:
        ended = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment | variables,
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            timeout=250,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    def start(self, *arguments: str) -> Started:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(Started(process))
        return self.started[-1]


OFFICE = """
    from pydantic import BaseModel

    from agentflow import Rejected, step, task, wait_for_approval


    class Invoice(BaseModel):
        number: str
        total: float


    @step
    async def look_up(name: str) -> str:
        return name.title()


    @task
    async def greet(name: str, times: int = 1) -> list[str]:
        return [f"hello {await look_up(name)}"] * times


    @task
    async def fails(account: str) -> None:
        raise ValueError(f"no account {account}")


    @task
    async def pay(invoice: Invoice) -> Invoice:
        decision = await wait_for_approval(invoice, title=f"Invoice {invoice.number}", confidence=0.5)
        if not decision.approved:
            raise Rejected(decision.comment)
        return decision.data
"""


class Office(Shell):
    """A folder where `agentflow serve` runs."""

    address: str

    def open(self) -> None:
        self.write("app.py", OFFICE)
        self.address = self.start("serve", "--dev", "--port", "0", "--json", "--quiet").document()["address"]

    def asked(self, number: str) -> dict[str, Any]:
        """The pending approval of a fresh run that wants to pay this invoice of 10.5."""
        given = {"task": "pay", "input": {"number": number, "total": 10.5}}
        request = urllib.request.Request(
            f"{self.address}/api/v1/runs",
            data=json.dumps(given).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return asyncio.run(self._asked(json.load(answer)["id"]))

    async def _asked(self, run_id: str) -> dict[str, Any]:
        async with self._client() as client, aclosing(client.changes()) as changes:
            async for _ in changes:
                for approval in (await client.approvals(run_id=run_id)).items:
                    return approval_document(approval)
        raise AssertionError("unreachable")

    def result(self, approval: dict[str, Any]) -> dict[str, Any]:
        """How the run that asked ended."""

        async def ended() -> dict[str, Any]:
            async with self._client() as client:
                return run_result(await client.result(approval["run_id"], timeout=60))

        return asyncio.run(ended())

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Client]:
        store = await open_store(f"sqlite:///{self.folder}/agentflow.db")
        try:
            yield Client(store)
        finally:
            await store.close()
