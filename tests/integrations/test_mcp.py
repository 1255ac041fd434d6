"""Tools of real MCP servers, over stdio and over streamable HTTP."""

from __future__ import annotations

import asyncio
import builtins
import json
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agentflow import Secret
from agentflow.agents.messages import ToolSpec
from agentflow.agents.tools.injecting import ToolContext
from agentflow.agents.tools.sources import ToolSource, is_source
from agentflow.egress import Egress
from agentflow.errors import AnswerLost, DefinitionError, EgressRefused, HostUnreachable, ToolError
from agentflow.integrations.mcp import McpServer

pytest.importorskip("mcp", reason="the extra mcp is not installed")
SERVER = Path(__file__).parent / "mcp_server.py"


def started(folder: Path, **options: Any) -> McpServer:
    return McpServer.stdio(sys.executable, str(SERVER), str(folder), name="shop", **options)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[McpServer]:
    async with started(tmp_path) as server:
        yield server


async def tools_of(server: McpServer) -> dict[str, Any]:
    return {spec.name: server.tool(spec) for spec in await server.specs()}


async def call(tool: Any, **arguments: Any) -> Any:
    context = ToolContext(run_id="r", agent="a", call_id="c", tool=tool.name, context=None, idempotency_key="k")
    return await tool.body.call(tool.check(json.dumps(arguments)), context)


def notes(folder: Path) -> list[str]:
    return (folder / "notes").read_text().splitlines() if (folder / "notes").exists() else []


async def test_it_is_a_source_of_tools(shop: McpServer):
    assert isinstance(shop, ToolSource)
    assert is_source(shop)
    tools = await tools_of(shop)
    assert list(tools) == ["look", "rename", "pay", "refuse", "show", "odd_name"]
    assert tools["look"].description == "Look an order up."
    assert tools["look"].schema["properties"]["number"]["description"] == "The order's number."
    assert shop.name == "shop"


async def test_structured_content_is_the_result_and_else_the_text(shop: McpServer, tmp_path: Path):
    tools = await tools_of(shop)
    assert await call(tools["look"], number="A-1") == {"number": "A-1", "total": 12.5}
    assert await call(tools["rename"], number="A-1", name="x") == "A-1 is now x"
    assert await call(tools["odd_name"]) == "odd"
    assert notes(tmp_path) == ["look A-1 False"]


async def test_what_is_no_text_is_named_and_not_shown(shop: McpServer):
    tools = await tools_of(shop)
    assert (await call(tools["show"])).split("\n\n") == [
        "hello",
        "[image: image/png, 3 bytes, not shown]",
        "[resource: manual file:///manual.pdf]",
        "[resource: memo://1]\na memo",
    ]


async def test_a_tool_s_failure_is_told_to_the_model_without_secrets(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("UNRELATED", "leaked")
    async with started(tmp_path, env={"SHOP_TOKEN": Secret("s3cret-token")}) as shop:
        with pytest.raises(ToolError, match=r"no: today, \[secret\], clean"):
            await call((await tools_of(shop))["refuse"], why="today")


async def test_hints_say_how_a_call_is_made_and_the_program_may_say_otherwise(tmp_path: Path):
    async with started(tmp_path, effects={"pay": "idempotent"}) as shop:
        effects = {name: tool.effect.value for name, tool in (await tools_of(shop)).items()}
    assert effects == {
        "look": "read",
        "rename": "idempotent",
        "pay": "idempotent",
        "refuse": "irreversible",
        "show": "irreversible",
        "odd_name": "irreversible",
    }


async def test_no_hint_takes_an_approval_back_unless_it_is_trusted(tmp_path: Path):
    async def gated(**options: Any) -> set[str]:
        async with started(tmp_path, **options) as shop:
            return {name for name, tool in (await tools_of(shop)).items() if tool.approval is not None}

    everything = {"look", "rename", "pay", "refuse", "show", "odd_name"}
    assert await gated(needs_approval=True) == everything
    assert await gated(needs_approval=True, trust_annotations=True) == everything - {"look"}
    assert await gated(needs_approval={"pay": True}, trust_annotations=True) == {"pay"}
    assert await gated() == set()


async def test_some_are_taken_and_named_apart(tmp_path: Path):
    async with started(tmp_path, include=("look", "p*", "odd.name"), exclude=("refuse",), prefix="shop_") as shop:
        tools = await tools_of(shop)
        assert list(tools) == ["shop_look", "shop_pay", "shop_odd_name"]
        assert await call(tools["shop_odd_name"]) == "odd"


async def test_a_description_shows_what_nobody_would_see_and_has_an_end(tmp_path: Path):
    (tmp_path / "poisoned").touch()
    async with started(tmp_path) as shop:
        told = (await tools_of(shop))["poisoned"].description
    assert told.startswith("Nice.<U+202E><U+200B><U+E006F><U+E0062><U+E0065><U+E0079><U+001B>[2Jxxx")
    assert len(told) < 2_100
    assert told.endswith("… (cut)")


async def test_a_tool_is_made_of_its_record_while_the_server_is_gone(tmp_path: Path):
    spec = ToolSpec(name="look", description="d", schema={"type": "object"}, kept={"tool": "look", "effect": "read"})
    server = McpServer.stdio(str(tmp_path / "nothing-here"), name="gone", connect_timeout="5s")
    tool = server.tool(spec)
    with pytest.raises(HostUnreachable, match="MCP server 'gone' cannot be reached"):
        await call(tool)


async def test_a_tool_that_vanished_is_told_to_the_model(tmp_path: Path):
    async with started(tmp_path) as shop:
        tools = await tools_of(shop)
        (tmp_path / "vanished").touch()
        await shop.aclose()  # the server comes back with another list
        with pytest.raises(ToolError, match=r"odd\.name"):
            await call(tools["odd_name"])
        assert "odd_name" not in await tools_of(shop)
        assert await call(tools["rename"], number="1", name="x") == "1 is now x"


async def test_a_server_that_dies_in_a_call_is_not_asked_again_by_itself_and_comes_back_for_the_next(tmp_path: Path):
    async with started(tmp_path) as shop:
        tools = await tools_of(shop)
        (tmp_path / "die").touch()
        with pytest.raises(AnswerLost) as lost:
            await call(tools["pay"], number="1")
        assert not tools["pay"].policy.retry.covers(lost.value)
        assert tools["look"].policy.retry.covers(lost.value)
        assert notes(tmp_path) == ["pay 1"]
        assert await call(tools["pay"], number="2") == "paid 2"


async def test_a_server_that_cannot_be_started_is_left_alone_for_longer_each_time(tmp_path: Path):
    server = McpServer.stdio(str(tmp_path / "nothing-here"), name="gone")
    connection = server._connections.here()
    pauses = []
    for _ in range(3):
        with pytest.raises(HostUnreachable) as first:
            await connection.get()
        with pytest.raises(HostUnreachable, match="it is tried again in") as second:
            await connection.get()
        assert second.value.retry_after <= first.value.retry_after
        pauses.append(first.value.retry_after.total_seconds())
        connection._not_before = 0.0
    assert pauses == [0.5, 1.0, 2.0]


async def test_many_calls_share_one_connection(tmp_path: Path):
    async with started(tmp_path) as shop:
        tool = (await tools_of(shop))["rename"]
        keeper = shop._connections.here()._keeper
        found = await asyncio.gather(*(call(tool, number=str(n), name="x") for n in range(20)))
        assert shop._connections.here()._keeper is keeper
    assert found == [f"{n} is now x" for n in range(20)]


def test_it_is_closed_with_its_event_loop_and_serves_the_next_one(tmp_path: Path):
    """The keeper is cancelled as the loop ends; a process or pipe left open would warn, which is an error here."""
    shop = started(tmp_path)

    async def once() -> Any:
        return await call((await tools_of(shop))["rename"], number="1", name="x")

    assert asyncio.run(once()) == "1 is now x"
    assert asyncio.run(once()) == "1 is now x"


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "mcp":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(DefinitionError, match=r"pip install agentflow\[mcp\]"):
        McpServer.stdio("shop")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"include": "look"}, "wanted a sequence"),
        ({"effects": {"look": "none"}}, "wanted one of 'read'"),
        ({"timeout": 0}, "longer than nothing"),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_is_written(options: dict[str, Any], words: str):
    with pytest.raises(DefinitionError, match=words):
        McpServer.stdio("shop", **options)


# -- streamable HTTP


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[tuple[str, int]]:
    import uvicorn

    sys.path.insert(0, str(SERVER.parent))
    try:
        from mcp_server import made
    finally:
        sys.path.remove(str(SERVER.parent))
    bound = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(made(str(tmp_path)).streamable_http_app(), log_level="error", ws="none")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve(sockets=[bound]))
    port = bound.getsockname()[1]
    yield f"http://127.0.0.1:{port}/mcp", port
    server.should_exit = True
    await running
    bound.close()


async def test_a_server_is_reached_by_http_through_the_policy(address: tuple[str, int], tmp_path: Path):
    url, port = address
    egress = Egress(ports=(port,), allow_private=("127.0.0.1/32",))
    async with McpServer.http(url, name="shop", egress=egress, headers={"X-Token": Secret("s3cret-token")}) as shop:
        tools = await tools_of(shop)
        assert list(tools) == ["look", "rename", "pay", "refuse", "show", "odd_name"]
        assert await call(tools["look"], number="A-1") == {"number": "A-1", "total": 12.5}
        assert await call(tools["pay"], number="1") == "paid 1"
        with pytest.raises(ToolError, match="no: today"):
            await call(tools["refuse"], why="today")
    assert notes(tmp_path) == ["look A-1 False", "pay 1"]


async def test_a_server_inside_is_not_reached_unless_it_is_meant(address: tuple[str, int]):
    url, port = address
    with pytest.raises(DefinitionError, match="allow_private="):
        McpServer.http(url)

    async def inside(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    shop = McpServer.http(url.replace("127.0.0.1", "tools.example.com"), egress=Egress(ports=(port,), resolver=inside))
    with pytest.raises(EgressRefused, match=r"127\.0\.0\.1 is loopback"):
        await shop.specs()


async def test_a_server_that_is_not_there_is_said_to_be_so():
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    egress = Egress(ports=(port,), allow_private=("127.0.0.1/32",))
    async with McpServer.http(f"http://127.0.0.1:{port}/mcp", name="shop", egress=egress) as shop:
        with pytest.raises(HostUnreachable, match="MCP server 'shop' cannot be reached"):
            await shop._connections.here().get()
