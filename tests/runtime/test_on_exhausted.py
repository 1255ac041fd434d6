"""A run whose attempts are spent asks a person: try again, give the result, or fail."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, field_validator

from agentflow import Fatal, Rejected, Retry, RunFailed, gather, sleep, step, task, wait_for_approval
from agentflow.errors import InvalidDecision
from agentflow.runtime.dry.replaying import Fits, dry_replay
from agentflow.tasks.task import Task
from tests.support.tasks import Flaky, Invoice, Ledger

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness


class Odd:
    """Of no type that people could fill in."""


class Even(BaseModel):
    """A result that its schema does not say everything about."""

    n: int

    @field_validator("n")
    @classmethod
    def _even(cls, n: int) -> int:
        if n % 2:
            raise ValueError("odd")
        return n


def failing(ledger: Ledger, times: int, **options: Any) -> Task[[], Invoice]:
    """A task whose step fails so often."""

    @step
    async def before() -> str:
        ledger.add("before")
        return "before"

    @step
    async def flaky() -> str:
        if ledger.add("flaky") <= times:
            raise Flaky(f"try {ledger['flaky']}")
        return "47"

    @task(id="billing", on_exhausted="ask", **options)
    async def billing() -> Invoice:
        await before()
        number = await flaky()
        await sleep("1d")
        return Invoice(number=number)

    return billing


async def test_a_run_that_would_fail_for_good_asks_in_the_inbox(harness: OpenHarness, ledger: Ledger) -> None:
    billing = failing(ledger, 9, retry=Retry(max_attempts=2, min_delay=0))

    async with harness(billing) as h:
        run = await h.trigger(billing)
        asked = await h.only_approval(run)
        assert (asked.key, asked.title, asked.reason) == (
            "exhausted#1", "billing failed after 2 attempts", "attempts_exhausted",
        )  # fmt: skip
        assert asked.summary == "Flaky: try 2"
        assert "Operation `flaky#1` failed:" in asked.body
        assert "raise Flaky" in asked.body
        assert json.loads(asked.data) == {"choice": "retry", "value": None}
        assert json.loads(asked.tags) == {"kind": "exhausted"}
        assert await h.status(run) == "waiting"
        assert f"waiting for under a second for a person to decide approval {asked.id} (exhausted#1)" in await h.why(
            run
        )


async def test_retry_goes_on_from_the_operation_that_failed(harness: OpenHarness, ledger: Ledger) -> None:
    billing = failing(ledger, 3, retry=Retry(max_attempts=2, min_delay=0))

    async with harness(billing) as h:
        run = await h.trigger(billing)
        await h.advance("3d")
        await h.crash()
        await h.approve(await h.only_approval(run))
        again = await h.only_approval(run)
        assert (again.key, again.title) == ("exhausted#2", "billing failed after 3 attempts")
        await h.restart()
        await h.approve(again)
        await h.advance("1d")
        assert await h.result(run) == Invoice(number="47")
        assert (await h.client.run(run.id)).attempt == 4
        assert await h.approvals(run) == []
    assert ledger == {"before": 1, "flaky": 4}


async def test_a_value_completes_the_run_and_is_of_the_tasks_type(harness: OpenHarness, ledger: Ledger) -> None:
    billing = failing(ledger, 9)

    @task
    async def outer() -> str:
        return (await billing.trigger_and_wait()).number

    async with harness(billing, outer) as h:
        run = await h.trigger(outer)
        asked = await h.only_approval()
        assert asked.title == "billing failed after 1 attempt"
        for wrong in (
            {"choice": "value"},
            {"choice": "value", "value": None},
            {"choice": "value", "value": {"number": 5, "total": 1.0}},
            {"choice": "else"},
            {},
        ):
            with pytest.raises(InvalidDecision):
                await h.correct(asked, wrong)
        with pytest.raises(InvalidDecision, match="to choose value, give a value that is not null"):
            await h.correct(asked, {"choice": "value", "value": None})
        await h.correct(asked, {"choice": "value", "value": {"number": "by hand", "total": 12.5}})
        assert await h.result(run) == "by hand"
        assert await h.result(asked.run_id) == Invoice(number="by hand", total=12.5)
    assert ledger == {"before": 1, "flaky": 1}


@pytest.mark.parametrize("how", ["reject", "fail"])
async def test_who_says_no_fails_the_run_with_its_own_error(harness: OpenHarness, ledger: Ledger, how: str) -> None:
    billing = failing(ledger, 9)

    async with harness(billing) as h:
        run = await h.trigger(billing)
        asked = await h.only_approval(run)
        if how == "reject":
            await h.reject(asked)
        else:
            await h.correct(asked, {"choice": "fail", "value": None})
        with pytest.raises(RunFailed, match="Flaky: try 1"):
            await h.result(run)
    assert ledger["flaky"] == 1


async def test_an_operator_may_have_a_run_tried_again_that_was_failed(harness: OpenHarness, ledger: Ledger) -> None:
    billing = failing(ledger, 2)

    async with harness(billing) as h:
        run = await h.trigger(billing)
        await h.reject(await h.only_approval(run))
        assert await h.status(run) == "failed"
        await h.client.retry(run.id, by="operator")
        again = await h.only_approval(run)
        assert (again.key, again.summary) == ("exhausted#2", "Flaky: try 2")
        await h.approve(again)
        await h.advance("1d")
        assert await h.result(run) == Invoice(number="47")
    assert ledger == {"before": 1, "flaky": 3}


async def test_what_was_done_is_undone_only_once_a_person_lets_the_run_fail(
    harness: OpenHarness, ledger: Ledger
) -> None:
    @step(undo=lambda: ledger.add("released"))
    async def reserve() -> int:
        return ledger.add("reserved")

    @step
    async def flaky() -> None:
        ledger.add("flaky")
        raise Flaky

    @task(on_exhausted="ask")
    async def booking() -> None:
        await reserve()
        await flaky()

    async with harness(booking) as h:
        run = await h.trigger(booking)
        await h.approve(await h.only_approval(run))
        again = await h.only_approval(run)
        assert ledger == {"reserved": 1, "flaky": 2}
        await h.reject(again)
        assert await h.status(run) == "failed"
    assert ledger == {"reserved": 1, "flaky": 2, "released": 1}


@pytest.mark.parametrize("error", [Fatal("meant so"), Rejected("a person said no")])
async def test_what_is_meant_to_fail_fails_at_once(harness: OpenHarness, error: Exception) -> None:
    @step
    async def refusing() -> None:
        raise error

    @task(on_exhausted="ask")
    async def trying() -> None:
        await refusing()

    async with harness(trying) as h:
        run = await h.trigger(trying)
        assert await h.status(run) == "failed"
        assert await h.approvals() == []


async def test_without_it_a_run_just_fails(harness: OpenHarness) -> None:
    @task
    async def trying() -> None:
        raise Flaky

    async with harness(trying) as h:
        run = await h.trigger(trying)
        assert await h.status(run) == "failed"


async def test_an_error_of_the_tasks_own_code_can_be_asked_about_and_tried_again(
    harness: OpenHarness, ledger: Ledger
) -> None:
    @step
    async def one(n: int) -> int:
        return ledger.add(f"step {n}")

    @task(on_exhausted="ask")
    async def trying() -> int:
        found = await one(1)
        if ledger.add("body") < 30 and not ledger["fixed"]:
            raise KeyError("missing")
        return found + await one(2)

    async with harness(trying) as h:
        run = await h.trigger(trying)
        asked = await h.only_approval(run)
        assert "The task's own code failed:" in asked.body
        ledger.add("fixed")
        await h.approve(asked)
        assert await h.result(run) == 2
    assert (ledger["step 1"], ledger["step 2"]) == (1, 1)


async def test_what_fits_the_schema_but_not_the_type_is_asked_for_again(harness: OpenHarness) -> None:
    @task(on_exhausted="ask")
    async def trying() -> Even:
        raise Flaky

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await h.correct(await h.only_approval(run), {"choice": "value", "value": {"n": 3}})
        again = await h.only_approval(run)
        assert again.key == "exhausted#2"
        assert "The result given before was refused:" in again.body
        assert "odd" in again.body
        await h.correct(again, {"choice": "value", "value": {"n": 4}})
        assert await h.result(run) == Even(n=4)


async def test_a_task_without_a_result_can_be_called_done(harness: OpenHarness) -> None:
    @task(on_exhausted="ask")
    async def trying() -> None:
        raise Flaky

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await h.correct(await h.only_approval(run), {"choice": "value"})
        assert await h.result(run) is None


async def test_a_result_that_no_schema_describes_cannot_be_given(harness: OpenHarness) -> None:
    @task(on_exhausted="ask")
    async def trying() -> Odd:
        raise Flaky

    async with harness(trying) as h:
        run = await h.trigger(trying)
        asked = await h.only_approval(run)
        with pytest.raises(InvalidDecision):
            await h.correct(asked, {"choice": "value", "value": 1})
        await h.reject(asked)
        assert await h.status(run) == "failed"


async def test_the_tasks_own_names_are_not_disturbed(harness: OpenHarness, ledger: Ledger) -> None:
    @step
    async def exhausted() -> int:
        return ledger.add("exhausted")

    @step
    async def flaky() -> int:
        if ledger.add("flaky") < 3:
            raise Flaky
        return 0

    @task(on_exhausted="ask")
    async def trying() -> list[int]:
        first = await exhausted()
        await flaky()
        return [first, await exhausted(), (await wait_for_approval(7, key="exhausted")).data]

    async with harness(trying) as h:
        run = await h.trigger(trying)
        for key in ("exhausted#2", "exhausted#3"):
            asked = await h.only_approval(run)
            assert asked.key == key
            await h.approve(asked)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == [1, 2, 7]


async def test_a_failure_among_branches_is_asked_about_once_and_tried_again(
    harness: OpenHarness, ledger: Ledger
) -> None:
    @step
    async def flaky(name: str) -> str:
        if ledger.add(name) < 2 and name == "bad":
            raise Flaky
        return name

    async def asked() -> str:
        return (await wait_for_approval("gate")).outcome

    @task(on_exhausted="ask")
    async def trying() -> list[Any]:
        return list(await gather(flaky("good"), flaky("bad"), asked()))

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await h.approve(await h.only_approval(run))
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == ["good", "bad", "approved"]
    assert ledger == {"good": 1, "bad": 2}


async def test_a_run_that_asks_can_be_cancelled_and_dry_replayed(live: OpenHarness, ledger: Ledger) -> None:
    billing = failing(ledger, 9)

    async with live(billing) as h:
        run = await h.trigger(billing)
        asked = await h.only_approval(run)
        found = await dry_replay(await h.client.run(run.id), await h.journal(run), billing)
        assert found == Fits(("exhausted#1",))
        await h.client.cancel(run.id, by="mia")
        assert await h.status(run) == "cancelled"
        assert (await h.client.approval(asked.id)).status == "cancelled"
