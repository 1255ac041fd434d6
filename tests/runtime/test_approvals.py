"""A person in the run: asked, answered, timed out, asked anew, and never answered for."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import Approval, ApprovalTimedOut, Evidence, RunFailed, gather, sleep, step, task, wait_for_approval
from agentflow.errors import ApprovalExpired, ApprovalWithdrawn, DefinitionError, UnsupportedAwait
from agentflow.states import EntryKind
from tests.support.tasks import Invoice, Ledger, entries

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness

ledger = Ledger()
PROPOSED = Invoice(number="A-1", total=10)


@pytest.fixture(autouse=True)
def _empty_ledger() -> None:
    ledger.clear()


@step
async def noted(what: str) -> str:
    ledger.add(what)
    return what


@task
async def asking(total: float, timeout: str | None = None, on_timeout: str = "reject") -> list[Any]:
    decision = await wait_for_approval(
        Invoice(number="A-1", total=total),
        title="Invoice A-1",
        timeout=timeout,
        on_timeout=on_timeout,
        default=Invoice(number="A-0") if on_timeout == "default" else None,
        allow_auto_approve=on_timeout == "approve",
    )
    await noted(decision.outcome)
    assert decision.original == Invoice(number="A-1", total=total)
    assert decision.data is None or isinstance(decision.data, Invoice)
    data = None if decision.data is None else [decision.data.number, decision.data.total]
    return [decision.outcome, decision.approved, data, decision.decided_by, decision.comment]


async def test_approving_goes_on_with_what_was_proposed(harness: OpenHarness) -> None:
    async with harness(asking) as h:
        run = await h.trigger(asking, 10)
        await h.approve(await h.only_approval(run), by="ada", comment="fine")
        assert await h.result(run) == ["approved", True, ["A-1", 10.0], "ada", "fine"]
    assert ledger == {"approved": 1}


async def test_correcting_goes_on_with_what_the_person_wrote(harness: OpenHarness) -> None:
    diffs = []

    @task
    async def correcting() -> Invoice:
        decision = await wait_for_approval(PROPOSED)
        diffs.append([(one.pointer, one.old, one.new) for one in decision.diff])
        assert decision.corrected_data == decision.data
        await wait_for_approval("go on?")
        return decision.data

    async with harness(correcting) as h:
        run = await h.trigger(correcting)
        await h.correct(await h.only_approval(run), total=41.5)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == Invoice(number="A-1", total=41.5)
    assert diffs
    assert all(one == [("/total", 10.0, 41.5)] for one in diffs)


async def test_approving_other_data_is_recorded_as_a_correction_and_correcting_nothing_as_an_approval(
    harness: OpenHarness,
) -> None:
    async with harness(asking) as h:
        run = await h.trigger(asking, 10)
        approval = await h.only_approval(run)
        receipt = await h.client.decide(approval.id, "approve", by="ada", data={"number": "A-1", "total": 11})
        assert receipt.outcome == "corrected"
        assert (await h.result(run))[0] == "corrected"
        run = await h.trigger(asking, 10)
        receipt = await h.correct(await h.only_approval(run))
        assert receipt.outcome == "approved"
        assert (await h.result(run))[0] == "approved"


async def test_rejecting_gives_no_data_to_go_on_with(harness: OpenHarness) -> None:
    async with harness(asking) as h:
        run = await h.trigger(asking, 10)
        await h.reject(await h.only_approval(run), by="ada", comment="not ours")
        assert await h.result(run) == ["rejected", False, None, "ada", "not ours"]


@pytest.mark.parametrize(
    ("on_timeout", "approved", "data"),
    [("reject", False, None), ("default", True, ["A-0", 0.0]), ("approve", True, ["A-1", 10.0])],
)
async def test_without_an_answer_the_task_s_own_choice_holds(
    harness: OpenHarness, on_timeout: str, approved: bool, data: Any
) -> None:
    async with harness(asking) as h:
        run = await h.trigger(asking, 10, timeout="1d", on_timeout=on_timeout)
        approval = await h.only_approval(run)
        assert approval.deadline_at == h.clock.now() + timedelta(days=1)
        await h.advance("23h")
        assert await h.status(run) == "waiting"
        await h.advance("1h")
        assert await h.result(run) == ["timed_out", approved, data, "timeout", ""]
        with pytest.raises(ApprovalExpired):
            await h.approve(approval)
    assert ledger == {"timed_out": 1}


async def test_a_timeout_can_be_an_error_that_the_task_catches_live_and_on_replay(harness: OpenHarness) -> None:
    seen = []

    @task
    async def catching() -> str:
        try:
            await wait_for_approval(PROPOSED, timeout="1h", on_timeout="raise")
        except ApprovalTimedOut as error:
            seen.append(isinstance(error, TimeoutError))
        await noted("handled")
        await sleep("1d")
        return "done"

    async with harness(catching) as h:
        run = await h.trigger(catching)
        await h.advance("1h")
        await h.advance("1d")
        assert await h.result(run) == "done"
    assert len(seen) > 1
    assert all(seen)


async def test_a_deadline_that_passed_while_nothing_ran_is_over_at_once(harness: OpenHarness) -> None:
    async with harness(asking) as h:
        run = await h.trigger(asking, 10, timeout="1d")
        approval = await h.only_approval(run)
        clock = h.clock
    clock.advance("2d")
    async with harness(asking, clock=clock) as h:
        assert (await h.result(run))[0] == "timed_out"
        with pytest.raises(ApprovalExpired):
            await h.approve(approval)


async def test_a_decision_made_while_no_worker_runs_is_found_by_the_next(harness: OpenHarness) -> None:
    async with harness(asking) as h:
        run = await h.trigger(asking, 10)
        approval = await h.only_approval(run)
        await h.worker.stop()
        await h.approve(approval, by="ada")
        assert (await h.client.run(run.id)).status == "queued"
        await h.restart()
        assert await h.result(run) == ["approved", True, ["A-1", 10.0], "ada", ""]


async def test_a_crash_while_waiting_keeps_the_approval_and_asks_nobody_twice(harness: OpenHarness) -> None:
    async with harness(asking) as h:
        run = await h.trigger(asking, 10)
        approval = await h.only_approval(run)
        await h.crash()
        await h.restart()
        assert (await h.only_approval(run)).id == approval.id
        await h.approve(approval)
        await h.crash()
        assert (await h.result(run))[0] == "approved"
        assert len(await entries(h, run, EntryKind.WAIT_OPENED)) == 1
    assert ledger == {"approved": 1}


async def test_the_request_carries_what_a_person_needs_to_decide(harness: OpenHarness) -> None:
    @task
    async def telling() -> None:
        await wait_for_approval(
            PROPOSED,
            title="Invoice",
            summary="10 €",
            body="**why**",
            reason="low confidence",
            risk="medium",
            priority=3,
            confidence=0.5,
            field_confidence={"/total": 0.25},
            evidence={"/total": Evidence(document="a.pdf", page=2, quote="10")},
            tags={"team": "finance"},
            allow=("approve", "reject"),
        )

    async with harness(telling) as h:
        await h.trigger(telling)
        found = await h.only_approval()
        assert (found.title, found.summary, found.body, found.reason) == (
            "Invoice", "10 €", "**why**", "low confidence",
        )  # fmt: skip
        assert (found.risk, found.priority, found.confidence) == ("medium", 3, 0.5)
        assert found.field_confidence == '{"/total": 0.25}'
        assert '"document": "a.pdf"' in found.evidence
        assert found.tags == '{"team": "finance"}'
        assert [one.value for one in found.allowed] == ["approve", "reject"]


async def test_the_receipt_and_digest_name_the_decision_and_the_data_it_was_about(harness: OpenHarness) -> None:
    @task
    async def receiving() -> list[str]:
        decision = await wait_for_approval(PROPOSED)
        await noted("went on")
        return [decision.receipt, decision.digest]

    async with harness(receiving) as h:
        run = await h.trigger(receiving)
        receipt = await h.approve(await h.only_approval(run))
        assert await h.result(run) == [receipt.id, receipt.final_digest]
        assert receipt.final_digest


# -- more than one gate


async def test_a_loop_of_gates_asks_at_each_visit(harness: OpenHarness) -> None:
    @task
    async def drafting() -> list[str]:
        text, said = "draft", []
        while not (decision := await wait_for_approval(text, key="draft")).approved:
            said.append(decision.comment)
            text = await noted(f"{text} {decision.comment}")
        return [*said, decision.data]

    async with harness(drafting) as h:
        run = await h.trigger(drafting)
        asked = []
        for comment in ("shorter", "kinder"):
            approval = await h.only_approval(run)
            asked.append((approval.key, approval.data))
            await h.reject(approval, comment=comment)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == ["shorter", "kinder", "draft shorter kinder"]
        assert asked == [("draft#1", '"draft"'), ("draft#2", '"draft shorter"')]


async def test_a_gate_in_an_awaited_function_belongs_to_its_scope(harness: OpenHarness) -> None:
    async def confirm(what: str) -> bool:
        await noted(what)
        return (await wait_for_approval(what, key="confirm")).approved

    @task
    async def confirming() -> list[bool]:
        return [await confirm("one"), *await gather(confirm("two"), confirm("three"))]

    async with harness(confirming) as h:
        run = await h.trigger(confirming)
        first = await h.only_approval(run)
        assert first.key == "confirm#1/confirm#1"
        await h.approve(first)
        second, third = sorted(await h.approvals(run), key=lambda one: one.key)
        await h.reject(third)
        await h.approve(second)
        assert await h.result(run) == [True, True, False]
    assert ledger == {"one": 1, "two": 1, "three": 1}


# -- data that changes


async def test_a_gate_whose_data_changed_is_withdrawn_and_asked_anew(harness: OpenHarness) -> None:
    def version(total: float) -> Any:
        @task(id="changing")
        async def changing() -> float:
            return (await wait_for_approval(Invoice(number="A-1", total=total))).data.total

        return changing

    async with harness(version(10)) as h:
        run = await h.client.trigger_json("changing", {})
        first = await h.only_approval(run)
        await h.approve(first, by="ada")
        await h.worker.stop()
    async with harness(version(99), clock=h.clock) as h:
        second = await h.only_approval(run)
        assert second.id != first.id
        assert '"total":99' in second.data.replace(" ", "")
        assert (await h.client.approval(first.id)).status == "superseded"
        with pytest.raises(ApprovalWithdrawn):
            await h.approve(first)
        await h.approve(second)
        assert await h.result(run) == 99


async def test_a_gate_whose_data_changes_every_time_stops_the_run_instead_of_asking_for_ever(
    harness: OpenHarness,
) -> None:
    turns = []

    @task
    async def restless() -> str:
        turns.append(1)
        return (await wait_for_approval({"turn": len(turns)})).outcome

    async with harness(restless) as h:
        run = await h.trigger(restless)
        for _ in range(10):
            if (await h.status(run)) == "needs_attention":
                break
            await h.approve(await h.only_approval(run))
        assert "record what it is made of in a step" in await h.why(run)
        assert len(await entries(h, run, EntryKind.WAIT_OPENED)) == 4


# -- refusals


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"allow": ()}, "wanted some of approve, correct, reject"),
        ({"allow": "approve"}, "wanted some of approve, correct, reject"),
        ({"on_timeout": "guess"}, "wanted one of reject, raise, default, approve"),
        ({"risk": "huge"}, "wanted one of low, medium, high, critical"),
        ({"priority": 2**31}, "wanted a whole number, at most 100,000,000"),
        ({"priority": True}, "wanted a whole number"),
        ({"on_timeout": "approve"}, "needs allow_auto_approve=True"),
        ({"on_timeout": "approve", "allow_auto_approve": True, "risk": "high"}, "a risk below high"),
        ({"on_timeout": "default"}, "needs default="),
        ({"on_timeout": "default", "default": {"number": 7}}, "default=…"),
        ({"confidence": 1.5}, "wanted a share from 0 to 1"),
        ({"timeout": "soon"}, "'soon' is no span of time"),
    ],
)
async def test_arguments_that_cannot_be_used_fail_the_run_and_ask_nobody(
    harness: OpenHarness, arguments: dict[str, Any], said: str
) -> None:
    @task
    async def wrong() -> None:
        await wait_for_approval(PROPOSED, **arguments)

    async with harness(wrong) as h:
        run = await h.trigger(wrong)
        with pytest.raises(RunFailed) as caught:
            await h.result(run)
        assert said in str(caught.value)
        assert await h.approvals() == []
    assert isinstance(caught.value.__cause__, DefinitionError | ValueError)


async def test_outside_a_run_there_is_nothing_that_could_wait() -> None:
    with pytest.raises(UnsupportedAwait, match="trigger the task"):
        await wait_for_approval(PROPOSED)


async def test_a_decision_is_acted_on_at_once_in_one_process(live: OpenHarness) -> None:
    async with live(asking) as h:
        run = await h.trigger(asking, 1)
        approval = await h.only_approval(run)
        result = asyncio.create_task(h.client.result(run.id, timeout=60))
        await h.approve(approval)
        assert (await result).status == "completed"


async def confirm(total: float) -> Approval[Invoice]:
    return await wait_for_approval(Invoice(number="A-1", total=total))


async def test_a_function_of_one_s_own_can_ask_and_hand_on_the_answer(harness: OpenHarness) -> None:
    seen = []

    @task
    async def confirming() -> Invoice:
        decision = await confirm(10)
        seen.append(decision)
        await sleep("1d")
        return decision.data

    async with harness(confirming) as h:
        run = await h.trigger(confirming)
        await h.correct(await h.only_approval(run), total=41.5)
        await h.advance("1d")
        assert await h.result(run) == Invoice(number="A-1", total=41.5)
    assert len(seen) > 1
    assert all(one == seen[0] for one in seen)
    assert (seen[0].outcome, seen[0].original, seen[0].diff[0].pointer) == ("corrected", PROPOSED, "/total")
