"""The refund agent in LangGraph: `refund_langgraph.py start|pending|decide VERDICT [AMOUNT]|resume`."""

import sys

import shop
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain.agents.middleware.human_in_the_loop import InterruptOnConfig
from langchain_core.tools import tool
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command


@tool
def look_up(order: str) -> str:
    """Look up an order."""
    return shop.look_up(order)


@tool
def refund(order: str, amount: float) -> str:
    """Pay money back for an order."""
    return shop.pay(order, amount)


def made(saver: SqliteSaver) -> CompiledStateGraph:
    gate = InterruptOnConfig(
        allowed_decisions=["approve", "edit", "reject"],
        when=lambda request: request.tool_call["args"]["amount"] > 50,
    )
    return create_agent(
        "openai:gpt-5-mini",
        tools=[look_up, refund],
        system_prompt="Be brief.",
        middleware=[HumanInTheLoopMiddleware(interrupt_on={"refund": gate})],
        checkpointer=saver,
    )


# -- the person


def decision(verdict: str, amount: str, asked: dict) -> dict:
    if verdict == "edit":
        args = asked["args"] | {"amount": float(amount)}
        return {"type": "edit", "edited_action": {"name": asked["name"], "args": args}}
    return {"type": verdict}


def main(verb: str, verdict: str = "", amount: str = "") -> None:
    config = {"configurable": {"thread_id": "case 1"}}
    with SqliteSaver.from_conn_string("refunds.db") as saver:
        agent = made(saver)
        pending = [one for wait in agent.get_state(config).interrupts for one in wait.value["action_requests"]]
        if verb == "pending":
            for one in pending:
                print(one["name"], one["args"])
            return
        given = {
            "start": {"messages": [{"role": "user", "content": "My lamp A-17 came broken."}]},
            "resume": None,
            "decide": Command(resume={"decisions": [decision(verdict, amount, one) for one in pending]}),
        }[verb]
        found = agent.invoke(given, config, durability="sync")
        print("a person is asked" if found.get("__interrupt__") else found["messages"][-1].content)


if __name__ == "__main__":
    main(*sys.argv[1:])
