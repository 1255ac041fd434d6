"""`wait_until` and `sleep_until`: pauses that outlive the process, and checks that are made once each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import (
    Backoff,
    Done,
    PollingEnded,
    Retry,
    RunFailed,
    gather,
    now,
    sleep,
    sleep_until,
    step,
    task,
    wait_until,
)
from agentflow.errors import DefinitionError, InvalidDuration, NotRecordable, UnsupportedAwait
from agentflow.states import EntryKind
from tests.support.tasks import Declined, Flaky, Invoice, Ledger, entries, keys

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness


async def test_it_checks_until_the_answer_is_true_and_gives_it(harness: OpenHarness, ledger: Ledger) -> None:
    async def is_ready() -> str:
        return "ready" if ledger.add("checked") == 3 else ""

    @task
    async def polling() -> str:
        return await wait_until(is_ready, every="1h")

    async with harness(polling) as h:
        run = await h.trigger(polling)
        await h.advance("59m")
        assert (await h.client.run(run.id)).worker_id is None
        assert ledger == {"checked": 1}
        await h.advance("1m")
        await h.advance("1h")
        assert await h.result(run) == "ready"
        assert [key for key in await keys(h, run) if "is_ready" in key] == [
            f"wait_until#1/is_ready#{n}" for n in (1, 2, 3)
        ]
    assert ledger == {"checked": 3}


async def test_the_state_of_a_check_is_kept_for_the_next_through_a_crash(harness: OpenHarness) -> None:
    asked: list[int] = []

    async def follow(page: int) -> Done[str] | int:
        asked.append(page)
        return Done(f"{page} pages") if page == 4 else page + 1

    @task
    async def polling() -> str:
        return await wait_until(follow, initial=1, every="1h")

    async with harness(polling) as h:
        run = await h.trigger(polling)
        await h.advance("1h")
        await h.crash()
        await h.advance("1h")
        await h.restart()
        await h.advance("1h")
        assert await h.result(run) == "4 pages"
    assert asked == [1, 2, 3, 4]


async def test_values_and_states_have_the_types_the_check_names(harness: OpenHarness) -> None:
    async def follow(invoice: Invoice) -> Done[Invoice] | Invoice:
        more = Invoice(number=invoice.number, total=invoice.total + 1)
        return Done(more) if more.total == 3 else more

    @task
    async def polling() -> list[str]:
        found = await wait_until(follow, initial=Invoice(number="7"), every="1h")
        await sleep("1h")
        return [type(found).__name__, str(found.total)]

    async with harness(polling) as h:
        run = await h.trigger(polling)
        for _ in range(3):
            await h.advance("1h")
        assert await h.result(run) == ["Invoice", "3.0"]


async def test_a_check_without_annotations_keeps_plain_values(harness: OpenHarness) -> None:
    async def follow(seen):  # type: ignore[no-untyped-def]
        return Done({"seen": seen}) if len(seen) == 2 else [*seen, len(seen)]

    async def model(_):  # type: ignore[no-untyped-def]
        return Done(Invoice(number="7"))

    @task
    async def polling() -> Any:
        try:
            await wait_until(model, initial=None)
        except NotRecordable as error:
            return [str(error), await wait_until(follow, initial=[], every="1s")]

    async with harness(polling) as h:
        said, found = await h.run(polling)
        assert "annotate the return type of `model`" in said
        assert found == {"seen": [0, 1]}


async def test_a_check_may_be_a_step_with_a_retry_policy_or_a_plain_function(
    harness: OpenHarness, ledger: Ledger
) -> None:
    @step(retry=Retry(max_attempts=2, min_delay="1s"))
    async def shaky() -> bool:
        if ledger.add("shaky") == 1:
            raise Flaky("once")
        return True

    def plain() -> int:
        return ledger.add("plain") - 1

    @task
    async def polling() -> list[Any]:
        return [await wait_until(shaky), await wait_until(plain, every="1s"), await wait_until(lambda: 7)]

    async with harness(polling) as h:
        run = await h.trigger(polling)
        assert await h.result(run) == [True, 1, 7]
    assert ledger == {"shaky": 2, "plain": 2}


async def test_an_error_of_a_check_is_raised_and_a_retry_of_the_run_checks_again(
    harness: OpenHarness, ledger: Ledger
) -> None:
    async def check() -> bool:
        if ledger.add("checked") == 2:
            raise Declined("later")
        return ledger["checked"] > 2

    @task(retry=Retry(max_attempts=2, min_delay="1s"))
    async def polling() -> bool:
        return await wait_until(check, every="1s")

    async with harness(polling) as h:
        run = await h.trigger(polling)
        await h.advance("1s")
        assert await h.result(run) is True
    assert ledger == {"checked": 3}


async def test_after_so_many_checks_it_ends_in_an_error_or_none(harness: OpenHarness, ledger: Ledger) -> None:
    async def never() -> bool:
        ledger.add("checked")
        return False

    @task
    async def polling(on_timeout: str) -> Any:
        try:
            return await wait_until(never, every="1s", max_attempts=3, on_timeout=on_timeout)
        except PollingEnded as error:
            return str(error)

    async with harness(polling) as h:
        assert await h.run(polling, "raise") == "never was not done after 3 checks"
        assert await h.run(polling, "none") is None
    assert ledger == {"checked": 6}


async def test_it_ends_in_time_with_a_last_check_at_the_very_end(harness: OpenHarness) -> None:
    checked: list[timedelta] = []
    begun = datetime(2026, 1, 1, tzinfo=UTC)

    @task
    async def polling() -> Any:
        began = await now()

        async def never() -> bool:
            checked.append(h.clock.now() - begun)
            return False

        try:
            await wait_until(never, every="1h", timeout="150m")
        except PollingEnded as error:
            return [str(error), str(await now() - began)]

    async with harness(polling) as h:
        run = await h.trigger(polling)
        begun = h.clock.now()
        for _ in range(6):
            await h.advance("30m")
        assert await h.result(run) == ["never was not done after 4 checks within 2h 30m", "2:30:00"]
    assert checked == [timedelta(0), timedelta(hours=1), timedelta(hours=2), timedelta(minutes=150)]


async def test_no_time_at_all_is_one_check(harness: OpenHarness, ledger: Ledger) -> None:
    async def never() -> bool:
        return ledger.add("checked") > 1

    @task
    async def polling() -> Any:
        return await wait_until(never, timeout=0, on_timeout="none")

    async with harness(polling) as h:
        assert await h.run(polling) is None
    assert ledger == {"checked": 1}


@pytest.mark.parametrize("limit", [{"max_attempts": 2}, {"timeout": "1s"}])
async def test_a_retry_of_the_run_polls_anew(harness: OpenHarness, ledger: Ledger, limit: dict[str, Any]) -> None:
    async def check() -> bool:
        return ledger.add("checked") == 4

    @task(retry=Retry(max_attempts=2, min_delay="1s"))
    async def polling() -> bool:
        return await wait_until(check, every="1s", **limit)

    async with harness(polling) as h:
        run = await h.trigger(polling)
        await h.advance("1s")
        assert await h.result(run) is True
    assert ledger == {"checked": 4}


async def test_branches_poll_side_by_side(harness: OpenHarness, ledger: Ledger) -> None:
    async def left() -> bool:
        return ledger.add("left") == 2

    async def right() -> bool:
        return ledger.add("right") == 3

    @task
    async def polling() -> list[bool]:
        return list(await gather(wait_until(left, every="2h"), wait_until(right, every="1h")))

    async with harness(polling) as h:
        run = await h.trigger(polling)
        await h.advance("1h")
        await h.advance("1h")
        assert await h.result(run) == [True, True]
    assert ledger == {"left": 2, "right": 3}


def test_pauses_grow_up_to_the_longest() -> None:
    growing = Backoff("1s", factor=2, most="5m")

    assert [growing.after(n).total_seconds() for n in (1, 2, 3, 9, 10, 5000)] == [1, 2, 4, 256, 300, 300]
    assert Backoff("10m", factor=1, most="10m").after(7) == timedelta(minutes=10)


@pytest.mark.parametrize("bad", [{"factor": 0.5}, {"factor": True}, {"factor": float("nan")}, {"most": "1ms"}])
def test_a_backoff_that_makes_no_sense_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError):
        Backoff("1s", **bad)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"every": 0}, DefinitionError),
        ({"every": -1}, InvalidDuration),
        ({"max_attempts": 0}, DefinitionError),
        ({"max_attempts": True}, DefinitionError),
        ({"max_attempts": 1.5}, DefinitionError),
        ({"timeout": "40000d"}, InvalidDuration),
        ({"on_timeout": "maybe"}, DefinitionError),
        ({"check": 7}, DefinitionError),
    ],
)
async def test_bad_input_is_refused_before_anything_is_checked(
    live: OpenHarness, bad: dict[str, Any], error: type[Exception]
) -> None:
    @task
    async def polling() -> None:
        given: dict[str, Any] = {"check": now} | bad
        await wait_until(given.pop("check"), **given)

    async with live(polling) as h:
        run = await h.trigger(polling)
        with pytest.raises(RunFailed) as caught:
            await h.result(run)
        assert isinstance(caught.value.__cause__, error)
        assert await entries(h, run, EntryKind.SUCCEEDED, EntryKind.FAILED) == []


async def test_there_is_no_polling_outside_a_run() -> None:
    with pytest.raises(UnsupportedAwait, match="outside a run"):
        await wait_until(now)


# -- sleep_until


async def test_a_run_sleeps_until_an_instant_and_not_at_all_if_it_has_passed(harness: OpenHarness) -> None:
    @task
    async def sleeping(instants: list[datetime]) -> list[datetime]:
        woken = []
        for instant in instants:
            await sleep_until(instant)
            woken.append(await now())
        return woken

    async with harness(sleeping) as h:
        begun = h.clock.now()
        instants = [begun + timedelta(days=2), begun - timedelta(days=2), begun + timedelta(days=3)]
        run = await h.trigger(sleeping, instants)
        await h.advance("2d")
        await h.advance("23h")
        assert "sleeping until its timer fires in 1h (sleep_until#3)" in await h.why(run)
        await h.advance("1h")
        assert await h.result(run) == [instants[0], instants[0], instants[2]]
        assert [key for key in await keys(h, run) if "sleep" in key] == [f"sleep_until#{n}" for n in (1, 2, 3)]


@pytest.mark.parametrize(
    "instant",
    [datetime(2026, 1, 1), datetime(2200, 1, 1, tzinfo=UTC), "tomorrow"],  # noqa: DTZ001  what is refused
)
async def test_an_instant_of_no_zone_or_beyond_a_hundred_years_is_refused(live: OpenHarness, instant: Any) -> None:
    @task
    async def sleeping() -> None:
        await sleep_until(instant)

    async with live(sleeping) as h:
        with pytest.raises(RunFailed) as caught:
            await h.run(sleeping)
        assert isinstance(caught.value.__cause__, InvalidDuration)


async def test_outside_a_run_it_just_sleeps() -> None:
    await sleep_until(datetime(2000, 1, 1, tzinfo=UTC))
