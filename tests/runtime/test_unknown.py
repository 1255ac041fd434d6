"""A call made at most once and cut off, whose lookup does not settle it: a person says whether it happened."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import (
    NOT_DONE,
    Done,
    Retry,
    RunFailed,
    fallback,
    gather,
    heartbeat,
    operation,
    step,
    task,
    wait_for,
)
from agentflow.errors import DefinitionError, InvalidDecision, OutcomeUnknown
from agentflow.runtime.dry.replaying import Fits, dry_replay
from agentflow.states import EntryKind
from tests.runtime.test_on_exhausted import Even
from tests.support.tasks import Flaky, Invoice, entries, keys

if TYPE_CHECKING:
    from agentflow.records import Approval
    from tests.runtime.conftest import OpenHarness
    from tests.support.tasks import Ledger


class Till:
    """Pays out money; a payment hangs, to be cut off by a crash, while it is told to."""

    def __init__(self, ledger: Ledger, **options: Any) -> None:
        self.ledger = ledger
        self.begun = asyncio.Event()
        self.hangs = True
        self.keys: set[str] = set()

        @step(effect="at_most_once", on_unknown="ask", **options)
        async def pay(account: str, *, cents: int) -> Invoice:
            current = operation()
            assert current is not None
            self.keys.add(current.idempotency_key)
            self.ledger.add(f"pay {account} {cents}")
            heartbeat({"at": "the door"})
            self.begun.set()
            if self.hangs:
                await asyncio.Event().wait()
            return Invoice(number="paid")

        self.pay = pay

        @task(id="paying")
        async def paying() -> str:
            return (await pay("DE1", cents=5)).number

        self.paying = paying

    async def cut_off(self, h: Any, *, then_hangs: bool = False) -> None:
        """Let the payment begin, and the worker die."""
        await self.begun.wait()
        self.begun.clear()
        self.hangs = then_hangs
        await h.crash()


async def asked(h: Any, till: Till, **options: Any) -> tuple[Any, Approval]:
    """A run whose payment was cut off, and what is asked about it."""
    run = await h.trigger(till.paying)
    await till.cut_off(h, **options)
    return run, await h.only_approval(run)


def choice(choice: str, result: Any = None) -> dict[str, Any]:
    return {"choice": choice, "result": result}


async def test_the_question_is_titled_by_us_and_shows_all_that_is_known(harness: OpenHarness, ledger: Ledger) -> None:
    till = Till(ledger)
    async with harness(till.paying) as h:
        run, approval = await asked(h, till)
        assert (approval.key, approval.title, approval.reason) == (
            "pay#1/unknown#1", "Did pay happen?", "outcome_unknown",
        )  # fmt: skip
        assert approval.allow == "correct,reject"
        assert json.loads(approval.tags) == {"kind": "unknown", "operation": "pay#1"}
        (started,) = await entries(h, run, EntryKind.STARTED)
        for said in (
            "Operation: `pay#1`, attempt 1",
            f"Started at: {started.at:%Y-%m-%d %H:%M:%S} UTC, by worker `wrk_",
            f"Idempotency key: `{till.keys.pop()}`",
            "its worker was lost before the end was recorded",
            '"DE1"',
            '"cents": 5',
            "**do it now**",
        ):
            assert said in approval.body, said
        assert await h.status(run) == "waiting"
        assert f"for a person to decide approval {approval.id} (pay#1/unknown#1)" in await h.why(run)
    assert ledger == {"pay DE1 5": 1}


async def test_it_happened_goes_on_with_the_result_a_person_gives(harness: OpenHarness, ledger: Ledger) -> None:
    till = Till(ledger)
    async with harness(till.paying) as h:
        run, approval = await asked(h, till)
        for wrong in (choice("happened"), choice("happened", {"number": 5}), choice("else"), choice("")):
            with pytest.raises(InvalidDecision):
                await h.correct(approval, wrong)
        with pytest.raises(InvalidDecision):
            await h.approve(approval)
        await h.correct(approval, choice("happened", {"number": "by hand", "total": 1.5}))
        assert await h.result(run) == "by hand"
        assert await keys(h, run) == ["pay#1"]
        (final,) = await entries(h, run, EntryKind.SUCCEEDED)
        assert (final.key, final.attempt) == ("pay#1", 1)
    assert ledger == {"pay DE1 5": 1}


async def test_it_did_not_is_done_now_with_the_same_key(harness: OpenHarness, ledger: Ledger) -> None:
    till = Till(ledger)
    async with harness(till.paying) as h:
        run, approval = await asked(h, till)
        await h.crash()
        await h.correct(approval, choice("do it now"))
        assert await h.result(run) == "paid"
        assert len(await entries(h, run, EntryKind.STARTED)) == 2
        assert len(till.keys) == 1
    assert ledger == {"pay DE1 5": 2}


@pytest.mark.parametrize("how", ["reject", "stop"])
async def test_stop_fails_the_operation_and_nothing_tries_it_again(
    harness: OpenHarness, ledger: Ledger, how: str
) -> None:
    till = Till(ledger, retry=Retry(max_attempts=5, min_delay=0))
    seen = []

    @task(id="careful", retry=Retry(max_attempts=5, min_delay=0))
    async def careful() -> None:
        try:
            await till.pay("DE1", cents=5)
        except OutcomeUnknown as error:
            seen.append(str(error))
            raise

    till.paying = careful
    async with harness(careful) as h:
        run, approval = await asked(h, till)
        if how == "reject":
            await h.reject(approval, by="ada")
        else:
            await h.correct(approval, choice("stop"), by="ada")
        with pytest.raises(RunFailed, match="pay#1 was cut off, and ada said to stop"):
            await h.result(run)
        (failed,) = await entries(h, run, EntryKind.FAILED)
        assert failed.key == "pay#1"
    assert set(seen) == {"pay#1 was cut off, and ada said to stop: it may have happened, or not"}
    assert ledger == {"pay DE1 5": 1}


async def test_a_call_cut_off_again_is_asked_about_again_and_no_answer_counts_twice(
    harness: OpenHarness, ledger: Ledger
) -> None:
    till = Till(ledger)
    async with harness(till.paying) as h:
        run, approval = await asked(h, till, then_hangs=True)
        for n in (2, 3):
            await h.correct(approval, choice("do it now"))
            await till.cut_off(h, then_hangs=True)
            await h.crash()
            approval = await h.only_approval(run)
            assert approval.key == f"pay#1/unknown#{n}"
        await h.correct(approval, choice("happened", {"number": "third", "total": 0}))
        assert await h.result(run) == "third"
    assert ledger == {"pay DE1 5": 3}


async def test_a_result_that_only_the_code_refuses_is_asked_for_again(harness: OpenHarness) -> None:
    begun = asyncio.Event()

    @step(effect="at_most_once", on_unknown="ask")
    async def count() -> Even:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    @task
    async def counting() -> int:
        return (await count()).n

    async with harness(counting) as h:
        run = await h.trigger(counting)
        await begun.wait()
        await h.crash()
        await h.correct(await h.only_approval(run), choice("happened", {"n": 3}))
        again = await h.only_approval(run)
        assert again.key == "count#1/unknown#2"
        assert "The result given before was refused" in again.body
        await h.crash()
        await h.correct(again, choice("happened", {"n": 4}))
        assert await h.result(run) == 4


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([None], "its lookup could not tell either"),
        ([Flaky("away")] * 3, "its lookup failed (Flaky: away)"),
        ([NOT_DONE, None], "its lookup could not tell either"),
    ],
)
async def test_the_lookup_is_asked_first_and_what_it_said_is_shown(
    harness: OpenHarness, ledger: Ledger, answers: list[Any], said: str
) -> None:
    left = [*answers]

    async def find(account: str, *, cents: int) -> Any:
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    till = Till(ledger, lookup=find)
    async with harness(till.paying) as h:
        run = await h.trigger(till.paying)
        await till.cut_off(h, then_hangs=NOT_DONE in answers)
        if NOT_DONE in answers:
            await till.cut_off(h)
        for _ in answers:
            await h.advance("5s")
        approval = await h.only_approval(run)
        assert said in approval.body
        await h.crash()
        await h.correct(approval, choice("do it now"))
        assert await h.result(run) == "paid"
        assert left == []
    assert ledger["pay DE1 5"] == (3 if NOT_DONE in answers else 2)


async def test_a_lookup_that_knows_leaves_nothing_to_ask(harness: OpenHarness, ledger: Ledger) -> None:
    async def find(account: str, *, cents: int) -> Any:
        return Done(Invoice(number="found"))

    till = Till(ledger, lookup=find)
    async with harness(till.paying) as h:
        run = await h.trigger(till.paying)
        await till.cut_off(h)
        assert await h.result(run) == "found"
        assert (await h.client.approvals(pending=None, run_id=run.id)).items == []


async def test_other_branches_go_on_while_a_person_is_asked(harness: OpenHarness, ledger: Ledger) -> None:
    till = Till(ledger)

    @step
    async def other() -> str:
        ledger.add("other")
        return "other"

    @task(id="both")
    async def both() -> list[str]:
        async def paying() -> str:
            return (await till.pay("DE1", cents=5)).number

        return list(await gather(paying(), other()))

    till.paying = both
    async with harness(both) as h:
        run, approval = await asked(h, till)
        await h.correct(approval, choice("do it now"))
        assert await h.result(run) == ["paid", "other"]
    assert ledger == {"pay DE1 5": 2, "other": 1}


@pytest.mark.parametrize("answer", ["do it now", "happened", "stop"])
async def test_what_a_limit_of_time_cut_off_is_asked_about_too(
    harness: OpenHarness, ledger: Ledger, answer: str
) -> None:
    """A time-out says nothing about whether it happened; "do it now" is no attempt of a policy that allows one."""
    till = Till(ledger, timeout="1s")
    async with harness(till.paying) as h:
        run = await h.trigger(till.paying)
        await till.begun.wait()
        await h.advance("2s")
        approval = await h.only_approval(run)
        assert "it was cut off by a limit of time" in approval.body
        till.hangs = False
        await h.correct(approval, choice(answer, {"number": "given", "total": 0} if answer == "happened" else None))
        if answer == "stop":
            with pytest.raises(RunFailed, match="OutcomeUnknown"):
                await h.result(run)
        else:
            assert await h.result(run) == ("given" if answer == "happened" else "paid")
    assert ledger == {"pay DE1 5": 2 if answer == "do it now" else 1}


async def test_a_hop_of_a_fallback_asks_and_stop_goes_to_no_other_hop(harness: OpenHarness, ledger: Ledger) -> None:
    till = Till(ledger)

    @step
    async def cash() -> Invoice:
        ledger.add("cash")
        return Invoice(number="cash")

    @step(effect="at_most_once", on_unknown="ask")
    async def pay() -> Invoice:
        return await till.pay.function("DE1", cents=5)

    @task(id="hops")
    async def hops() -> str:
        return (await fallback(pay, cash)()).number

    till.paying = hops
    async with harness(hops) as h:
        _, approval = await asked(h, till)
        assert approval.title == "Did pay happen?"
        await h.correct(approval, choice("happened", {"number": "given", "total": 0}))
        assert await h.result(approval.run_id) == "given"
    assert ledger == {"pay DE1 5": 1}


async def test_inside_a_wait_for_it_needs_attention_as_ever(live: OpenHarness, ledger: Ledger) -> None:
    """The clock of the `wait_for` would stand still while the run is parked."""
    till = Till(ledger)

    @task(id="hurried")
    async def hurried() -> str:
        async def paid() -> str:
            return (await till.pay("DE1", cents=5)).number

        return await wait_for(paid(), 60)

    till.paying = hurried
    async with live(hurried) as h:
        run = await h.trigger(hurried)
        await till.cut_off(h)
        assert await h.status(run) == "needs_attention"
        await h.client.resume(run.id, by="operator")
        assert await h.result(run) == "paid"


async def test_a_rehearsal_rests_where_the_doubt_is(live: OpenHarness, ledger: Ledger) -> None:
    till = Till(ledger)
    async with live(till.paying) as h:
        run, approval = await asked(h, till)
        journal = await h.journal(run)
        assert await dry_replay(await h.client.run(run.id), journal, till.paying) == Fits(("pay#1",))
        await h.correct(approval, choice("do it now"))
        assert await h.result(run) == "paid"
        done = await dry_replay(await h.client.run(run.id), await h.journal(run), till.paying)
        assert isinstance(done, Fits)
        assert done.frontier == ()
    assert ledger == {"pay DE1 5": 2}


async def test_a_fork_is_another_run_and_makes_its_own_call(live: OpenHarness, ledger: Ledger) -> None:
    """With a key of its own; what was asked about the original's call, and answered, is no answer about the fork's."""
    till = Till(ledger)
    async with live(till.paying) as h:
        run, approval = await asked(h, till, then_hangs=True)
        await h.correct(approval, choice("do it now"))
        await till.begun.wait()
        fork = await h.client.fork(run.id, by="ada")
        till.begun.clear()
        await till.begun.wait()
        assert till.keys == {f"{run.id}:pay#1", f"{fork.id}:pay#1"}
        await h.crash()
        for one in await h.approvals():
            await h.correct(one, choice("happened", {"number": one.run_id, "total": 0}))
        assert await h.result(fork) == fork.id
        assert await h.result(run) == run.id
    assert ledger == {"pay DE1 5": 3}


async def test_a_run_cancelled_meanwhile_and_retried_asks_anew(harness: OpenHarness, ledger: Ledger) -> None:
    till = Till(ledger)
    async with harness(till.paying) as h:
        run, approval = await asked(h, till)
        await h.client.cancel(run.id, by="ada")
        assert (await h.client.approval(approval.id)).status == "cancelled"
        await h.client.retry(run.id, by="ada")
        again = await h.only_approval(run)
        assert again.id != approval.id
        await h.correct(again, choice("do it now"))
        assert await h.result(run) == "paid"
    assert ledger == {"pay DE1 5": 2}


@pytest.mark.parametrize("effect", ["at_least_once", "at_most_once"])
def test_it_is_for_calls_that_are_made_at_most_once(effect: str) -> None:
    with pytest.raises(DefinitionError, match="on_unknown"):
        step(effect=effect, on_unknown="ask" if effect == "at_least_once" else "perhaps")(lambda: None)
