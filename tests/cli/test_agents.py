"""Agents at the terminal: what they said, what they cost, what they may spend, and telling them something."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from agentflow.agents import Agent, RunBudget, tool
from agentflow.clock import SystemClock
from agentflow.errors import ModelRequestRefused
from agentflow.testing import FakeClock, Harness, ScriptedModel
from agentflow.usage import Usage

if TYPE_CHECKING:
    from tests.cli.shell import Shell

PRICED = Usage(model="scripted:second", input_tokens=1_200, output_tokens=88, cached_tokens=1_000)


@tool(effect="irreversible", needs_approval=lambda args: args["amount"] > 50)
async def refund(order: str, amount: int) -> str:
    """Refund an order."""
    return f"refunded {amount} for {order}"


def waiting_agent(shell: Shell) -> str:
    """The id of a run whose agent has made one refund and waits for a person about the other."""
    first = ScriptedModel("scripted:first").fails(ModelRequestRefused("400: no such model", model="scripted:first"))
    second = ScriptedModel("scripted:second", usage=PRICED)
    second.calls(
        "refund", {"order": "A-17", "amount": 9}, ("refund", {"order": "B\u202e-2", "amount": 900}), text="I do."
    )
    agent = Agent("refunds", model=first, models=[second], tools=[refund], budget=RunBudget(tokens=5_000))

    async def run_it() -> str:
        async with Harness(agent, path=shell.folder / "agentflow.db", clock=FakeClock(SystemClock().now())) as harness:
            run = await harness.trigger(agent, "Money back!", thread="customer-7")
            await harness.until_idle()
            return run.id

    return asyncio.run(run_it())


def test_a_conversation_is_shown_with_hops_calls_and_gates(agentflow: Shell) -> None:
    run_id = waiting_agent(agentflow)
    shown = agentflow("show", run_id, "--conversation")
    lines = [line.strip() for line in shown.out.splitlines()]

    assert lines[0] == "refunds  scripted:first -> scripted:second  thread customer-7"
    assert "user    Money back!" in lines
    assert "! scripted:first: ModelRequestRefused: 400: no such model" in lines
    assert any(
        line.startswith("turn 1: scripted:second · 1,200 in (1,000 cached) · 88 out · no price") for line in lines
    )
    assert '> refund {"order": "A-17", "amount": 9} -> refunded 9 for A-17' in lines
    assert any("waits for a person" in line and "RIGHT-TO-LEFT OVERRIDE" in line for line in lines)
    assert "\u202e" not in shown.out
    [document] = agentflow("show", run_id, "-c", "--json").document
    assert [line["kind"] for line in document["lines"]] == ["said", "model", "tool", "tool"]
    assert document["lines"][3]["gate"]["state"] == "pending"


def test_a_run_without_an_agent_has_no_conversation(agentflow: Shell) -> None:
    agentflow.write("app.py", "from agentflow import task\n\n\n@task\nasync def greet() -> str:\n    return 'hi'\n")
    run_id = agentflow("trigger", "app.py:greet", "--json").document["id"]
    shown = agentflow("show", run_id, "--conversation")
    assert (shown.code, shown.out) == (0, "")
    assert "has no conversation" in shown.complaint
    assert agentflow("budget", run_id).complaint.endswith("holds no budget")


def test_an_agent_is_told_something_once(agentflow: Shell) -> None:
    run_id = waiting_agent(agentflow)
    first = agentflow("tell", run_id[:20], "In German, please.", "--id", "m-1")
    again = agentflow("tell", run_id, "-", "--id", "m-1", "--json", stdin="In German, please.\n")
    assert first.out == f"told: run {run_id}, m-1\n"
    assert again.document["repeated"] is True
    assert (again.document["name"], again.document["key"]) == ("agentflow.mail", run_id)
    assert again.document["payload"]["text"] == "In German, please."
    assert (agentflow("tell", run_id, " ").code, agentflow("tell", "run_x", "hello").code) == (2, 3)

    assert agentflow("cancel", run_id).code == 0
    late = agentflow("tell", run_id, "Hello?")
    assert late.code == 4
    assert "it cannot be told anything" in late.complaint


def test_a_budget_is_shown_and_granted(agentflow: Shell) -> None:
    run_id = waiting_agent(agentflow)
    assert agentflow("budget", run_id).out == "the run: 3,712 tokens left, 1,288 of 5,000 spent\n"
    granted = agentflow("budget", run_id, "grant", "--tokens", "500", "--json").document
    assert (granted["tokens"], granted["cost_usd"], granted["spent"]["calls"]) == (5_500, None, 1)
    assert agentflow("budget", run_id, "--json").document[0]["tokens"] == 5_500

    refusals = {
        ("grant",): "Nothing was granted",
        ("grant", "--cost", "free"): "Nothing was granted",
        ("grant", "--tokens", "0"): "wanted a whole number, 1 or more",
        ("take",): "wanted grant",
        ("--tokens", "5"): "belong to a grant",
    }
    for arguments, said in refusals.items():
        refused = agentflow("budget", run_id, *arguments)
        assert refused.code == 2, arguments
        assert said in refused.complaint
    assert agentflow("budget", run_id, "grant", "--tokens", "5", "--key", "other").code == 3
    assert agentflow("budget", run_id, "--json").document[0]["tokens"] == 5_500


def test_costs_are_summed_by_what_was_asked_for(agentflow: Shell) -> None:
    waiting_agent(agentflow)
    by_model = agentflow("costs", "--by", "model", "--json").document
    assert by_model["total"]["calls"] == 1
    assert by_model["rows"] == [{"model": "scripted:second", **by_model["total"]}]
    assert (by_model["total"]["input_tokens"], by_model["total"]["unpriced_calls"]) == (1_200, 1)
    table = agentflow("costs", "--by", "task", "--since", "7d")
    assert table.out.splitlines()[1] == "refunds\t1\t1,200\t1,000\t88\t?\t1"
    assert table.complaint == "of 1 calls no price is known; their cost is in no sum"
    assert agentflow("costs", "--task", "other").complaint == "nothing was spent on models like that within 30d"
    assert (agentflow("costs", "--by", "colour").code, agentflow("costs", "--since", "soon").code) == (2, 2)


@pytest.mark.parametrize("command", [("costs", "--json")])
def test_costs_of_no_database_are_none(agentflow: Shell, command: tuple[str, ...]) -> None:
    ended = agentflow(*command)
    assert (ended.code, json.loads(ended.out)["rows"]) == (0, [])
    assert not (agentflow.folder / "agentflow.db").exists()
