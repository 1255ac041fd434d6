"""An agent that reads a folder and answers with its sources: a chain of models, and a budget that asks for more.

    python examples/research_agent.py          opens the inbox and waits for you
    python examples/research_agent.py --auto   plays the person too

Offline a few lines of this file stand for two language models, of which the first is down. For real, name yours, the
first one first; their keys are in the environment:

    AGENTFLOW_EXAMPLE_MODEL=openai:gpt-5-mini,ollama:qwen3 python examples/research_agent.py

The budget is small on purpose. When it is spent the agent stops at a checkpoint and a person says whether it gets
more, answers with what it has, or stops.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from pydantic import BaseModel, Field

from agentflow import AgentFlow, Client, Retry, RunFailed
from agentflow.agents import (
    Agent,
    ChatModel,
    Finish,
    Message,
    Reply,
    Request,
    Role,
    RunBudget,
    ToolCall,
    ToolError,
    tool,
)
from agentflow.agents.models.base import OnText
from agentflow.errors import ModelUnavailable
from agentflow.usage import Usage
from approvals_ui import create_app

FOLDER = Path("library")
TEXTS = {
    "lamps.txt": "Until 1899 the light at Gull Point burned oil. Its keeper filled the lamp four times a night.",
    "letters.txt": "The keeper wrote in March 1901: the electric light was lit in my absence, by nobody.",
    "storms.txt": "The storm of 1903 took the landing stage. It was built anew in stone.",
}
QUESTION = "Since when was the light at Gull Point electric?"


class Finding(BaseModel):
    """An answer that says where it is from."""

    answer: str
    sources: list[str] = Field(description="the names of the texts it is from")


@tool(effect="read")
def list_texts() -> list[str]:
    """The names of all texts."""
    return sorted(path.name for path in FOLDER.glob("*.txt"))


@tool(effect="read")
def read_text(name: str) -> str:
    """One text, whole.

    Args:
        name: Its name, as it is listed.
    """
    if name not in {path.name for path in FOLDER.glob("*.txt")}:
        raise ToolError(f"there is no text {name!r}; list_texts says which there are")
    return (FOLDER / name).read_text()


class Down:
    """Stands for a language model whose provider has a bad day."""

    name = "example:large"

    async def reply(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """Nothing."""
        del request, on_text
        raise ModelUnavailable("example:large answered 503")


@dataclass
class Reader:
    """Stands for a language model: lists the texts, reads them one by one, and tells what they say."""

    name: str = "example:small"

    async def reply(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """The next message, by how far the conversation has come. A word is a token."""
        del on_text
        results = [one.text for one in request.messages if one.role is Role.TOOL]
        words = sum(len(one.text.split()) for one in request.messages)
        known: list[str] = json.loads(results[0]) if results else []
        if not results:
            message = self._calls("list_texts", {})
        elif len(results) <= len(known):
            message = self._calls("read_text", {"name": known[len(results) - 1]})
        else:
            finding = Finding(answer="From 1899 on, or 1901 at the latest.", sources=["lamps.txt", "letters.txt"])
            message = Message(role=Role.ASSISTANT, text=finding.model_dump_json())
        finish = Finish.TOOL_CALLS if message.calls else Finish.STOP
        return Reply(message=message, finish=finish, usage=Usage(model=self.name, input_tokens=words, output_tokens=20))

    def _calls(self, name: str, arguments: dict[str, str]) -> Message:
        call = ToolCall(id=f"{name}-{arguments.get('name', '')}", name=name, arguments=json.dumps(arguments))
        return Message(role=Role.ASSISTANT, calls=[call])


NAMED = os.environ.get("AGENTFLOW_EXAMPLE_MODEL", "")
MODELS: list[str | ChatModel] = [*NAMED.split(",")] if NAMED else [Down(), Reader()]

research = Agent(
    "research",
    model=MODELS[0],
    models=MODELS[1:],
    model_retry=Retry(max_attempts=2, min_delay="100ms"),
    instructions="Answer from the texts alone. Read as many as you need, and name those you used.",
    tools=[list_texts, read_text],
    output_type=Finding,
    budget=RunBudget(tokens=1_500 if NAMED else 150),
)


async def play_the_person(client: Client, run_id: str) -> None:
    """Grant the agent as much again as is proposed."""
    async for _ in client.changes():
        for approval in (await client.approvals(run_id=run_id)).items:
            print(f"asked: {approval.title}: {approval.summary}")
            await client.decide(approval.id, "approve", by="the example")
            print(f"granted: {json.loads(approval.data)['amount']}")
        if (await client.run(run_id)).is_finished:
            return


def fill_library() -> None:
    """Write the texts."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in TEXTS.items():
        (FOLDER / name).write_text(text)


async def main(*, auto: bool) -> None:
    """Start the run; let the example or you decide; print what was found, by whom, and for how much."""
    fill_library()
    async with AgentFlow(research, database="sqlite:///agentflow.db") as flow:
        run = await research.trigger(QUESTION)
        if auto:
            await play_the_person(flow.client, run.id)
            print_finding(await run)
        else:
            pages = uvicorn.Server(uvicorn.Config(create_app(flow.client, dev=True), port=8321, log_level="warning"))
            serving = asyncio.create_task(pages.serve())
            print(f"Decide at http://127.0.0.1:8321/inbox; the conversation is at http://127.0.0.1:8321/runs/{run.id}")
            try:
                print_finding(await run)
            except RunFailed as error:
                print(error)
            pages.should_exit = True
            await serving
        for line in await flow.client.usage(run.id):
            print(f"{line.key}: {line.usage.tokens} tokens")


def print_finding(finding: Finding) -> None:
    """The answer and its sources."""
    print(f"{finding.answer} ({', '.join(finding.sources)})")


if __name__ == "__main__":
    asyncio.run(main(auto="--auto" in sys.argv))
