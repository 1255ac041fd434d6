"""Which calls a person is asked about: the rule sees what will run, and a rule that fails lets nothing pass."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from agentflow import task, wait_for_approval
from agentflow.agents import ApprovalPolicy, Tool, tool
from agentflow.agents.tools.approving import Gate
from agentflow.errors import DefinitionError
from tests.agents.tools.conftest import OpenHarness

asked: list[Any] = []


@pytest.fixture(autouse=True)
def _empty() -> None:
    asked.clear()


def refund_with(needs_approval: Any) -> Tool[..., Any]:
    @tool(needs_approval=needs_approval)
    async def refund(order: str, amount: Decimal) -> str:
        """Refund an order."""
        return f"{amount} for {order}"

    return refund


def above_fifty(args: Mapping[str, Any]) -> bool:
    asked.append(dict(args))
    return bool(args["amount"] > 50)


async def above_fifty_soon(args: Mapping[str, Any]) -> bool:
    return above_fifty(args)


def gates(made: Tool[..., Any]) -> Any:
    @task(id="gates")
    async def gates(amount: float) -> str:
        arguments = made.check(json.dumps({"order": "a", "amount": amount}))
        gate = await made.gated(arguments)
        if gate:
            question = made.question(arguments, gate)
            decision = await wait_for_approval(arguments, schema=made.schema, tool=made.name, **question)
            if not decision.approved:
                return f"refused: {decision.comment}"
            arguments = made.check_plain(decision.data)
        return made.answer_text(await made.perform("1", arguments))

    return gates


@pytest.mark.parametrize("rule", [above_fifty, above_fifty_soon], ids=["sync", "async"])
async def test_a_rule_sees_the_values_that_the_tool_will_get_and_is_asked_once(harness: OpenHarness, rule: Any) -> None:
    refund = gates(refund_with(rule))
    async with harness(refund) as h:
        assert await h.run(refund, 50.0) == "50 for a"
        run = await h.trigger(refund, 50.5)
        await h.until_idle()
        question = await h.only_approval(run)
        await h.approve(question)
        assert await h.result(run) == "50.5 for a"
        said = [one.output for one in await h.journal(run) if one.key == "refund.rule#1"]
    assert asked == [{"order": "a", "amount": Decimal("50.0")}, {"order": "a", "amount": Decimal("50.5")}]
    assert '"asks":true' in said[0]


async def test_what_a_person_made_of_the_arguments_is_what_runs(live: OpenHarness) -> None:
    refund = gates(refund_with(True))
    async with live(refund) as h:
        run = await h.trigger(refund, 10.0)
        await h.until_idle()
        question = await h.only_approval(run)
        assert json.loads(question.data) == {"order": "a", "amount": 10.0}
        assert question.title == "refund: order a, amount 10.0"
        await h.correct(question, {"order": "a", "amount": 7})
        assert await h.result(run) == "7 for a"


async def test_a_rule_that_raises_lets_nothing_pass_and_the_person_is_told(harness: OpenHarness) -> None:
    def broken(args: Mapping[str, Any]) -> bool:
        return bool(args["no such"])

    refund = gates(refund_with(broken))
    async with harness(refund) as h:
        run = await h.trigger(refund, 1.0)
        await h.until_idle()
        question = await h.only_approval(run)
        assert question.reason == "the rule that says whether to ask raised KeyError: 'no such'"
        await h.reject(question, comment="no")
        assert await h.result(run) == "refused: no"


async def test_without_needs_approval_nobody_is_asked_and_nothing_recorded(live: OpenHarness) -> None:
    refund = gates(refund_with(None))
    async with live(refund) as h:
        run = await h.trigger(refund, 1000.0)
        assert await h.result(run) == "1000 for a"
        assert [one.key for one in await h.journal(run) if one.operation == "tool"] == ["refund#1"]
        assert not [one for one in await h.journal(run) if (one.key or "").startswith("refund.rule")]


def test_a_question_is_put_as_the_policy_says() -> None:
    policy = ApprovalPolicy(
        title=lambda args: f"Refund {args['amount']}",
        body="**Careful**",
        risk="high",
        timeout="1h",
        allow=("approve", "reject"),
        priority=2,
        standing=False,
    )
    made = refund_with(policy)
    assert made.question({"order": "a", "amount": 5}, Gate(asks=True, because="why")) == {
        "title": "Refund 5",
        "body": "**Careful**",
        "reason": "why",
        "risk": "high",
        "timeout": "1h",
        "on_timeout": "reject",
        "allow": ("approve", "reject"),
        "priority": 2,
        "standing": False,
    }


def test_a_title_that_cannot_be_made_does_not_keep_anyone_from_being_asked() -> None:
    made = refund_with(ApprovalPolicy(title=lambda args: args["no such"]))
    question = made.question({"order": "a", "amount": 5}, Gate(asks=True))
    assert question["title"] == "(its text could not be made: KeyError: 'no such')"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"when": 5}, "wanted a function of the arguments"),
        ({"when": lambda: True}, "is called with one thing"),
        ({"risk": "huge"}, "wanted one of low, medium, high, critical"),
        ({"allow": "approve"}, "wanted some of"),
        ({"allow": ()}, "wanted some of"),
        ({"allow": ("agree",)}, "wanted some of"),
        ({"on_timeout": "approve"}, "not made because nobody looked"),
        ({"timeout": "soon"}, "soon"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises((DefinitionError, ValueError), match=said):
        ApprovalPolicy(**options)
