"""Budgets of runs: what is told of them, and what becomes of an agent that has spent one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from agentflow import task
from agentflow.agents import Agent, RunBudget, as_tool, tool
from agentflow.errors import BudgetReached, DefinitionError, RunFailed
from agentflow.testing import Reviewer, ScriptedModel
from agentflow.usage import Usage
from tests.support.harnesses import OpenHarness


@tool(effect="read")
def look(order: str = "A1") -> str:
    """Look up an order.

    Args:
        order: The order's number.
    """
    return f"{order} is on its way"


def used(tokens: int, cost: str | None = None) -> Usage:
    return Usage(model="-", input_tokens=tokens, cost=None if cost is None else Decimal(cost))


async def test_the_model_is_told_when_a_budget_nears_its_end(harness: OpenHarness) -> None:
    model = (
        ScriptedModel()
        .calls("look", {}, usage=used(70))
        .calls("look", {"order": "A2"}, usage=used(20), last="A1 is")
        .says("done", last="90 tokens of 100 tokens are spent")
    )
    agent = Agent("helper", model=model, tools=[look], budget=RunBudget(tokens=100))
    async with harness(agent) as h:
        assert await h.run(agent, "?") == "done"


@pytest.mark.parametrize(
    ("budget", "usage", "limit"),
    [
        (RunBudget(tokens=100, on_reached="fail"), used(100), "tokens"),
        (RunBudget(cost="0.10", on_reached="fail"), used(1, "0.10"), "cost"),
    ],
)
async def test_a_spent_budget_fails_the_run_where_it_is_to(
    harness: OpenHarness, budget: RunBudget, usage: Usage, limit: str
) -> None:
    model = ScriptedModel().calls("look", {}, usage=usage)
    agent = Agent("helper", model=model, tools=[look], budget=budget)

    @task
    async def limited() -> str:
        try:
            return await agent("?")
        except BudgetReached as reached:
            return reached.limit

    async with harness(limited) as h:
        assert await h.run(limited) == limit
    model.check()


async def test_a_person_grants_more_and_the_agent_goes_on(harness: OpenHarness) -> None:
    model = (
        ScriptedModel()
        .calls("look", {}, usage=used(1, "0.60"))
        .calls("look", {"order": "A2"}, usage=used(1, "0.50"))
        .says("done", usage=used(1, "0.30"))
    )
    agent = Agent("helper", model=model, tools=[look], budget=RunBudget(cost="1.00"))
    async with harness(agent) as h:
        run = await h.trigger(agent, "?")
        await h.until_idle()
        asked = await h.only_approval(run)
        assert asked.title == "helper has reached its limit of cost"
        assert "$1.1 of $1 are spent" in asked.summary
        await h.correct(asked, {"choice": "grant", "amount": "0.25"})
        assert await h.result(run) == "done"
        [budget] = await h.store.budgets(run.id)
        assert (budget.cost, budget.spent.cost) == (Decimal("1.25"), Decimal("1.40"))
        assert budget.spent.calls == 3


async def test_a_person_has_the_agent_finish_with_what_it_has(harness: OpenHarness) -> None:
    model = (
        ScriptedModel()
        .calls("look", {}, usage=used(100))
        .says("as far as I know it is on its way", last="Answer now", offers=())
    )
    agent = Agent("helper", model=model, tools=[look], budget=RunBudget(tokens=100))
    async with harness(agent) as h:
        run = await h.trigger(agent, "?")
        await h.until_idle()
        await h.correct(await h.only_approval(run), {"choice": "finish", "amount": "1"})
        assert await h.result(run) == "as far as I know it is on its way"


async def test_a_person_stops_it(harness: OpenHarness) -> None:
    model = ScriptedModel().calls("look", {}, usage=used(100))
    agent = Agent("helper", model=model, tools=[look], budget=RunBudget(tokens=100))
    async with harness(agent) as h:
        run = await h.trigger(agent, "?")
        await h.until_idle()
        await h.reject(await h.only_approval(run))
        with pytest.raises(RunFailed, match="BudgetReached"):
            await h.result(run)


async def test_turns_are_limited_without_any_budget_and_a_person_is_asked(harness: OpenHarness) -> None:
    model = ScriptedModel()
    for order in range(4):
        model.calls("look", {"order": f"A{order}"})
    model.says("done")
    agent = Agent("helper", model=model, tools=[look], max_turns=3)
    async with harness(agent, reviewer=Reviewer().correct({"amount": "2"}, title="helper has reached*")) as h:
        run = await h.trigger(agent, "?")
        await h.until_idle()
        assert await h.result(run) == "done"
    model.check()


async def test_time_counts_only_what_models_and_tools_take(live: OpenHarness) -> None:
    model = ScriptedModel().calls("look", {}).says("done")
    agent = Agent("helper", model=model, tools=[look], budget=RunBudget(time="1h", on_reached="fail"))
    async with live(agent) as h:
        assert await h.run(agent, "?") == "done"
    short = Agent(
        "short", model=ScriptedModel().calls("look", {}), tools=[look], budget=RunBudget(time=1e-6, on_reached="fail")
    )
    async with live(short) as h:
        with pytest.raises(RunFailed, match="have worked for"):
            await h.run(short, "?")


async def test_the_same_call_with_the_same_answer_is_told_and_then_stopped(harness: OpenHarness) -> None:
    model = ScriptedModel()
    for turn in range(6):
        model.calls("look", {}, last="do something else" if turn == 3 else "")
    agent = Agent("helper", model=model, tools=[look], budget=RunBudget(tokens=10_000, on_reached="fail"))
    async with harness(agent) as h:
        with pytest.raises(RunFailed, match="the same answer 6 times"):
            await h.run(agent, "?")
    model.check()


async def test_what_an_agent_below_spends_counts_in_the_same_run(harness: OpenHarness) -> None:
    inner = Agent("inner", model=ScriptedModel("x:in").says("42", usage=used(95)), description="Knows it.")
    outer_model = ScriptedModel("x:out").calls("inner", {"prompt": "?"}, usage=used(5))
    outer = Agent("outer", model=outer_model, tools=[inner], budget=RunBudget(tokens=100, on_reached="fail"))
    async with harness(outer) as h:
        with pytest.raises(RunFailed, match="100 tokens of 100 tokens are spent"):
            await h.run(outer, "?")


async def test_what_a_child_run_spends_counts_for_the_run_above(harness: OpenHarness) -> None:
    inner = Agent("inner", model=ScriptedModel("x:in").says("42", usage=used(95)), description="Knows it.")
    outer_model = ScriptedModel("x:out").calls("inner", {"prompt": "?"}, usage=used(5))
    outer = Agent(
        "outer", model=outer_model, tools=[as_tool(inner, run=True)], budget=RunBudget(tokens=100, on_reached="fail")
    )
    async with harness(outer, inner) as h:
        with pytest.raises(RunFailed, match="100 tokens of 100 tokens are spent"):
            await h.run(outer, "?")


async def test_a_child_run_stops_at_the_budget_of_the_run_above(harness: OpenHarness) -> None:
    inner_model = ScriptedModel("x:in").calls("look", {}, usage=used(95))
    inner = Agent(
        "inner",
        model=inner_model,
        tools=[look],
        budget=RunBudget(tokens=10_000, on_reached="fail"),
        description="Knows it.",
    )
    outer_model = ScriptedModel("x:out").calls("inner", {"prompt": "?"}, usage=used(5))
    outer = Agent(
        "outer", model=outer_model, tools=[as_tool(inner, run=True)], budget=RunBudget(tokens=100, on_reached="fail")
    )
    async with harness(outer, inner) as h:
        run = await h.trigger(outer, "?")
        await h.until_idle()
        spent = await h.store.spent(run.id)
        assert spent.tokens == 100
    inner_model.check()


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"tokens": -1},
        {"tokens": 1.5},
        {"tokens": True},
        {"cost": "-1"},
        {"cost": "two"},
        {"cost": "NaN"},
        {"time": "0s"},
        {"time": "soon"},
        {"tokens": 1, "warn_at": 0},
        {"tokens": 1, "on_reached": "explode"},
    ],
)
def test_a_budget_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="RunBudget"):
        RunBudget(**wrong)
