"""The refund agent in the OpenAI Agents SDK: `refund_openai_agents.py start|pending|decide VERDICT|resume`."""

import asyncio
import sys
from pathlib import Path

import shop
from agents import Agent, RunContextWrapper, Runner, RunState, function_tool, set_tracing_disabled

STATE = Path("state.json")


async def is_much(_ctx: RunContextWrapper, arguments: dict, _call_id: str) -> bool:
    return arguments["amount"] > 50


@function_tool
def look_up(order: str) -> str:
    """Look up an order."""
    return shop.look_up(order)


@function_tool(needs_approval=is_much)
def refund(order: str, amount: float) -> str:
    """Pay money back for an order."""
    return shop.pay(order, amount)


agent = Agent("refunds", model="gpt-5-mini", instructions="Be brief.", tools=[look_up, refund])

# -- the person


def main(verb: str, verdict: str = "") -> None:
    set_tracing_disabled(True)
    if verb == "decide" and not STATE.exists():
        sys.exit("there is nothing to decide")
    given = "My lamp A-17 came broken."
    if verb != "start" and STATE.exists():
        given = asyncio.run(RunState.from_string(agent, STATE.read_text()))
        for asked in given.get_interruptions():
            if verb == "pending":
                print(asked.name, asked.arguments)
            elif verb == "decide":
                given.reject(asked) if verdict == "reject" else given.approve(asked)
        if verb == "pending":
            return
    found = Runner.run_sync(agent, given)
    if found.interruptions:
        scratch = STATE.with_suffix(".new")
        scratch.write_text(found.to_state().to_string())
        scratch.replace(STATE)
        print("a person is asked")
    else:
        STATE.unlink(missing_ok=True)
        print(found.final_output)


if __name__ == "__main__":
    main(*sys.argv[1:])
