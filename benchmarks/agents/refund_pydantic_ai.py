"""The refund agent in Pydantic AI: `refund_pydantic_ai.py start|pending|decide VERDICT [AMOUNT]|resume`."""

import sys
from pathlib import Path

import shop
from pydantic_ai import (
    Agent,
    ApprovalRequired,
    DeferredToolRequests,
    DeferredToolResults,
    ModelMessagesTypeAdapter,
    RunContext,
    ToolApproved,
    ToolDenied,
)
from pydantic_ai.messages import ToolCallPart

STATE = Path("state.json")
agent = Agent("openai-chat:gpt-5-mini", instructions="Be brief.", output_type=[str, DeferredToolRequests])


@agent.tool_plain
def look_up(order: str) -> str:
    """Look up an order."""
    return shop.look_up(order)


@agent.tool
def refund(ctx: RunContext, order: str, amount: float) -> str:
    """Pay money back for an order."""
    if amount > 50 and not ctx.tool_call_approved:
        raise ApprovalRequired
    return shop.pay(order, amount)


# -- the person


def decision(verdict: str, amount: str, asked: ToolCallPart) -> ToolApproved | ToolDenied:
    if verdict == "reject":
        return ToolDenied()
    return ToolApproved(override_args=asked.args_as_dict() | {"amount": float(amount)} if amount else None)


def main(verb: str, verdict: str = "", amount: str = "") -> None:
    if verb == "decide" and not STATE.exists():
        sys.exit("there is nothing to decide")
    if verb == "start" or not STATE.exists():
        found = agent.run_sync("My lamp A-17 came broken.")
    else:
        history = ModelMessagesTypeAdapter.validate_json(STATE.read_bytes())
        done = {part.tool_call_id for one in history for part in one.parts if part.part_kind == "tool-return"}
        pending = [one for one in history[-1].parts if isinstance(one, ToolCallPart)]
        pending += [one for one in history[-2].parts if isinstance(one, ToolCallPart) and one.tool_call_id not in done]
        if verb != "decide":
            for one in pending:
                print(one.tool_name, one.args)
            return
        results = DeferredToolResults(approvals={one.tool_call_id: decision(verdict, amount, one) for one in pending})
        found = agent.run_sync(message_history=history, deferred_tool_results=results)
    if isinstance(found.output, DeferredToolRequests):
        scratch = STATE.with_suffix(".new")
        scratch.write_bytes(found.all_messages_json())
        scratch.replace(STATE)
        print("a person is asked")
    else:
        STATE.unlink(missing_ok=True)
        print(found.output)


if __name__ == "__main__":
    main(*sys.argv[1:])
