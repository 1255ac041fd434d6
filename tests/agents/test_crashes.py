"""An agent whose worker is killed before, inside and after each write comes to one end, with each effect once."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow import NOT_DONE, Done, Retry
from agentflow.agents import Agent, RunBudget, tool
from agentflow.errors import ModelUnavailable
from agentflow.testing import Effects, Reviewer, ScriptedModel, crash_test

effects = Effects()


def was_refunded(order: str, amount: int) -> Any:
    return Done(f"refunded {amount}") if effects.count(f"refund {order}") else NOT_DONE


@tool(effect="read")
def look(order: str) -> dict[str, Any]:
    """Look up an order.

    Args:
        order: The order's number.
    """
    return {"order": order, "total": 40}


@tool(effect="irreversible", needs_approval=lambda args: args["amount"] > 30, lookup=was_refunded)
def refund(order: str, amount: int) -> str:
    """Pay back.

    Args:
        order: The order's number.
        amount: How much.
    """
    effects.record(f"refund {order}")
    return f"refunded {amount}"


@tool(effect="irreversible", needs_approval=True)
def write_letter(order: str) -> str:
    """Send a letter.

    Args:
        order: The order's number.
    """
    effects.record(f"letter {order}")
    return "sent"


def decide(proposed: Any) -> Any:
    """As a person would who can look whether the letter went out."""
    if "result" in proposed:
        went_out = effects.count("letter A1")
        return {"choice": "happened", "result": "sent"} if went_out else {"choice": "do it now", "result": None}
    if "choice" in proposed:
        return {"choice": "grant", "amount": "1000"}
    return proposed | {"amount": 35} if proposed.get("amount") == 40 else proposed


@pytest.mark.timeout(600)
@pytest.mark.slow
async def test_ten_turns_with_gates_a_fallback_and_a_budget_survive_being_killed_at_every_write() -> None:
    down = (
        ScriptedModel("x:down")
        .calls("look", {"order": "A1"}, ("look", {"order": "A2"}))
        .fails(ModelUnavailable("503"), times=9)
    )
    up = (
        ScriptedModel("x:up")
        .calls("refund", {"order": "A1", "amount": 40}, ("refund", {"order": "A2", "amount": 20}), text="pay both")
        .calls("look", {"order": "A3"}, usage=(60, 0))
        .calls("write_letter", {"order": "A1"})
        .calls("look", {"order": "A4"})
        .calls("lok", {"order": "A5"})
        .calls("look", '{"order": "A5"', ("look", {"order": "A5"}))
        .calls("look", {"order": "A6"})
        .calls("look", {"order": "A7"})
        .says("A1 got 35, A2 got 20")
    )
    agent = Agent(
        "clerk",
        model=down,
        models=[up],
        model_retry=Retry(max_attempts=1),
        tools=[look, refund, write_letter],
        budget=RunBudget(tokens=100),
    )
    report = await crash_test(
        agent,
        "settle A1 and A2",
        reviewer=Reviewer().correct(decide),
        effects=effects,
        scripts=[down, up],
        expect="A1 got 35, A2 got 20",
    )
    assert report.kills > 50
    assert [effects.count(f"refund {one}") for one in ("A1", "A2")] == [1, 1]
