"""`send_event`, `wait_for_event` and `receive_events`: nothing that was sent is lost, and nothing counts twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agentflow import (
    EventMismatch,
    EventTimedOut,
    Retry,
    RunFailed,
    gather,
    receive_events,
    send_event,
    sleep,
    step,
    task,
    wait_for,
    wait_for_event,
)
from agentflow.errors import (
    DefinitionError,
    IdempotencyMismatch,
    InvalidDuration,
    InvalidName,
    NotRecordable,
    PayloadTooLarge,
    UnsupportedAwait,
)
from agentflow.payloads import LIMIT
from agentflow.states import EntryKind
from tests.support.tasks import Flaky, Invoice, Point, entries, keys

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness


@task
async def paying(order: str) -> float:
    invoice = await wait_for_event("paid", key=order, type=Invoice, timeout="3d")
    return invoice.total


async def test_a_run_waits_without_memory_and_gets_the_payload_as_the_type_it_asked_for(harness: OpenHarness) -> None:
    async with harness(paying) as h:
        run = await h.trigger(paying, "a")
        assert await h.status(run) == "waiting"
        assert (await h.client.run(run.id)).worker_id is None
        assert "for event 'paid' of 'a', at most 3d more (event.paid#1)" in await h.why(run)
        await h.client.send_event("paid", Invoice(number="7", total=12.5), key="a")
        assert await h.result(run) == 12.5


async def test_an_event_that_comes_before_the_wait_is_found(harness: OpenHarness) -> None:
    @task
    async def late(order: str) -> Any:
        await sleep("2d")
        return await wait_for_event("paid", key=order)

    async with harness(late) as h:
        run = await h.trigger(late, "a")
        await h.until_idle()
        await h.client.send_event("paid", {"total": 1}, key="a")
        await h.advance("2d")
        assert await h.result(run) == {"total": 1}


async def test_every_wait_of_a_run_gets_the_first_event_and_later_ones_change_nothing(harness: OpenHarness) -> None:
    @task
    async def twice() -> list[Any]:
        first = await wait_for_event("paid")
        await sleep("1h")
        return [first, await wait_for_event("paid"), *await gather(wait_for_event("paid"), wait_for_event("paid"))]

    async with harness(twice) as h:
        run = await h.trigger(twice)
        await h.until_idle()
        await h.client.send_event("paid", 1)
        await h.client.send_event("paid", 2)
        await h.advance("1h")
        assert await h.result(run) == [1, 1, 1, 1]


async def test_two_runs_that_wait_for_one_event_both_get_it(harness: OpenHarness) -> None:
    async with harness(paying) as h:
        runs = [await h.trigger(paying, "a") for _ in range(2)]
        await h.until_idle()
        await h.client.send_event("paid", {"number": "7", "total": 3.0}, key="a")
        assert [await h.result(run) for run in runs] == [3.0, 3.0]


async def test_what_was_sent_before_the_run_was_triggered_does_not_count_unless_it_looks_back(
    harness: OpenHarness,
) -> None:
    @task
    async def looking(back: str | None) -> Any:
        return await wait_for_event("paid", timeout="1m", on_timeout="none", look_back=back)

    async with harness(looking) as h:
        await h.client.send_event("paid", 1)
        await h.advance("10m")
        runs = [await h.trigger(looking, back) for back in (None, "599s", "10m")]
        await h.advance("1m")
        assert [await h.result(run) for run in runs] == [None, None, 1]


async def test_time_out_is_an_error_or_none_as_the_code_says(harness: OpenHarness) -> None:
    @task
    async def waiting(on_timeout: str) -> Any:
        try:
            return await wait_for_event("paid", key="a", timeout="1h", on_timeout=on_timeout)
        except EventTimedOut as error:
            return str(error)

    async with harness(waiting) as h:
        runs = [await h.trigger(waiting, how) for how in ("none", "raise")]
        await h.advance("59m59s")
        assert [await h.status(run) for run in runs] == ["waiting", "waiting"]
        await h.advance("1s")
        assert [await h.result(run) for run in runs] == [None, "no event 'paid' of 'a' came in time (event.paid#1)"]


async def test_no_time_to_wait_is_a_look_at_what_is_there(harness: OpenHarness) -> None:
    @task
    async def looking() -> list[Any]:
        found = [await wait_for_event("paid", timeout=0, on_timeout="none")]
        await sleep("1h")
        return [*found, await wait_for_event("paid", timeout=0, on_timeout="none")]

    async with harness(looking) as h:
        run = await h.trigger(looking)
        await h.until_idle()
        await h.client.send_event("paid", 1)
        await h.advance("1h")
        assert await h.result(run) == [None, 1]


async def test_a_payload_that_is_something_else_fails_the_wait_and_names_the_event(harness: OpenHarness) -> None:
    async with harness(paying) as h:
        run = await h.trigger(paying, "a")
        await h.until_idle()
        sent = await h.client.send_event("paid", {"number": 7}, key="a")
        with pytest.raises(RunFailed, match=rf"event {sent.id} \(event.paid#1\).*number: found") as caught:
            await h.result(run)
        assert isinstance(caught.value.__cause__, EventMismatch)


async def test_a_retry_of_the_run_waits_anew_for_what_timed_out(harness: OpenHarness) -> None:
    @task(retry=Retry(max_attempts=2, min_delay="1m"))
    async def insisting() -> Any:
        return await wait_for_event("paid", timeout="1h")

    async with harness(insisting) as h:
        run = await h.trigger(insisting)
        await h.advance("1h")
        await h.advance("1m")
        assert "for event 'paid', at most 1h more" in await h.why(run)
        await h.client.send_event("paid", "late")
        assert await h.result(run) == "late"
        assert len(await entries(h, run, EntryKind.WAIT_OPENED)) == 2


# -- sending


async def test_a_run_sends_an_event_once_however_often_it_is_replayed_and_tried_again(harness: OpenHarness) -> None:
    left = ["once", "twice"]

    @task(retry=Retry(max_attempts=3, min_delay="1s"))
    async def sending() -> str:
        sent = await send_event("shipped", Point(1, 2), key="a")
        await sleep("1d")
        if left:
            raise Flaky(left.pop())
        return sent

    async with harness(sending) as h:
        run = await h.trigger(sending)
        for _ in range(4):
            await h.advance("1d")
        (event,) = await h.client.events()
        assert await h.result(run) == event.id == f"{run.id}:send_event.shipped#1"
        assert (event.payload, event.sent_by) == ('{"x":1,"y":2}', f"run {run.id}")


async def test_what_was_sent_before_a_crash_stands_though_the_code_would_now_send_another(harness: OpenHarness) -> None:
    """As after a turn that died between sending and recording: the event is there under the operation's own id."""

    @task
    async def sending() -> str:
        return await send_event("shipped", "now another")

    async with harness(sending) as h:
        run = await h.client.trigger(sending)
        await h.client.send_event("shipped", "the first", id=f"{run.id}:send_event.shipped#1")
        assert await h.result(run) == f"{run.id}:send_event.shipped#1"
        assert [event.payload for event in await h.client.events()] == ['"the first"']


async def test_one_run_sends_what_another_waits_for(harness: OpenHarness) -> None:
    @task
    async def sending() -> None:
        await send_event("paid", Invoice(number="7", total=9.0), key="a")

    async with harness(paying, sending) as h:
        run = await h.trigger(paying, "a")
        await h.run(sending)
        assert await h.result(run) == 9.0


async def test_an_id_of_one_s_own_makes_one_event_of_what_is_sent_under_it(harness: OpenHarness) -> None:
    @task
    async def sending(payload: int) -> str:
        try:
            return await send_event("shipped", payload, event_id="parcel-1")
        except IdempotencyMismatch as error:
            return str(error)

    async with harness(sending) as h:
        assert await h.run(sending, 1) == "parcel-1"
        assert await h.run(sending, 1) == "parcel-1"
        assert "parcel-1 was sent before" in await h.run(sending, 2)
        assert len(await h.client.events()) == 1


# -- what is refused


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"name": ""}, InvalidName),
        ({"name": " "}, InvalidName),
        ({"name": "a:b"}, InvalidName),
        ({"name": "a\nb"}, InvalidName),
        ({"name": "x" * 201}, InvalidName),
        ({"key": "x" * 501}, InvalidName),
        ({"key": "a\0b"}, InvalidName),
        ({"timeout": -1}, InvalidDuration),
        ({"timeout": float("nan")}, InvalidDuration),
        ({"timeout": "40000d"}, InvalidDuration),
        ({"look_back": -1}, InvalidDuration),
        ({"on_timeout": "maybe"}, DefinitionError),
    ],
)
async def test_bad_input_is_refused_where_it_is_written(
    live: OpenHarness, bad: dict[str, Any], error: type[Exception]
) -> None:
    @task
    async def waiting() -> None:
        given: dict[str, Any] = {"name": "paid"} | bad
        await wait_for_event(given.pop("name"), **given)

    async with live(waiting) as h:
        with pytest.raises(RunFailed) as caught:
            await h.run(waiting)
        assert isinstance(caught.value.__cause__, error)


async def test_a_payload_that_cannot_be_sent_is_refused_with_the_operation_it_is_of(live: OpenHarness) -> None:
    @task
    async def sending(size: int) -> str:
        try:
            await send_event("shipped", "x" * size if size else object())
        except (PayloadTooLarge, NotRecordable) as error:
            return f"{type(error).__name__}: {error}"
        return "sent"

    async with live(sending) as h:
        assert "send_event('shipped'): the value takes" in await h.run(sending, LIMIT)
        assert (await h.run(sending, 0)).startswith("NotRecordable")
        assert await h.client.events() == []


async def test_a_step_cannot_wait_or_send(live: OpenHarness) -> None:
    @step
    async def inside(what: str) -> Any:
        calls: dict[str, Any] = {"wait": wait_for_event, "send": send_event, "receive": receive_events}
        return await calls[what]("paid")

    @task
    async def outside(what: str) -> Any:
        return await inside(what)

    async with live(outside) as h:
        for what in ("wait", "send", "receive"):
            with pytest.raises(RunFailed, match="inside step inside#1") as caught:
                await h.run(outside, what)
            assert isinstance(caught.value.__cause__, UnsupportedAwait)


async def test_outside_a_run_and_inside_asyncio_s_wait_for_there_is_no_waiting(live: OpenHarness) -> None:
    @task
    async def hurried() -> Any:
        return await wait_for(wait_for_event("paid"), "1s")

    for call in (wait_for_event, send_event, receive_events):
        with pytest.raises(UnsupportedAwait, match="outside a run"):
            await call("paid")
    async with live(hurried) as h:
        with pytest.raises(RunFailed, match="give the wait a timeout of its own"):
            await h.run(hurried)


async def test_code_that_now_waits_for_another_key_stops_the_run(harness: OpenHarness) -> None:
    asked = ["a"]

    @task
    async def waiting() -> Any:
        return await wait_for_event("paid", key=asked[0])

    async with harness(waiting) as h:
        run = await h.trigger(waiting)
        await h.until_idle()
        asked[0] = "b"
        await h.client.send_event("paid", 1, key="a")
        assert await h.status(run) == "needs_attention"
        assert "a wait for event 'paid:a', the code asks for one for 'paid:b'" in await h.why(run)
        assert await keys(h, run) == []
