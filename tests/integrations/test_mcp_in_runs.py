"""An MCP server's tools in a run: listed and called once, whatever is replayed and whoever dies."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from agentflow import task
from agentflow.integrations.mcp import McpServer
from agentflow.testing import Harness

pytest.importorskip("mcp", reason="the extra mcp is not installed")
SERVER = Path(__file__).parent / "mcp_server.py"
servers: dict[str, McpServer] = {}
specs: list[Any] = []


@task(checkpoint="explicit")
async def shopping() -> list[Any]:
    """The calls of an agent's loop, without a model."""
    server = servers["shop"]
    tools = {spec.name: server.tool(spec) for spec in specs}
    found = await tools["look"].perform("c1", {"number": "A-1", "deep": False})
    return [found, await tools["pay"].perform("c2", {"number": "A-1"})]


async def test_each_call_reaches_the_server_once_though_the_run_is_replayed(tmp_path: Path):
    async with McpServer.stdio(sys.executable, str(SERVER), str(tmp_path), name="shop") as server:
        servers["shop"] = server
        specs[:] = await server.specs()
        async with Harness(shopping, path=tmp_path / "runs.db", replay_always=True) as h:
            run = await h.trigger(shopping)
            assert await h.result(run) == [{"number": "A-1", "total": 12.5}, "paid A-1"]
            recorded = [(one.key, one.operation) for one in await h.journal(run) if one.operation == "tool"]
        assert {key for key, _ in recorded} == {"look#1", "pay#1"}
    notes = (tmp_path / "notes").read_text(encoding="utf-8").splitlines()
    assert notes == ["look A-1 False", "pay A-1"]
