"""A step that runs at most once and was cut off: its lookup says what became of it, so that nobody has to be asked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import NOT_DONE, Done, Retry, RetryAfter, fallback, step, task
from agentflow.runtime.dry.replaying import Fits, dry_replay
from agentflow.states import EntryKind
from tests.support.tasks import Flaky, Invoice, Ledger, entries, keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.runtime.conftest import OpenHarness


class Bank:
    """Transfers money; a transfer hangs, cut off by a crash, while it is told to."""

    def __init__(self, ledger: Ledger, answers: list[Any]) -> None:
        self.ledger = ledger
        self.answers = [*answers]
        self.begun = asyncio.Event()
        self.hangs = True

    def task(self, *, sync: bool = False) -> Any:
        def find(account: str, *, cents: int) -> Any:
            self.ledger.add(f"look up {account} {cents}")
            found = self.answers.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

        async def find_soon(account: str, *, cents: int) -> Any:
            return find(account, cents=cents)

        @step(effect="at_most_once", lookup=find if sync else find_soon)
        async def transfer(account: str, *, cents: int) -> Invoice:
            self.ledger.add("transfer")
            self.begun.set()
            if self.hangs:
                await asyncio.Event().wait()
            return Invoice(number="paid")

        @task(id="paying")
        async def paying() -> str:
            return (await transfer("DE1", cents=5)).number

        return paying


async def cut_off(h: Any, bank: Bank, run: Any, *, then_hangs: bool = False) -> None:
    """Let the transfer begin, and the worker die."""
    await bank.begun.wait()
    bank.begun.clear()
    bank.hangs = then_hangs
    await h.crash()


@pytest.mark.parametrize("sync", [True, False])
async def test_what_had_happened_is_recorded_as_the_steps_result(
    harness: OpenHarness, ledger: Ledger, sync: bool
) -> None:
    bank = Bank(ledger, [Done(Invoice(number="found"))])
    paying = bank.task(sync=sync)

    async with harness(paying) as h:
        run = await h.trigger(paying)
        await cut_off(h, bank, run)
        assert await h.result(run) == "found"
        name = "find" if sync else "find_soon"
        assert await keys(h, run) == [f"transfer#1/{name}#1", "transfer#1"]
    assert ledger == {"transfer": 1, "look up DE1 5": 1}


async def test_what_had_not_happened_is_done_now(harness: OpenHarness, ledger: Ledger) -> None:
    bank = Bank(ledger, [NOT_DONE])
    paying = bank.task()

    async with harness(paying) as h:
        run = await h.trigger(paying)
        await cut_off(h, bank, run)
        assert await h.result(run) == "paid"
        assert len(await entries(h, run, EntryKind.STARTED)) == 2
    assert ledger == {"transfer": 2, "look up DE1 5": 1}


async def test_each_crash_is_looked_up_anew(harness: OpenHarness, ledger: Ledger) -> None:
    bank = Bank(ledger, [NOT_DONE, NOT_DONE, Done(Invoice(number="third time"))])
    paying = bank.task()

    async with harness(paying) as h:
        run = await h.trigger(paying)
        for _ in range(3):
            await cut_off(h, bank, run, then_hangs=True)
        assert await h.result(run) == "third time"
        assert await keys(h, run) == [*(f"transfer#1/find_soon#{n}" for n in (1, 2, 3)), "transfer#1"]
    assert ledger == {"transfer": 3, "look up DE1 5": 3}


async def test_an_answer_that_was_recorded_is_not_asked_for_again(harness: OpenHarness, ledger: Ledger) -> None:
    """The crash comes between the lookup's answer and what is made of it: the answer must not be asked for twice."""
    bank = Bank(ledger, [RetryAfter("busy", "1h"), NOT_DONE])
    paying = bank.task()

    async with harness(paying) as h:
        run = await h.trigger(paying)
        await cut_off(h, bank, run)
        assert await h.status(run) == "waiting", "for the lookup's next attempt: it has a policy of its own"
        await h.crash()
        await h.advance("1h")
        assert await h.result(run) == "paid"
    assert ledger == {"transfer": 2, "look up DE1 5": 2}


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([None], "and its lookup could not tell either"),
        ([Flaky("away")] * 3, "and its lookup failed (Flaky: away)"),
        (["perhaps"] * 3, "returned 'perhaps': wanted Done(result), NOT_DONE, or None"),
        ([Done(object())] * 3, "and its lookup failed (NotRecordable"),
    ],
)
async def test_what_the_lookup_cannot_tell_is_left_to_a_person(
    harness: OpenHarness, ledger: Ledger, answers: list[Any], said: str
) -> None:
    bank = Bank(ledger, answers)
    paying = bank.task()

    async with harness(paying) as h:
        run = await h.trigger(paying)
        await cut_off(h, bank, run)
        for _ in answers:
            await h.advance("5s")
        assert await h.status(run) == "needs_attention"
        assert said in await h.why(run)
        assert ledger["transfer"] == 1
        await h.client.resume(run.id, by="operator")
        assert await h.result(run) == "paid"
    assert ledger["transfer"] == 2


async def test_after_an_operator_had_it_run_again_a_crash_is_looked_up_again(
    harness: OpenHarness, ledger: Ledger
) -> None:
    bank = Bank(ledger, [None, Done(Invoice(number="found"))])
    paying = bank.task()

    async with harness(paying) as h:
        run = await h.trigger(paying)
        await cut_off(h, bank, run, then_hangs=True)
        assert await h.status(run) == "needs_attention"
        await h.client.resume(run.id, by="operator")
        await cut_off(h, bank, run)
        assert await h.result(run) == "found"
    assert ledger == {"transfer": 2, "look up DE1 5": 2}


# -- cut off by a limit of time, which tells as little as a crash


async def test_a_call_at_most_once_that_takes_too_long_is_not_made_again_by_guessing(
    harness: OpenHarness, ledger: Ledger
) -> None:
    hangs = True

    @step(effect="at_most_once", timeout="20ms", retry=Retry(max_attempts=5, min_delay=0))
    async def transfer() -> str:
        ledger.add("transfer")
        if hangs:
            await asyncio.Event().wait()
        return "paid"

    @task(retry=Retry(max_attempts=5, min_delay=0))
    async def paying() -> str:
        return await transfer()

    async with harness(paying) as h:
        run = await h.trigger(paying)
        assert await h.status(run) == "needs_attention"
        assert "transfer#1 was started and its end is not recorded, and it was cut off by a limit" in await h.why(run)
        assert ledger == {"transfer": 1}
        hangs = False
        await h.client.resume(run.id, by="operator")
        assert await h.result(run) == "paid"
    assert ledger == {"transfer": 2}


async def test_a_person_may_say_what_the_call_gave_that_was_cut_off(harness: OpenHarness, ledger: Ledger) -> None:
    @step(effect="at_most_once", timeout="20ms", lookup=lambda: None)
    async def transfer() -> Invoice:
        ledger.add("transfer")
        await asyncio.Event().wait()
        return Invoice(number="unlikely")

    @task
    async def paying() -> str:
        return (await transfer()).number

    async with harness(paying) as h:
        run = await h.trigger(paying)
        assert await h.status(run) == "needs_attention"
        await h.client.resume(run.id, by="operator", output=Invoice(number="paid by hand").model_dump())
        assert await h.result(run) == "paid by hand"
    assert ledger == {"transfer": 1}


async def test_what_a_call_did_that_took_too_long_is_looked_up_before_it_is_tried_again(
    harness: OpenHarness, ledger: Ledger
) -> None:
    answers = [NOT_DONE, NOT_DONE, Done("found")]

    @step(
        effect="at_most_once",
        lookup=lambda: answers.pop(0),
        timeout="20ms",
        retry=Retry(max_attempts=5, min_delay="1h", factor=1),
    )
    async def transfer() -> str:
        ledger.add("transfer")
        await asyncio.Event().wait()
        return "unlikely"

    @task
    async def paying() -> str:
        return await transfer()

    async with harness(paying) as h:
        run = await h.trigger(paying)
        await h.advance("1h")
        await h.advance("1h")
        assert await h.result(run) == "found"
        assert len([key for key in await keys(h, run) if key.startswith("transfer#1/")]) == 3
    assert ledger == {"transfer": 3}


async def test_a_hop_that_runs_at_most_once_is_looked_up_too(harness: OpenHarness, ledger: Ledger) -> None:
    begun, answers = asyncio.Event(), [NOT_DONE, Done("found")]

    @step(effect="at_most_once", lookup=lambda: answers.pop(0))
    async def primary() -> str:
        ledger.add("primary")
        begun.set()
        await asyncio.Event().wait()
        return "unlikely"

    chain: Callable[[], Any] = fallback(primary, lambda: "backup", name="pay")

    @task
    async def paying() -> str:
        return str(await chain())

    async with harness(paying) as h:
        run = await h.trigger(paying)
        for _ in range(2):
            await begun.wait()
            begun.clear()
            await h.crash()
        await h.until_idle()
        journal = await h.journal(run)
        started = max(at for at, one in enumerate(journal) if one.kind is EntryKind.STARTED)
        found = await dry_replay(await h.client.run(run.id), journal[: started + 1], paying)
        assert found == Fits(("pay#1/primary#1",))
        assert await h.result(run) == "found"
    assert ledger == {"primary": 2}


async def test_a_lookup_of_an_object_is_asked_of_that_object(harness: OpenHarness, ledger: Ledger) -> None:
    class Account:
        def __init__(self, name: str) -> None:
            self.name = name
            self.begun = asyncio.Event()

        def find(self, cents: int) -> Any:
            ledger.add(f"find {self.name} {cents}")
            return Done(f"{self.name} paid {cents}")

        @step(effect="at_most_once", lookup=find)
        async def pay(self, cents: int) -> str:  # noqa: ARG002  its lookup is given them too
            self.begun.set()
            await asyncio.Event().wait()
            return "unlikely"

    account = Account("DE1")

    @task
    async def paying() -> str:
        return await account.pay(7)

    async with harness(paying) as h:
        run = await h.trigger(paying)
        await account.begun.wait()
        await h.crash()
        assert await h.result(run) == "DE1 paid 7"
    assert ledger == {"find DE1 7": 1}
