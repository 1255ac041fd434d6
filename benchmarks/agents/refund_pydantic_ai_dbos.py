"""The refund agent in Pydantic AI on DBOS: `… start|pending|decide VERDICT [AMOUNT]|resume`."""

import asyncio
import sys

import shop
from dbos import DBOS, SetWorkflowID
from pydantic_ai import (
    Agent,
    ApprovalRequired,
    DeferredToolRequests,
    DeferredToolResults,
    RunContext,
    ToolApproved,
    ToolDenied,
)
from pydantic_ai.durable_exec.dbos import DBOSDurability

WEEK = 7 * 24 * 3600.0
agent = Agent(
    "openai-chat:gpt-5-mini",
    name="refunds",
    instructions="Be brief.",
    output_type=[str, DeferredToolRequests],
    capabilities=[DBOSDurability()],
)


@agent.tool_plain
def look_up(order: str) -> str:
    """Look up an order."""
    return shop.look_up(order)


@DBOS.step()
async def pay(order: str, amount: float) -> str:
    return shop.pay(order, amount)


@agent.tool
async def refund(ctx: RunContext, order: str, amount: float) -> str:
    """Pay money back for an order."""
    if amount > 50 and not ctx.tool_call_approved:
        raise ApprovalRequired
    return await pay(order, amount)


@DBOS.workflow()
async def case(prompt: str) -> str:
    found = await agent.run(prompt)
    while isinstance(found.output, DeferredToolRequests):
        approvals = {}
        for asked in found.output.approvals:
            question = {"id": asked.tool_call_id, "tool": asked.tool_name, "args": asked.args_as_dict()}
            await DBOS.set_event_async("asked", question)
            verdict, amount = await DBOS.recv_async(asked.tool_call_id, timeout_seconds=WEEK) or ("reject", "")
            changed = asked.args_as_dict() | {"amount": float(amount)} if amount else None
            approvals[asked.tool_call_id] = ToolDenied() if verdict == "reject" else ToolApproved(override_args=changed)
            await DBOS.set_event_async("asked", None)
        results = DeferredToolResults(approvals=approvals)
        found = await agent.run(message_history=found.all_messages(), deferred_tool_results=results)
    return found.output


# -- the person


async def main(verb: str, verdict: str = "", amount: str = "") -> None:
    DBOS(config={"name": "refunds", "system_database_url": "sqlite:///refunds.db", "log_level": "ERROR"})
    DBOS.launch()
    if verb == "pending":
        print(await DBOS.get_event_async("case 1", "asked", timeout_seconds=1))
        return
    if verb == "start":
        with SetWorkflowID("case 1"):
            handle = await DBOS.start_workflow_async(case, "My lamp A-17 came broken.")
    else:
        handle = await DBOS.retrieve_workflow_async("case 1")
    if verb == "decide":
        asked = await DBOS.get_event_async("case 1", "asked", timeout_seconds=1)
        if not asked:
            sys.exit("there is nothing to decide")
        await DBOS.send_async("case 1", (verdict, amount), asked["id"])
    while (await handle.get_status()).status == "PENDING":
        if verb != "decide" and await DBOS.get_event_async("case 1", "asked", timeout_seconds=0.1):
            print("a person is asked", flush=True)
            return
        await asyncio.sleep(0.05)
    print(await handle.get_result())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
