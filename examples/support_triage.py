"""An agent sorts support tickets, a person corrects it, and the corrections become the set it is evaluated on.

    python examples/support_triage.py          opens the inbox and waits for you to decide all six
    python examples/support_triage.py --auto   plays the person too

Offline a few lines of this file stand for the language model. For real, name one; its key is in the environment:

    AGENTFLOW_EXAMPLE_MODEL=openai:gpt-5-mini python examples/support_triage.py

What was decided is in the database with what the agent had proposed, so every decision is a case: the ticket, and where
a person put it. `cases.jsonl` has one a line. Change the instructions or the model, and run it again to see the score.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, Literal

import uvicorn
from pydantic import BaseModel, Field

from agentflow import AgentFlow, Client, task, wait_for_approval
from agentflow.agents import Agent, ChatModel, Finish, Message, Reply, Request, Role
from agentflow.agents.models.base import OnText
from agentflow.usage import Usage
from approvals_ui import create_app

CASES = Path("cases.jsonl")
TICKETS = [
    "I was charged twice in May.",
    "The app crashes when I open an invoice.",
    "How do I change my password?",
    "Please send the invoice to my new address.",
    "Nobody in our office can log in since eight o'clock!",
    "Do you have plans for schools?",
]
CORRECTIONS: dict[str, dict[str, str]] = {
    TICKETS[1]: {"queue": "bug", "urgency": "high"},
    TICKETS[4]: {"urgency": "high"},
}
"""What the person played by `--auto` puts right."""
WORDS = {"invoice": "billing", "charged": "billing", "crash": "bug", "password": "account", "log in": "account"}


class Triage(BaseModel):
    """Who is to look at a ticket, and how soon."""

    queue: Literal["billing", "bug", "account", "sales"]
    urgency: Literal["low", "normal", "high"] = Field(description="high: somebody cannot work until it is solved")


class ByWords:
    """Stands for a language model: goes by the first word it knows."""

    name = "example:by-words"

    async def reply(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """Where the ticket goes by its words."""
        del on_text
        ticket = request.messages[-1].text
        queue = next((queue for word, queue in WORDS.items() if word in ticket), "sales")
        text = json.dumps({"queue": queue, "urgency": "low" if queue == "sales" else "normal"})
        message = Message(role=Role.ASSISTANT, text=text)
        used = Usage(model=self.name, input_tokens=len(ticket.split()), output_tokens=10)
        return Reply(message=message, finish=Finish.STOP, usage=used)


MODEL: str | ChatModel = os.environ.get("AGENTFLOW_EXAMPLE_MODEL") or ByWords()

triage = Agent(
    "triage",
    model=MODEL,
    instructions="Sort the customer's ticket. You sell software for invoices.",
    output_type=Triage,
)


@task
async def handle_ticket(ticket: str) -> Triage:
    """Where the ticket goes, as a person has confirmed it."""
    proposed = await triage(ticket)  # every model call is a checkpoint of this run
    decision = await wait_for_approval(proposed, title=ticket, allow=("approve", "correct"), tags={"kind": "triage"})
    return decision.data


async def decided_cases(client: Client) -> list[dict[str, Any]]:
    """Every decided triage as a case: the input, what is expected, and what the person changed (as a JSON Patch)."""
    cases: dict[str, dict[str, Any]] = {}
    cursor = None
    while True:
        page = await client.approvals(pending=False, cursor=cursor)
        for one in page.items:
            if one.task == "handle_ticket" and one.final is not None:
                ticket = json.loads((await client.run(one.run_id)).input)
                changes = json.loads(one.patch or "[]")
                cases[one.run_id] = {"input": ticket, "expected": json.loads(one.final), "changes": changes}
        cursor = page.next_cursor
        if cursor is None:
            break
    return [cases[run_id] for run_id in sorted(cases)]


def write_cases(cases: list[dict[str, Any]]) -> None:
    """The cases in a file that evaluation tools read too: one a line, as JSON."""
    CASES.write_text("".join(f"{json.dumps(case, ensure_ascii=False)}\n" for case in cases))


def read_cases() -> list[dict[str, Any]]:
    """The cases of the file."""
    return [json.loads(line) for line in CASES.read_text().splitlines()]


async def evaluate() -> None:
    """Have the agent do each case of the file again, each as a run, and print where it still differs."""
    cases = read_cases()
    runs = [await triage.trigger(case["input"]["ticket"]) for case in cases]
    right = 0
    for case, run in zip(cases, runs, strict=True):
        found, expected = (await run).model_dump(), case["expected"]
        wrong = [f"{name} {found[name]}, not {expected[name]}" for name in expected if found[name] != expected[name]]
        right += not wrong
        if wrong:
            print(f"wrong: {case['input']['ticket']} ({'; '.join(wrong)})")
    print(f"score: {right} of {len(cases)}")


async def play_the_person(client: Client, count: int) -> None:
    """Answer so many questions as a person would in the inbox."""
    async for _ in client.changes():
        for approval in (await client.approvals()).items:
            final = {**json.loads(approval.data), **CORRECTIONS.get(approval.title, {})}
            receipt = await client.decide(approval.id, "approve", by="the example", data=final)
            count -= 1
            if receipt.outcome == "corrected":
                print(f"corrected: {approval.title} {CORRECTIONS[approval.title]}")
        if count <= 0:
            return


async def main(*, auto: bool) -> None:
    """Triage the tickets; let the example or you decide; write the cases and evaluate the agent on them."""
    async with AgentFlow(handle_ticket, triage, database="sqlite:///agentflow.db") as flow:
        runs = [await handle_ticket.trigger(ticket) for ticket in TICKETS]
        if auto:
            await play_the_person(flow.client, len(runs))
            await asyncio.gather(*runs)
        else:
            pages = uvicorn.Server(uvicorn.Config(create_app(flow.client, dev=True), port=8321, log_level="warning"))
            serving = asyncio.create_task(pages.serve())
            print("Decide at http://127.0.0.1:8321/inbox")
            await asyncio.gather(*runs)
            pages.should_exit = True
            await serving
        cases = await decided_cases(flow.client)
        write_cases(cases)
        print(f"{len(cases)} cases, {sum(bool(case['changes']) for case in cases)} of them corrected, in {CASES}")
        await evaluate()


if __name__ == "__main__":
    asyncio.run(main(auto="--auto" in sys.argv))
