"""The refund agent in agentflow: `refund_agentflow.py start|pending|decide VERDICT [AMOUNT]|resume`."""

import asyncio
import json
import sys
from typing import Any

import shop

from agentflow import NOT_DONE, AgentFlow, Done
from agentflow.agents import Agent, tool

MODEL = "openai:gpt-5-mini"


@tool(effect="read")
def look_up(order: str) -> str:
    """Look up an order."""
    return shop.look_up(order)


def was_refunded(order: str, amount: float) -> Any:
    return Done(f"refunded {amount:g} EUR for {order}") if shop.was_paid(order) else NOT_DONE


@tool(effect="irreversible", needs_approval=lambda args: args["amount"] > 50, lookup=was_refunded)
def refund(order: str, amount: float) -> str:
    """Pay money back for an order."""
    return shop.pay(order, amount)


agent = Agent("refunds", model=MODEL, instructions="Be brief.", tools=[look_up, refund])

# -- the person: `agentflow serve` has an inbox for this; here are a few words, as for the others


async def main(verb: str, verdict: str = "", amount: str = "") -> None:
    async with AgentFlow(agent, database="sqlite:///refunds.db") as flow:
        pending = (await flow.client.approvals()).items
        if verb == "pending":
            for one in pending:
                print(one.tool, one.data)
            return
        run = await agent.options(idempotency_key="case 1").trigger("My lamp A-17 came broken.")
        if verb == "decide" and not pending:
            sys.exit("there is nothing to decide")
        if verb == "decide":
            data = json.loads(pending[0].data) | ({"amount": float(amount)} if amount else {})
            verdict = "reject" if verdict == "reject" else "approve"
            await flow.client.decide(pending[0].id, verdict, by="mia", data=data)
        while not (await flow.client.run(run.id)).is_finished:
            if pending := (await flow.client.approvals()).items:
                print("a person is asked")
                return
            await asyncio.sleep(0.02)
        print(await run)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
