"""The scripted reviewer: rules in order, and strict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow import gather, task, wait_for_approval
from agentflow.errors import DefinitionError, InvalidDecision
from agentflow.testing import Harness, Reviewer

if TYPE_CHECKING:
    from collections.abc import Callable

    Open = Callable[..., Harness]


@task
async def refund(amount: int) -> str:
    decision = await wait_for_approval({"amount": amount}, title=f"Refund {amount}", key="gate", timeout="1d")
    return f"{decision.outcome} {decision.data and decision.data['amount']} by {decision.decided_by}"


@task
async def nested() -> str:
    return await refund(7)


async def asking(key: str) -> str:
    return (await wait_for_approval(1, key=key)).outcome


@task
async def several() -> list[str]:
    return [*await gather(asking("left"), asking("right")), await asking("left"), await asking("left")]


async def test_the_first_rule_that_fits_decides(agentflow_harness: Open) -> None:
    reviewer = Reviewer(by="mia").reject(title="Refund 9*").correct({"amount": 1}, title="*5").approve(task="refund")
    async with agentflow_harness(refund, reviewer=reviewer) as h:
        assert await h.run(refund, 900) == "rejected None by mia"
        assert await h.run(refund, 5) == "corrected 1 by mia"
        assert await h.run(refund, 3) == "approved 3 by mia"


async def test_a_key_fits_with_and_without_its_place(agentflow_harness: Open, agentflow_reviewer: Reviewer) -> None:
    agentflow_reviewer.approve(key="refund#1/gate#1", times=1).reject(key="gate", times=1)
    async with agentflow_harness(nested, refund, reviewer=agentflow_reviewer) as h:
        assert await h.run(nested) == "approved 7 by reviewer"
        assert await h.run(refund, 1) == "rejected None by reviewer"


async def test_a_rule_may_be_for_so_many_approvals(agentflow_harness: Open, agentflow_reviewer: Reviewer) -> None:
    agentflow_reviewer.approve(key="left", times=2).reject(key="left").approve(key="right", times=1)
    async with agentflow_harness(several, reviewer=agentflow_reviewer) as h:
        assert await h.run(several) == ["approved", "approved", "approved", "rejected"]


async def test_data_is_corrected_as_a_whole_by_fields_or_by_a_function(agentflow_harness: Open) -> None:
    reviewer = (
        Reviewer()
        .correct(data={"amount": 1}, title="Refund 10", times=1)
        .correct({"amount": 2}, title="Refund 20", times=1)
        .correct(lambda proposed: {"amount": proposed["amount"] + 3}, times=1)
    )
    async with agentflow_harness(refund, reviewer=reviewer) as h:
        found = [await h.run(refund, amount) for amount in (10, 20, 30)]
    assert [one.split()[1] for one in found] == ["1", "2", "33"]


async def test_an_approval_no_rule_covers_fails_the_test(agentflow_harness: Open) -> None:
    with pytest.raises(
        AssertionError,
        match=r"no rule covers approval 'Refund 7' \(key gate#1, task refund\); rules:\s+approve\(title='Invoice \*'\)",
    ):
        async with agentflow_harness(refund, reviewer=Reviewer().approve(title="Invoice *")) as h:
            await h.run(refund, 7)
    with pytest.raises(AssertionError, match="rules: none"):
        async with agentflow_harness(refund, reviewer=Reviewer()) as h:
            await h.until_idle()


async def test_an_unused_rule_fails_the_test_at_its_end(agentflow_harness: Open) -> None:
    reviewer = Reviewer().approve(title="Refund *", times=2).reject(key="other")
    with pytest.raises(AssertionError, match=r"1 of 2 times used; reject\(key='other'\)"):
        async with agentflow_harness(refund, reviewer=reviewer) as h:
            await h.run(refund, 7)
    reviewer.begin()
    with pytest.raises(AssertionError, match="0 of 2 times used"):
        reviewer.check()


async def test_the_failure_of_the_test_itself_is_not_covered_up(agentflow_harness: Open) -> None:
    with pytest.raises(ZeroDivisionError):
        async with agentflow_harness(refund, reviewer=Reviewer().approve(key="other")):
            _ = 1 / 0


async def test_an_approval_may_be_left_to_time_out(agentflow_harness: Open) -> None:
    async with agentflow_harness(refund, reviewer=Reviewer().leave(key="gate")) as h:
        run = await h.trigger(refund, 7)
        assert await h.status(run) == "waiting"
        await h.advance("1d")
        assert await h.result(run) == "timed_out None by timeout"


async def test_the_same_approval_is_decided_the_same_way_however_often(agentflow_harness: Open) -> None:
    reviewer = Reviewer().approve(times=1).reject()
    async with agentflow_harness(refund) as h:
        await h.trigger(refund, 7)
        approval = await h.only_approval()
        first = await reviewer.decide(h.client, approval)
        again = await reviewer.decide(h.client, approval)
        assert first is not None
        assert again is not None
        assert (first.id, first.repeated, again.id, again.repeated) == (again.id, False, first.id, True)


async def test_data_that_does_not_fit_is_refused_as_from_anybody(agentflow_harness: Open) -> None:
    with pytest.raises(InvalidDecision):
        async with agentflow_harness(refund, reviewer=Reviewer().correct(data={"amount": "much"})) as h:
            await h.run(refund, 7)


def test_rules_that_say_nothing_or_two_things_are_refused() -> None:
    for options in ({}, {"data": 1}):
        change = None if not options else {"amount": 1}
        with pytest.raises(DefinitionError, match="a change or data="):
            Reviewer().correct(change, **options)  # type: ignore[arg-type]  that is what is refused
    with pytest.raises(DefinitionError, match="times=0"):
        Reviewer().approve(times=0)
