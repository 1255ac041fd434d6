"""An agent that pays money back; above 50 EUR a person decides about the very call, and may change the amount.

    python examples/refund_agent.py          opens the inbox and waits for you
    python examples/refund_agent.py --auto   plays the person too

Offline a few lines of this file stand for the language model. For real, name one; its key is in the environment:

    AGENTFLOW_EXAMPLE_MODEL=openai:gpt-5-mini python examples/refund_agent.py
    AGENTFLOW_EXAMPLE_MODEL=ollama:qwen3 python examples/refund_agent.py

A refund is irreversible. If this program is killed while it pays, the run does not pay again: `find_refund` looks in
the books of the payment provider (here a file) and says whether it was paid.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import uvicorn

from agentflow import NOT_DONE, AgentFlow, Client, Done, RunFailed
from agentflow.agents import (
    Agent,
    ApprovalPolicy,
    ChatModel,
    Finish,
    Message,
    Reply,
    Request,
    Role,
    ToolCall,
    ToolContext,
    ToolError,
    tool,
)
from agentflow.agents.models.base import OnText
from agentflow.usage import Usage
from approvals_ui import create_app

BOOKS = Path("refunds.json")
ASK_ABOVE = 50
ORDERS = {"A-17": ("ada", "a lamp", Decimal("120.00")), "A-18": ("ada", "a bulb", Decimal("12.50"))}
WISH = "My lamp (order A-17) came broken, and the bulb (A-18) is missing. I want my money back."


@dataclass
class Customer:
    """Who is writing: known from their login, not from what the model says."""

    name: str


@tool(effect="read")
async def look_up(order: str, ctx: ToolContext[Customer]) -> str:
    """What was ordered, and for how much.

    Args:
        order: The order's number, such as A-17.
    """
    customer, what, total = ORDERS.get(order, ("", "", Decimal(0)))
    if customer != ctx.context.name:
        raise ToolError(f"{ctx.context.name} has no order {order}")
    return f"{order}: {what}, {total} EUR"


def books() -> dict[str, str]:
    """What the payment provider has paid, by idempotency key."""
    found: dict[str, str] = json.loads(BOOKS.read_text()) if BOOKS.exists() else {}
    return found


def pay(key: str, amount: Decimal) -> None:
    """Stands for the payment provider, which writes down every payment."""
    BOOKS.write_text(json.dumps({**books(), key: str(amount)}))


async def find_refund(order: str, amount: Decimal, ctx: ToolContext[Customer]) -> Any:
    """Whether this very call was paid; asked only when it was cut off."""
    return Done(f"refunded {amount} EUR for {order}") if ctx.idempotency_key in books() else NOT_DONE


def is_much(args: Mapping[str, Any]) -> bool:
    """Whether a person decides about a refund."""
    return bool(args["amount"] > ASK_ABOVE)


@tool(
    effect="irreversible",
    lookup=find_refund,
    needs_approval=ApprovalPolicy(
        when=is_much, title=lambda args: f"Refund {args['amount']} EUR for {args['order']}", risk="high", timeout="24h"
    ),
)
async def refund(order: str, amount: Decimal, ctx: ToolContext[Customer]) -> str:
    """Pay money back for an order.

    Args:
        order: The order's number.
        amount: How much, in EUR.
    """
    pay(ctx.idempotency_key, amount)
    return f"refunded {amount} EUR for {order}"


class Clerk:
    """Stands for a language model: looks both orders up, refunds them, and tells what came of it."""

    name = "example:clerk"

    async def reply(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """The next message, by how far the conversation has come."""
        del on_text
        results = [one.text for one in request.messages if one.role is Role.TOOL]
        if not results:
            calls = [ToolCall(id=f"look-{one}", name="look_up", arguments=f'{{"order": "{one}"}}') for one in ORDERS]
            return self._calls("Let me see what was ordered.", calls)
        if len(results) == len(ORDERS):
            totals = {one: float(total) for one, (_, _, total) in ORDERS.items()}
            calls = [
                ToolCall(id=f"pay-{one}", name="refund", arguments=json.dumps({"order": one, "amount": total}))
                for one, total in totals.items()
            ]
            return self._calls("Both were paid, and both are of no use to her.", calls)
        paid = "; ".join(text.splitlines()[-1] for text in results[len(ORDERS) :])
        return self._reply(Message(role=Role.ASSISTANT, text=f"I am sorry about that. This is done: {paid}."))

    def _calls(self, text: str, calls: list[ToolCall]) -> Reply:
        return self._reply(Message(role=Role.ASSISTANT, text=text, calls=calls))

    def _reply(self, message: Message) -> Reply:
        finish = Finish.TOOL_CALLS if message.calls else Finish.STOP
        return Reply(message=message, finish=finish, usage=Usage(model=self.name, input_tokens=100, output_tokens=30))


MODEL: str | ChatModel = os.environ.get("AGENTFLOW_EXAMPLE_MODEL") or Clerk()

refunds = Agent(
    "refunds",
    model=MODEL,
    instructions="You serve the customers of a lamp shop. Look orders up before you refund them. Be brief.",
    tools=[look_up, refund],
    context_type=Customer,
)


async def play_the_person(client: Client, run_id: str) -> None:
    """Answer each question as a person would in the inbox: the lamp still works, so half of it is enough."""
    async for _ in client.changes():
        for approval in (await client.approvals(run_id=run_id)).items:
            call = json.loads(approval.data)
            print(f"asked: {approval.title}: {approval.tool}({approval.data})")
            print(f"the agent says: {approval.said}")
            final = {**call, "amount": call["amount"] / 2}
            receipt = await client.decide(approval.id, "correct", by="the example", data=final, comment="half is fair")
            print(f"decided: {receipt.outcome}")
        if (await client.run(run_id)).is_finished:
            return


async def main(*, auto: bool) -> None:
    """Start the run; let the example or you decide; print what the customer is told and what was paid."""
    async with AgentFlow(refunds, database="sqlite:///agentflow.db") as flow:
        run = await refunds.trigger(WISH, context=Customer("ada"))
        if auto:
            await play_the_person(flow.client, run.id)
            print(await run)
        else:
            pages = uvicorn.Server(uvicorn.Config(create_app(flow.client, dev=True), port=8321, log_level="warning"))
            serving = asyncio.create_task(pages.serve())
            print(f"Decide at http://127.0.0.1:8321/inbox; the conversation is at http://127.0.0.1:8321/runs/{run.id}")
            try:
                print(await run)
            except RunFailed as error:
                print(error)
            pages.should_exit = True
            await serving
    print(f"in the books: {', '.join(sorted(books().values()))}")


if __name__ == "__main__":
    asyncio.run(main(auto="--auto" in sys.argv))
