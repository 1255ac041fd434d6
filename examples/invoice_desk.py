"""From a webhook to a signed event: invoices come in by HTTP, an agent books them, a person corrects, others are told.

    python examples/invoice_desk.py          serves the inbox, and says how to send an invoice
    python examples/invoice_desk.py --auto   plays the sender, the person and the subscriber

Nothing is lost or done twice on the way: the sender is answered when the run is stored, and repeating a delivery finds
that run; the decision is recorded once; the subscriber is told until it answers, each time under the same id. Every
night at two a schedule reviews what people changed that day.

Offline a few lines of this file stand for the language model. For real, name one; its key is in the environment:

    AGENTFLOW_EXAMPLE_MODEL=openai:gpt-5-mini python examples/invoice_desk.py
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from standardwebhooks import Webhook as StandardWebhook

from agentflow import AgentFlow, Client, Webhook, step, task
from agentflow.agents import Agent, ApprovalPolicy, ChatModel, Finish, Message, Reply, Request, Role, ToolCall, tool
from agentflow.agents.models.base import OnText
from agentflow.clock import SystemClock
from agentflow.usage import Usage
from agentflow.verifiers import standard
from approvals_ui import create_app
from schedulers.ticker import Ticker

DATABASE = "sqlite:///agentflow.db"
BOOKS = Path("books.jsonl")
SENDER_SECRET = "whsec_" + "ZXhhbXBsZXMgYXJlIG5vIHNlY3JldHMsIHJlYWxseQ=="
LETTER = {
    "type": "invoice.received",
    "data": {"from": "ACME Stationery", "text": "Invoice INV-4721. 12 boxes of paper, total 1.2OO,00 EUR."},
}


# -- the work: an agent whose one tool a person lets it use


def booked() -> list[str]:
    """The lines of the books."""
    return BOOKS.read_text().splitlines() if BOOKS.exists() else []


def enter(line: str) -> None:
    """Write a line in the books that is not there yet."""
    if line not in booked():
        BOOKS.write_text("".join(f"{one}\n" for one in [*booked(), line]))


@tool(effect="idempotent", needs_approval=ApprovalPolicy(title=lambda args: f"Book {args['number']}"))
async def book(supplier: str, number: str, amount: Decimal) -> str:
    """Enter an invoice in the books.

    Args:
        supplier: Who sent it.
        number: The invoice's number.
        amount: The total in EUR.
    """
    enter(json.dumps({"supplier": supplier, "number": number, "amount": str(amount)}))
    return f"booked {number} from {supplier}: {amount} EUR"


class Reader:
    """Stands for a language model: finds a number and an amount, and takes an O for a zero as little as you would."""

    name = "example:reader"

    async def reply(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """The call of the tool, and after it the last word."""
        del on_text
        if request.messages[-1].role is Role.TOOL:
            return self._reply(Message(role=Role.ASSISTANT, text=request.messages[-1].text))
        letter = json.loads(request.messages[-1].text)
        number, amount = re.findall(r"INV-\d+", letter["text"])[0], re.findall(r"total ([\d.]+)", letter["text"])[0]
        found = {"supplier": letter["from"], "number": number, "amount": float(amount.rstrip("."))}
        call = ToolCall(id=number, name="book", arguments=json.dumps(found))
        return self._reply(Message(role=Role.ASSISTANT, text="The total is hard to read.", calls=[call]))

    def _reply(self, message: Message) -> Reply:
        finish = Finish.TOOL_CALLS if message.calls else Finish.STOP
        return Reply(message=message, finish=finish, usage=Usage(model=self.name, input_tokens=50, output_tokens=20))


MODEL: str | ChatModel = os.environ.get("AGENTFLOW_EXAMPLE_MODEL") or Reader()

clerk = Agent(
    "clerk",
    model=MODEL,
    instructions="You enter the invoices of a shop in its books. Read the letter and book what it says.",
    tools=[book],
)


# -- what starts it


@dataclass
class Letter:
    """What the mail system posts; anything else is refused, and it is told why."""

    type: str
    data: dict[str, str]


def is_invoice(letter: Letter) -> bool:
    """Whether a letter is for the clerk; the others are ignored."""
    return letter.type == "invoice.received"


def as_prompt(letter: Letter) -> Mapping[str, str]:
    """What the clerk is told."""
    return {"prompt": json.dumps(letter.data)}


invoices = Webhook("/invoices", task=clerk, verify=standard(SENDER_SECRET), where=is_invoice, input=as_prompt)


@step
async def corrections(since: datetime, until: datetime) -> list[str]:
    """What people changed within that time."""
    async with AgentFlow(database=DATABASE, worker=False) as reader:
        decided = (await reader.client.approvals(pending=False, limit=200)).items
    changed = [one for one in decided if one.decided_at and since <= one.decided_at < until and one.patch]
    return [f"{one.title}: {one.patch}" for one in changed if one.status == "corrected"]


@task.schedule("0 2 * * *", timezone="Europe/Berlin", occurrence_as="night", id="nightly-review")
@task
async def review(night: datetime) -> list[str]:
    """What people changed in the day before this night: what the clerk should learn."""
    return await corrections(night - timedelta(days=1), night)


# -- the other side, played


@asynccontextmanager
async def serving(application: Any, port: int) -> AsyncIterator[str]:
    """An application on a port of this machine; its address."""
    listener = socket.create_server(("127.0.0.1", port))  # who calls before the server is there waits for it
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning", ws="none"))
    running = asyncio.create_task(server.serve([listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running


def subscriber(secret: Callable[[], str], told: asyncio.Future[str]) -> Any:
    """The program of another team: verifies what it is told with a library of its own, and answers."""

    async def application(scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while (part := await receive()).get("more_body") or part["body"]:
            body += part["body"]
            if not part.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        event = StandardWebhook(secret()).verify(body, headers)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        if not told.done():
            told.set_result(f"{event['type']}: {event['data']['output'].splitlines()[-1]}")

    return application


async def send_letter(address: str) -> tuple[int, Any]:
    """Post the letter as the mail system would, signed; the status and the answer."""
    body, now = json.dumps(LETTER), SystemClock().now()
    headers = {
        "webhook-id": "letter-4721",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": StandardWebhook(SENDER_SECRET).sign("letter-4721", now, body),
    }
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{address}/hooks/invoices", content=body, headers=headers)
    return answer.status_code, answer.json()


async def play_the_person(client: Client) -> None:
    """Correct the amount, as a person would in the inbox."""
    async for _ in client.changes():
        for approval in (await client.approvals()).items:
            call = json.loads(approval.data)
            print(f"asked: {approval.title}: {call['amount']} EUR")
            receipt = await client.decide(
                approval.id, "correct", by="ada", data={**call, "amount": 1200.0}, comment="an O is no zero"
            )
            print(f"decided: {receipt.outcome}")
            return


async def play_everybody(flow: AgentFlow, address: str) -> None:
    """Subscribe, send the letter twice, correct, and print what everybody is told."""
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    secrets: list[str] = []
    async with serving(subscriber(lambda: secrets[0], told), 0) as url:
        subscribe = flow.client.subscriptions.add
        secrets.append((await subscribe(url, events=["run.completed"], tasks=["clerk"], by="the example")).secret)
        status, answer = await send_letter(address)
        again = await send_letter(address)
        print(f"sent: {status}, and again: {again[0]}, {'the same' if again[1] == answer else 'another'} run")
        await play_the_person(flow.client)
        print(f"told: {await told}")
    night = await flow.client.schedules.trigger("nightly-review", by="the example")
    for line in json.loads((await flow.client.result(night.id)).output or "[]"):
        print(f"to review: {line}")
    print(f"in the books: {', '.join(booked())}")


async def main(*, auto: bool) -> None:
    """Serve the inbox with the webhook; play everybody, or wait for you."""
    async with AgentFlow(sys.modules[__name__], database=DATABASE, dev=True) as flow:
        ticker = Ticker(flow.client)
        await ticker.start()
        pages = create_app(flow.client, webhooks=flow.catalog.webhooks, dev=True)
        async with serving(pages, 0 if auto else 8321) as address:
            if auto:
                await play_everybody(flow, address)
            else:
                print(f"Decide at {address}/inbox. Sending a letter to {address}/hooks/invoices")
                print(await send_letter(address))
                await asyncio.Event().wait()
        await ticker.stop()


if __name__ == "__main__":
    asyncio.run(main(auto="--auto" in sys.argv))
