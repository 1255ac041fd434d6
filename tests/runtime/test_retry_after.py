"""Errors that say when to come back: the next attempt is when they ask for it, as far as it makes sense."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import Fatal, Retry, RetryAfter, StepTimedOut, step, task
from agentflow.clock import from_micros
from agentflow.errors import InvalidDuration
from agentflow.retry import asked_delay
from agentflow.states import EntryKind
from tests.support.tasks import Flaky, Ledger, entries

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
POLICY = Retry(max_attempts=3, min_delay="7m", factor=1)


class Limited(Exception):
    """As an HTTP client raises for a 429: with the response."""

    def __init__(self, headers: Any) -> None:
        super().__init__("429 Too Many Requests")
        self.response = SimpleNamespace(headers=headers, status_code=429)


class Asking(Exception):
    def __init__(self, retry_after: Any) -> None:
        super().__init__("come back later")
        self.retry_after = retry_after


class Hostile(Exception):
    @property
    def retry_after(self) -> int:
        raise RuntimeError("not today")


HONOURED = [
    (Asking(90), 90),
    (Asking(0.5), 0.5),
    (Asking("90"), 90),
    (Asking(timedelta(minutes=2)), 120),
    (Asking(NOW + timedelta(minutes=3)), 180),
    (Asking((NOW + timedelta(minutes=3)).astimezone(timezone(timedelta(hours=5)))), 180),
    (Asking(NOW - timedelta(minutes=3)), 0),
    (RetryAfter("busy", "4m"), 240),
    (RetryAfter("busy", 10), 10),
    (RetryAfter("busy", NOW + timedelta(hours=1)), 3600),
    (Limited({"retry-after": "30"}), 30),
    (Limited({"Retry-After": " 30 "}), 30),
    (Limited({"retry-after": "Mon, 05 Jan 2026 09:02:00 GMT"}), 120),
    (Limited({"retry-after": "Mon, 05 Jan 2026 08:00:00 GMT"}), 0),
]
IGNORED: list[Exception] = [
    Flaky("says nothing"),
    Asking(None),
    Asking(-1),
    Asking(float("nan")),
    Asking(float("inf")),
    Asking(10**12),
    Asking(10**400),
    Asking(True),
    Asking("soon"),
    Asking("9" * 5000),
    Asking([30]),
    Asking(timedelta(seconds=-1)),
    Asking(timedelta(days=36_526)),
    Asking(datetime(2026, 1, 5, 10, 0)),  # noqa: DTZ001  without a zone it is no instant
    Asking(datetime(9999, 1, 1, tzinfo=UTC)),
    Hostile(),
    Limited({}),
    Limited(None),
    Limited({"retry-after": ""}),
    Limited({"retry-after": "-30"}),
    Limited({"retry-after": "1.5e3"}),
    Limited({"retry-after": "Mon, 99 Jan 2026 09:02:00 GMT"}),
]


@pytest.mark.parametrize(("error", "seconds"), HONOURED)
def test_what_an_error_asks_for_is_the_delay(error: Exception, seconds: float) -> None:
    assert asked_delay(error, NOW) == timedelta(seconds=seconds)
    assert POLICY.next_after(1, error, now=NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize("error", IGNORED, ids=repr)
def test_what_is_no_sensible_span_leaves_the_delay_to_the_policy(error: Exception) -> None:
    assert asked_delay(error, NOW) is None
    assert POLICY.next_after(1, error, now=NOW) == timedelta(minutes=7)


def test_an_error_cannot_ask_for_more_attempts_than_there_are() -> None:
    assert POLICY.next_after(3, RetryAfter("busy", 1), now=NOW) is None
    assert Retry(give_up_on=Asking).next_after(1, Asking(1), now=NOW) is None

    class Never(Fatal):
        retry_after = 1

    assert POLICY.next_after(1, Never(), now=NOW) is None


@pytest.mark.parametrize("delay", [-1, float("nan"), "soon", datetime(2026, 1, 5), timedelta(days=40_000)])  # noqa: DTZ001  no zone
def test_a_delay_that_cannot_be_meant_is_refused_where_it_is_raised(delay: Any) -> None:
    with pytest.raises(InvalidDuration):
        RetryAfter("busy", delay)


async def test_the_run_is_parked_until_the_time_that_the_error_asked_for(harness: OpenHarness, ledger: Ledger) -> None:
    @step(retry=POLICY)
    async def fetching() -> str:
        match ledger.add("tries"):
            case 1:
                raise Limited({"retry-after": "7200"})
            case 2:
                raise RetryAfter("still busy", "3h")
        return "fetched"

    @task
    async def trying() -> str:
        return await fetching()

    async with harness(trying) as h:
        run = await h.trigger(trying)
        for hours in (2, 3):
            assert await h.status(run) == "waiting"
            await h.advance(f"{hours}h" if hours == 2 else "2h59m59s")
        assert ledger == {"tries": 2}
        await h.advance("1s")
        assert await h.result(run) == "fetched"
        failed = await entries(h, run, EntryKind.ATTEMPT_FAILED)
        waited = [from_micros(json.loads(one.detail or "")["next_at"]) - one.at for one in failed]
        assert waited == [timedelta(hours=2), timedelta(hours=3)]


async def test_an_error_that_asks_for_more_than_all_attempts_may_take_ends_them(
    harness: OpenHarness, ledger: Ledger
) -> None:
    @step(retry=POLICY, schedule_to_close="1h")
    async def fetching() -> None:
        ledger.add("tries")
        raise RetryAfter("busy", "2h")

    @task
    async def trying() -> str:
        try:
            await fetching()
        except StepTimedOut as error:
            return str(error)
        return ""

    async with harness(trying) as h:
        said = await h.run(trying)
    assert said == "fetching#1 failed (RetryAfter: busy), with no other attempt left in its schedule_to_close of 1h"
    assert ledger == {"tries": 1}


async def test_a_retry_of_the_run_waits_as_long_as_the_error_asks_for(harness: OpenHarness, ledger: Ledger) -> None:
    @step
    async def fetching() -> str:
        if ledger.add("tries") == 1:
            raise RetryAfter("busy", "5h")
        return "fetched"

    @task(retry=Retry(max_attempts=2, min_delay="1s"))
    async def trying() -> str:
        return await fetching()

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await h.advance("4h")
        assert ledger == {"tries": 1}
        await h.advance("1h")
        assert await h.result(run) == "fetched"
