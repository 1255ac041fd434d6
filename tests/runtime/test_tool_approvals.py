"""Gates on tool calls: bound to the tool and its very arguments, decided by a person or ahead, used once."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import RunFailed, gather, step, task, wait_for, wait_for_approval
from agentflow.approvals import approval_digest, require_decided, value_digest
from agentflow.approvals.calls import LONGEST_SAID
from agentflow.approvals.terms import Term, TermKind
from agentflow.errors import DefinitionError, InvalidDecision, NotAsDecided, UnsupportedAwait
from agentflow.runtime.dry.replaying import Fits, dry_replay
from agentflow.states import EntryKind
from tests.support.tasks import Ledger

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness

SCHEMA = {
    "type": "object",
    "properties": {"order": {"type": "string", "maxLength": 20}, "amount": {"type": "number", "minimum": 0}},
    "required": ["order", "amount"],
    "additionalProperties": False,
}
SMALL = [Term("order", TermKind.ANY), Term("amount", TermKind.AT_MOST, 50)]
ledger = Ledger()
asked_with: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def _as_usual() -> None:
    ledger.clear()
    asked_with.clear()


@step
async def refund(order: str, amount: Any) -> str:
    ledger.add(f"{order} {amount}")
    return f"{order}: {amount}"


async def gated(order: str, amount: Any) -> str:
    given = {"tool": "refund", "said": "the customer is right"} | asked_with
    proposed = {"order": order, "amount": amount}
    decision = await wait_for_approval(proposed, schema=SCHEMA, key="refund.approval", **given)
    if not decision.approved:
        return f"denied: {decision.comment}"
    require_decided(decision.data, decision.digest, what="refund")
    return await refund(**decision.data)


@task(id="refunds")
async def refunds(order: str, amount: Any) -> str:
    return await gated(order, amount)


@task(id="plain")
async def plain(amount: int) -> bool:
    decision = await wait_for_approval({"order": "A-1", "amount": amount}, schema=SCHEMA, key="gate", tool="refund")
    return decision.approved


@task(id="several")
async def several() -> list[str]:
    return list(await gather(gated("A-1", 10), gated("A-2", 500), gated("A-3", 900)))


async def test_a_person_sees_the_call_and_decides_about_its_very_arguments(harness: OpenHarness) -> None:
    async with harness(refunds) as h:
        run = await h.trigger(refunds, "A-1", 120)
        asked = await h.only_approval(run)
        assert (asked.tool, asked.said, asked.title) == (
            "refund", "the customer is right", "refund: order A-1, amount 120",
        )  # fmt: skip
        assert json.loads(asked.data) == {"order": "A-1", "amount": 120}
        assert json.loads(asked.schema) == SCHEMA
        await h.correct(asked, amount=99.5)
        assert await h.result(run) == "A-1: 99.5"
        assert (await h.client.approval(asked.id)).final_digest == value_digest({"amount": 99.5, "order": "A-1"})
    assert ledger == {"A-1 99.5": 1}


async def test_a_correction_is_held_against_the_tools_schema(harness: OpenHarness) -> None:
    async with harness(refunds) as h:
        run = await h.trigger(refunds, "A-1", 120)
        asked = await h.only_approval(run)
        for wrong in ({"order": "A-1", "amount": -1}, {"order": "A-1", "amount": 1, "to": "me"}, {"order": "A-1"}):
            with pytest.raises(InvalidDecision):
                await h.correct(asked, wrong)
        await h.reject(asked, comment="no")
        assert await h.result(run) == "denied: no"
    assert ledger == {}


async def test_calls_in_parallel_are_decided_one_by_one(harness: OpenHarness) -> None:
    async with harness(several) as h:
        run = await h.trigger(several)
        first, second, third = sorted(await h.approvals(run), key=lambda one: one.title)
        await h.reject(second, comment="too much")
        await h.approve(third)
        assert await h.status(run) == "waiting"
        await h.approve(first)
        assert await h.result(run) == ["A-1: 10", "denied: too much", "A-3: 900"]
    assert ledger == {"A-1 10": 1, "A-3 900": 1}


def test_another_tool_never_inherits_an_approval() -> None:
    of = {"task": "t", "key": "k", "value": {"n": 1}, "schema": {}}
    assert approval_digest(**of, tool="refund") != approval_digest(**of, tool="pay")
    assert approval_digest(**of, tool="") == approval_digest(**of)


async def test_a_gate_whose_tool_changed_asks_anew(live: OpenHarness) -> None:
    async with live(refunds) as h:
        run = await h.trigger(refunds, "A-1", 120)
        before = await h.only_approval(run)
        asked_with["tool"] = "pay"
        await h.restart()
        await h.client.pause(run.id, by="ada")
        await h.client.resume(run.id, by="ada")
        await h.until_idle()
        after = await h.only_approval(run)
        assert (after.id == before.id, after.tool) == (False, "pay")
        assert (await h.client.approval(before.id)).status == "superseded"


def test_what_is_about_to_run_is_held_against_what_was_decided() -> None:
    decided = value_digest({"amount": 20, "order": "A-1"})
    require_decided({"order": "A-1", "amount": 20}, decided, what="refund")
    for other in ({"order": "A-1", "amount": 20.5}, {"order": "A-2", "amount": 20}, {"order": "A-1"}, None):
        with pytest.raises(NotAsDecided, match="refund was not run"):
            require_decided(other, decided, what="refund")


async def test_a_journal_that_was_changed_after_the_decision_runs_nothing(live: OpenHarness, on_sqlite: str) -> None:
    """Whoever can write to the database cannot make a decision hold for other arguments without its digest."""
    async with live(refunds) as h:
        run = await h.trigger(refunds, "A-1", 120)
        asked = await h.only_approval(run)
        await h.client.pause(run.id, by="ada")
        await h.approve(asked)
        with sqlite3.connect(on_sqlite.removeprefix("sqlite:///")) as outside:
            moved = outside.execute(
                "UPDATE agentflow_journal SET output = replace(output, '120', '999') WHERE kind = 'wait_resolved'"
            )
            assert moved.rowcount == 1
        await h.client.resume(run.id, by="ada")
        with pytest.raises(RunFailed, match=r"what approval apr_\w+ is about was not run"):
            await h.result(run)
    assert ledger == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"schema": {"type": "nonsense"}}, "is no JSON Schema"),
        ({"schema": {"type": "string"}}, "the data does not fit it"),
        ({"schema": {"properties": {"n": {"maximum": 0}}}}, "/n must be"),
        ({"schema": {"$ref": "https://example.com/schema.json"}}, "cannot be checked"),
    ],
)
async def test_a_schema_that_is_none_or_does_not_fit_is_refused(
    live: OpenHarness, given: dict[str, Any], said: str
) -> None:
    @task
    async def wrong() -> None:
        await wait_for_approval({"n": 1}, tool="count", **given)

    async with live(wrong) as h:
        run = await h.trigger(wrong)
        with pytest.raises(RunFailed, match=said) as raised:
            await h.result(run)
        assert DefinitionError.__name__ in str(raised.value)
        assert await h.approvals(run) == []


async def test_an_agents_words_are_cut_and_kept_whatever_is_in_them(harness: OpenHarness) -> None:
    asked_with["said"] = "\0 \ud800 " + "long " * 2_000
    async with harness(refunds) as h:
        asked = await h.only_approval(await h.trigger(refunds, "A-1", 120))
        assert asked.said.startswith("\ufffd ? long")
        assert len(asked.said) == LONGEST_SAID
        assert asked.said.endswith("…")


# -- decided ahead


async def test_a_standing_approval_spares_a_person_the_question_and_leaves_its_trace(harness: OpenHarness) -> None:
    async with harness(refunds) as h:
        made = await h.client.add_standing("refunds", "refund", SMALL, by="mia", reason="small", hold_for="1h")
        run = await h.trigger(refunds, "A-1", 20)
        assert await h.result(run) == "A-1: 20"
        (decided,) = (await h.client.approvals(pending=None, run_id=run.id)).items
        assert (decided.status, decided.decided_by, decided.standing_id) == (
            "approved", f"standing:{made.id}", made.id,
        )  # fmt: skip
        assert (await h.client.standing(made.id)).uses == 1

        larger = await h.trigger(refunds, "A-1", 50.5)
        assert (await h.only_approval(larger)).standing_id is None
        assert (await h.client.standing(made.id)).uses == 1
    assert ledger == {"A-1 20": 1}


async def test_it_is_decided_in_the_turn_that_asks(live: OpenHarness) -> None:
    async with live(refunds) as h:
        await h.client.add_standing("refunds", "refund", SMALL, by="mia", reason="small", hold_for="1h")
        run = await h.trigger(refunds, "A-1", 20)
        await h.result(run)
        journal = await h.journal(run)
        assert EntryKind.PARKED not in {one.kind for one in journal}
        assert {one.epoch for one in journal} <= {0, 1}
        assert sum(one.key == "gated#1/refund.approval#1" for one in journal) == 2


async def test_of_parallel_calls_it_answers_those_it_covers(harness: OpenHarness) -> None:
    async with harness(several) as h:
        await h.client.add_standing("several", "refund", SMALL, by="mia", reason="small", hold_for="1h")
        run = await h.trigger(several)
        waiting = await h.approvals(run)
        assert sorted(one.title for one in waiting) == [
            "refund: order A-2, amount 500",
            "refund: order A-3, amount 900",
        ]
        for one in waiting:
            await h.approve(one)
        assert await h.result(run) == ["A-1: 10", "A-2: 500", "A-3: 900"]


@pytest.mark.parametrize(
    "given", [{"standing": False}, {"risk": "critical"}, {"tool": ""}, {"allow": ["correct", "reject"]}], ids=str
)
async def test_where_a_person_is_to_be_asked_each_time_none_is_used(
    harness: OpenHarness, given: dict[str, Any]
) -> None:
    asked_with.update(given)
    async with harness(refunds) as h:
        made = await h.client.add_standing("refunds", "refund", SMALL, by="mia", reason="small", hold_for="1h")
        run = await h.trigger(refunds, "A-1", 20)
        await h.only_approval(run)
        assert (await h.client.standing(made.id)).uses == 0


async def test_one_used_up_since_it_was_read_leaves_the_question_to_a_person(live: OpenHarness) -> None:
    """Three calls in parallel read that it holds; the first of them takes its only use."""

    @task(id="three")
    async def three() -> list[str]:
        return list(await gather(gated("A-1", 1), gated("A-2", 2), gated("A-3", 3)))

    async with live(three) as h:
        await h.client.add_standing("three", "refund", SMALL, by="mia", reason="one", hold_for="1h", most_uses=1)
        run = await h.trigger(three)
        waiting = await h.approvals(run)
        assert len(waiting) == 2
        for one in waiting:
            await h.approve(one)
        assert await h.result(run) == ["A-1: 1", "A-2: 2", "A-3: 3"]
    assert ledger == {"A-1 1": 1, "A-2 2": 1, "A-3 3": 1}


async def test_inside_a_wait_for_nothing_is_opened(live: OpenHarness) -> None:
    @task(id="hurried")
    async def hurried() -> str:
        return await wait_for(gated("A-1", 1), 5)

    async with live(hurried) as h:
        made = await h.client.add_standing("hurried", "refund", SMALL, by="mia", reason="one", hold_for="1h")
        run = await h.trigger(hurried)
        with pytest.raises(RunFailed, match=UnsupportedAwait.__name__):
            await h.result(run)
        assert (await h.client.standing(made.id)).uses == 0


async def test_a_fork_from_before_the_gate_is_a_use_of_its_own(live: OpenHarness) -> None:
    async with live(refunds) as h:
        made = await h.client.add_standing(
            "refunds", "refund", SMALL, by="mia", reason="one", hold_for="1h", most_uses=1
        )
        run = await h.trigger(refunds, "A-1", 20)
        assert await h.result(run) == "A-1: 20"
        fork = await h.client.fork(run.id, by="ada", from_="gated#1/refund.approval#1")
        assert (await h.only_approval(fork)).standing_id is None
        assert (await h.client.standing(made.id)).uses == 1


async def test_a_rehearsal_uses_none(live: OpenHarness) -> None:
    async with live(plain) as h:
        run = await h.trigger(plain, 20)
        await h.only_approval(run)
        made = await h.client.add_standing("plain", "refund", SMALL, by="mia", reason="one", hold_for="1h")
        journal = await h.journal(run)
        before = [one for one in journal if one.key is None]
        for known in (before, journal):
            assert await dry_replay(await h.client.run(run.id), known, plain) == Fits(("gate#1",))
        assert (await h.client.standing(made.id)).uses == 0
