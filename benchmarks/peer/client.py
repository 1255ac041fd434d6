"""The adapter for the peers' harness: a client in the harness's own process, beside the worker's."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from harness import Peer, file_size, pg_fresh, pg_pids, pg_size  # type: ignore[import-not-found]  # the harness puts its folder on the path

from agentflow import AgentFlow, step, task

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "bench_agentflow"
DATABASE_VARIABLE = "AGENTFLOW_DATABASE_URL"


@step
async def st(run: str, i: int) -> dict[str, object]:
    """Only for the worker to execute."""
    raise NotImplementedError


@task
async def seq(run: str, n: int) -> None:
    """Only triggered here."""
    await st(run, n)


@task
async def approval(run: str) -> None:
    """Only triggered here."""
    await st(run, 0)


class Client(Peer):  # type: ignore[misc]  # the harness is untyped
    """Triggers and decides from another process; with a backend that ends in `serve` the worker's process decides."""

    peer, module = "agentflow", "import agentflow"

    def setup(self) -> None:
        """A fresh folder, or a fresh database of the server."""
        self.is_on_server = self.backend.startswith("postgres")
        self.path = f"{self.tmp}/agentflow.db"
        self.url = pg_fresh(NAME) if self.is_on_server else f"sqlite:///{self.path}"
        self.env[DATABASE_VARIABLE] = self.url
        self.env["PYTHONPATH"] = os.pathsep.join([self.env["PYTHONPATH"], *sys.path])  # where agentflow is
        self.approvals: dict[str, str] = {}

    async def connect(self) -> None:
        """Open the database beside the worker."""
        self.app = await AgentFlow(seq, approval, database=self.url, worker=False).__aenter__()

    async def close(self) -> None:
        """Let go of the database."""
        await self.app.__aexit__(None, None, None)

    async def start_seq(self, run: str, n: int) -> None:
        """One run of `n` steps."""
        await self.app.client.trigger(seq, run, n)

    async def enqueue(self, runs: Sequence[str], n: int) -> None:
        """Many runs, each triggered by itself; those of one tick share a commit."""
        await asyncio.gather(*[self.start_seq(run, n) for run in runs])

    async def start_approval(self, runs: Sequence[str]) -> None:
        """Runs that wait for a person."""
        await asyncio.gather(*[self.app.client.trigger(approval, run) for run in runs])

    async def waits(self, runs: Sequence[str], timeout: float = 900) -> None:
        """Until each run waits, and its approval is in the inbox: a person decides what they can see."""
        await super().waits(runs, timeout)
        wanted = set(runs)
        async for _ in self.app.client.changes():
            await self._see_inbox()
            if wanted <= self.approvals.keys():
                return

    async def _see_inbox(self) -> None:
        cursor: Any = None
        while True:
            page = await self.app.client.approvals(cursor=cursor, limit=500)
            self.approvals |= {one.title: one.id for one in page.items}
            cursor = page.next_cursor
            if cursor is None:
                return

    async def decide(self, run: str) -> None:
        """Approve what the run proposes."""
        if self.backend.endswith("serve"):
            self.proc.stdin.write((json.dumps({"approval": self.approvals[run]}) + "\n").encode())
            self.proc.stdin.flush()
            return
        await self.app.client.decide(self.approvals[run], "approve", by="benchmark")

    def db_bytes(self) -> int:
        """The database and its log."""
        return int(pg_size(NAME) if self.is_on_server else file_size(self.path))

    def infra(self) -> list[Any]:
        """The server's processes."""
        return list(pg_pids()) if self.is_on_server else []
