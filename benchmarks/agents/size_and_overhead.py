"""What an agent costs beside its model: bytes in the database by the number of calls, and time a call.

    python -m benchmarks.agents.size_and_overhead [--postgres]

Bytes are those of the closed file, for agents of 10, 100 and 1,000 calls of a model, each of which calls a tool: the
quotient of two neighbours says whether they grow linearly. Time is measured against a server in a process of its own
that answers at once: a call by an agent, with its tool, against the bare call of the same model, alternating.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentflow import AgentFlow
from agentflow.agents import Agent, Message, Request, Role, model, tool
from benchmarks.database import server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

SIZES = (10, 100, 1000)
CALLS = 200
ROUNDS = 5
ANSWER = "word " * 40


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak Chat Completions: call the tool, until the prompt's number of calls is reached."""
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            break
        length = int(
            next(line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        )
        asked = json.loads(await reader.readexactly(length))
        text = body(asked)
        kind = "text/event-stream" if asked.get("stream") else "application/json"
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(text)}\r\n\r\n{text}".encode())
    writer.close()


def body(asked: dict[str, Any]) -> str:
    """The answer to this request, in one piece or as events."""
    wanted = int(next(one["content"] for one in asked["messages"] if one["role"] == "user"))
    done = sum(one["role"] == "assistant" for one in asked["messages"])
    call = {"id": f"c{done}", "type": "function", "function": {"name": "note", "arguments": f'{{"number": {done}}}'}}
    is_last = done + 1 >= wanted
    said: dict[str, Any] = {"role": "assistant", "content": ANSWER}
    if not is_last:
        said["tool_calls"] = [{"index": 0, **call}]
    finish = "stop" if is_last else "tool_calls"
    usage = {"prompt_tokens": 50 * done + 10, "completion_tokens": 50, "total_tokens": 50 * done + 60}
    if not asked.get("stream"):
        choice = {"index": 0, "message": said, "finish_reason": finish}
        return json.dumps({"id": "x", "model": "m", "choices": [choice], "usage": usage})
    events: list[dict[str, Any]] = [
        {"id": "x", "model": "m", "choices": [{"index": 0, "delta": said, "finish_reason": None}]},
        {"id": "x", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
        {"id": "x", "model": "m", "choices": [], "usage": usage},
    ]
    return "".join(f"data: {json.dumps(one)}\n\n" for one in events) + "data: [DONE]\n\n"


def serve(ready: Connection) -> None:
    """Answer until the end."""

    async def forever() -> None:
        listening = await asyncio.start_server(answer, "127.0.0.1", 0)
        ready.send(listening.sockets[0].getsockname()[1])
        await listening.serve_forever()

    asyncio.run(forever())


@contextmanager
def provider() -> Iterator[str]:
    """The base URL of a server in a process of its own."""
    mine, theirs = multiprocessing.get_context("spawn").Pipe()
    child = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    child.start()
    try:
        yield f"http://127.0.0.1:{mine.recv()}/v1"
    finally:
        child.terminate()
        child.join()


@tool(effect="read")
def note(number: int) -> str:
    """Note a number.

    Args:
        number: Which.
    """
    return f"noted {number}"


def agent_of(url: str) -> Agent[str]:
    """An agent whose model is that server."""
    remote = model("openai:bench", base_url=url, key="none")
    return Agent("bench", model=remote, tools=[note], max_turns=10_000)


def bytes_of(calls: int, url: str, folder: Path) -> int:
    """The bytes by which a run of so many calls makes a database larger than one of no call."""
    return size_after([str(calls)], url, folder / f"{calls}.db") - size_after([], url, folder / "empty.db")


def size_after(prompts: list[str], url: str, path: Path) -> int:
    """The size of a new database once these runs have ended and it is closed."""
    asyncio.run(end(prompts, url, path))
    return path.stat().st_size


async def end(prompts: list[str], url: str, path: Path) -> None:
    """Bring a run of each prompt to its end."""
    agent = agent_of(url)
    async with AgentFlow(agent, database=f"sqlite:///{path}"):
        for prompt in prompts:
            await agent.trigger_and_wait(prompt)


async def times(url: str, database: str) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds a call, round by round: of the bare model, of an agent, and of the same calls with no messages."""
    remote = model("openai:bench", base_url=url, key="none")
    agent = agent_of(url)
    bare, whole = [], []
    async with AgentFlow(agent, database=database):
        for _ in range(ROUNDS):
            began = time.perf_counter()
            messages: list[Message] = [Message(role=Role.USER, text=str(CALLS))]
            for _ in range(CALLS):
                reply = await remote.reply(Request(messages=messages, tools=[note.spec]), on_text=lambda _: None)
                messages += [
                    reply.message,
                    *(Message(role=Role.TOOL, text="noted 1", call_id=one.id) for one in reply.message.calls),
                ]
            bare.append(1000 * (time.perf_counter() - began) / CALLS)
            began = time.perf_counter()
            await agent.trigger_and_wait(str(CALLS))
            whole.append(1000 * (time.perf_counter() - began) / CALLS)
    return bare, whole, [one - other for one, other in zip(whole, bare, strict=True)]


def main(*, on_postgres: bool) -> None:
    """Measure and print."""
    with provider() as url, tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        if not on_postgres:
            for calls in SIZES:
                size = bytes_of(calls, url, Path(folder))
                print(f"{calls:>5} calls: {size:>10,} bytes, {size / calls:,.0f} a call")
        database = f"sqlite:///{folder}/times.db"
        if on_postgres:
            database = stack.enter_context(stack.enter_context(server(None, None)).fresh())
        bare, whole, over = asyncio.run(times(url, database))
        for name, values in (("bare call", bare), ("agent, call and tool", whole), ("overhead", over)):
            print(f"{name:>22}: median {statistics.median(values):.2f} ms ({min(values):.2f}–{max(values):.2f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", action="store_true", help="measure on PostgreSQL, times only")
    main(on_postgres=parser.parse_args().postgres)
