"""Circuit breakers: what fails again and again is not called for a while, and the chain goes on at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow import AllFailed, Breaker, Fatal, Retry, fallback, hop, operation, sleep, step, task
from agentflow.states import EntryKind
from agentflow.tasks.task import Task
from tests.support.tasks import Declined, Flaky, Ledger, entries

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness

ONCE_OPEN = {"failures": 2, "within": "1m", "open_for": "30s"}


class Service:
    """Something that can be out of order."""

    def __init__(self, ledger: Ledger, **breaker: Any) -> None:
        self.ledger = ledger
        self.error: Exception | None = Flaky("out of order")
        self.breaker = Breaker("primary", **ONCE_OPEN | breaker)

    def task(self, retry: Retry | None = None) -> Task[[], str]:
        async def primary() -> str:
            self.ledger.add("primary")
            if self.error is not None:
                raise self.error
            return "primary"

        async def backup() -> str:
            return "backup"

        chain = fallback(hop(primary, breaker=self.breaker, retry=retry), backup)

        @task
        async def asking() -> str:
            answer = str(await chain())
            await sleep("1m")
            return answer

        return asking


async def answer_of(h: Any, asking: Task[[], str]) -> str:
    """What a new run is answered, without time passing for the next one."""
    run = await h.trigger(asking)
    await h.until_idle()
    [done] = [one for one in await entries(h, run, EntryKind.SUCCEEDED) if (one.key or "").startswith("fallback")]
    return str(done.output).strip('"')


async def test_while_the_breaker_is_open_the_chain_goes_on_without_calling(
    harness: OpenHarness, ledger: Ledger
) -> None:
    asking = Service(ledger).task()

    async with harness(asking) as h:
        assert [await answer_of(h, asking) for _ in range(4)] == ["backup"] * 4
        assert ledger == {"primary": 2}

        run = await h.trigger(asking)
        await h.until_idle()
        [failed] = await entries(h, run, EntryKind.FAILED)
        assert "CircuitOpen" in (failed.error or "")
        assert "primary#1 was not called: breaker 'primary' is open until 2026-01-05 09:00:30 UTC" in (
            failed.error or ""
        )
        await h.advance("1m")
        assert await h.result(run) == "backup", "a replay finds it open as it was then, whatever it is by now"
        assert len(await entries(h, run, EntryKind.FAILED)) == 1
    assert ledger == {"primary": 2}


async def test_after_a_while_one_call_is_tried_and_opens_it_anew_or_closes_it(
    harness: OpenHarness, ledger: Ledger
) -> None:
    service = Service(ledger)
    asking = service.task()

    async with harness(asking) as h:
        for _ in range(2):
            await answer_of(h, asking)
        await h.advance("30s")
        assert [await answer_of(h, asking) for _ in range(3)] == ["backup"] * 3
        assert ledger == {"primary": 3}, "one was let through, and failed"

        service.error = None
        await h.advance("30s")
        assert [await answer_of(h, asking) for _ in range(3)] == ["primary"] * 3
        service.error = Flaky("again")
        assert await answer_of(h, asking) == "backup"
        service.error = None
        assert await answer_of(h, asking) == "primary", "a single failure does not open it again"


async def test_a_hop_does_not_try_again_against_an_open_breaker(harness: OpenHarness, ledger: Ledger) -> None:
    asking = Service(ledger).task(Retry(max_attempts=9, min_delay="1s", factor=1))

    async with harness(asking) as h:
        run = await h.trigger(asking)
        await h.until_idle()
        await h.advance("1m")
        assert await h.result(run) == "backup"
        [failed] = await entries(h, run, EntryKind.FAILED)
        assert failed.attempt == 3
        assert len(await entries(h, run, EntryKind.ATTEMPT_FAILED)) == 2
    assert ledger == {"primary": 2}


async def test_only_the_errors_it_is_about_are_counted(harness: OpenHarness, ledger: Ledger) -> None:
    service = Service(ledger, on=Flaky)
    asking = service.task()

    async with harness(asking) as h:
        service.error = Declined("not me")
        for _ in range(3):
            assert await answer_of(h, asking) == "backup"
        assert ledger == {"primary": 3}

    async def fatal() -> None:
        raise Fatal("meant so")

    @task
    async def trying() -> str:
        try:
            await fallback(hop(fatal, breaker=Breaker("fatal", failures=1)), lambda: "unlikely")()
        except Fatal as error:
            return str(error)
        return "unlikely"

    async with harness(trying) as h:
        assert [await h.run(trying) for _ in range(3)] == ["meant so"] * 3


async def test_a_chain_of_open_breakers_says_so(harness: OpenHarness) -> None:
    async def down() -> None:
        raise Flaky("down")

    chain = fallback(hop(down, breaker=Breaker("only", failures=1)))

    @task
    async def asking() -> list[str]:
        try:
            await chain()
        except AllFailed as error:
            return list(error.failures)
        return []

    async with harness(asking) as h:
        assert await h.run(asking) == ["down: Flaky: down"]
        [said] = await h.run(asking)
        assert "CircuitOpen" in said
        assert "is open until" in said


async def test_a_step_with_a_breaker_fails_at_once_and_the_runs_retry_waits_until_it_closes(
    harness: OpenHarness, ledger: Ledger
) -> None:
    @step(breaker=Breaker("bank", failures=1, open_for="10m"))
    async def paying() -> str:
        if ledger.add("paying") == 1:
            raise Flaky
        return "paid"

    @task(retry=Retry(max_attempts=3, min_delay="1s"))
    async def trying() -> str:
        return await paying()

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await h.advance("1s")
        assert "attempt 3 begins in 9m" in await h.why(run)
        await h.advance("9m58s")
        assert ledger == {"paying": 1}
        await h.advance("1s")
        assert await h.result(run) == "paid"
        errors = [one.error or "" for one in await entries(h, run, EntryKind.FAILED)]
        assert ["CircuitOpen" in one for one in errors] == [False, True]


async def test_outside_a_run_there_is_no_breaker(ledger: Ledger) -> None:
    @step(breaker=Breaker("bank", failures=1))
    async def paying() -> int:
        return ledger.add("paying")

    assert [await paying(), await fallback(hop(paying))()] == [1, 2]


async def test_each_hop_has_an_idempotency_key_of_its_own_that_stays(harness: OpenHarness, ledger: Ledger) -> None:
    seen: list[str] = []

    def note() -> None:
        here = operation()
        assert here is not None
        seen.append(here.idempotency_key)

    async def plain() -> None:
        note()
        raise Flaky

    @step(retry=Retry(max_attempts=2, min_delay="1h"))
    async def stepped() -> str:
        note()
        if ledger.add("stepped") == 1:
            raise Flaky
        return "stepped"

    chain = fallback(plain, stepped, name="pay")

    @task
    async def paying() -> str:
        return str(await chain())

    async with harness(paying) as h:
        run = await h.trigger(paying)
        await h.advance("1h")
        assert await h.result(run) == "stepped"
    assert seen == [f"{run.id}:pay#1/{name}#1" for name in ("plain", "stepped", "stepped")]
