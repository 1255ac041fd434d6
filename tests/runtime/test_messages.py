"""Streams of messages, and waits side by side: each branch gets its own, and what one leaves stays for the next."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from agentflow import AgentFlow, gather, receive_events, sleep, step, task, wait_for_event
from tests.support.tasks import Flaky, keys

if TYPE_CHECKING:
    from pathlib import Path

    from tests.runtime.conftest import OpenHarness


async def test_a_run_gets_each_message_of_a_stream_once_and_in_order(harness: OpenHarness) -> None:
    many = 100

    @task
    async def reading() -> list[int]:
        return [await wait_for_event("line", queue=True, type=int) for _ in range(many)]

    async with harness(reading) as h:
        run = await h.trigger(reading)
        for number in range(many // 2):
            await h.client.send_event("line", number)
        await h.until_idle()
        for number in range(many // 2, many):
            await h.client.send_event("line", number)
        assert await h.result(run) == list(range(many))


async def test_a_backlog_of_a_thousand_messages_is_read_in_order_within_one_turn(live: OpenHarness) -> None:
    @task
    async def reading() -> int:
        await sleep("1h")
        seen = [await wait_for_event("line", queue=True, type=int) for _ in range(100)]
        while more := await receive_events("line", type=int, limit=400):
            seen += more
        assert seen == list(range(1, 1001))
        return len(seen)

    async with live(reading) as h:
        run = await h.trigger(reading)
        await h.until_idle()
        await asyncio.gather(*(h.client.send_event("line", number) for number in range(1, 1001)))
        await h.advance("1h")
        assert await h.result(run) == 1000
        assert (await h.client.run(run.id)).epoch == 2


async def test_branches_that_read_one_stream_share_it(harness: OpenHarness) -> None:
    async def read(count: int) -> list[int]:
        return [await wait_for_event("line", queue=True) for _ in range(count)]

    @task
    async def sharing() -> list[list[int]]:
        return list(await gather(read(3), read(3)))

    async with harness(sharing) as h:
        run = await h.trigger(sharing)
        for number in range(6):
            await h.client.send_event("line", number)
            await h.until_idle()
        left, right = await h.result(run)
        assert sorted(left + right) == list(range(6))
        assert (left, right) == (sorted(left), sorted(right))


async def test_receiving_gives_what_is_there_now_and_what_came_meanwhile_the_next_time(harness: OpenHarness) -> None:
    @task
    async def steered() -> list[Any]:
        seen = [await receive_events("hint", type=str)]
        for _ in range(2):
            await sleep("1h")
            seen.append(await receive_events("hint", type=str))
        return [*seen, await wait_for_event("hint", queue=True), await receive_events("hint")]

    async with harness(steered) as h:
        run = await h.trigger(steered)
        await h.until_idle()
        for hint in ("left", "right"):
            await h.client.send_event("hint", hint)
        await h.advance("1h")
        await h.advance("1h")
        for hint in ("stop", "really"):
            await h.client.send_event("hint", hint)
        assert await h.result(run) == [[], ["left", "right"], [], "stop", ["really"]]


# -- several waits at once


async def test_branches_wait_for_an_event_and_a_timer_side_by_side(harness: OpenHarness) -> None:
    @task
    async def both() -> list[Any]:
        async def pause() -> str:
            await sleep("1h")
            return "rested"

        return list(await gather(wait_for_event("paid", timeout="2d"), pause()))

    async with harness(both) as h:
        run = await h.trigger(both)
        await h.advance("1h")
        assert await h.status(run) == "waiting"
        await h.client.send_event("paid", 1)
        assert await h.result(run) == [1, "rested"]


async def test_a_wait_beside_work_times_out_while_the_work_goes_on(tmp_path: Path) -> None:
    """In real time: the worker must hear of the new deadline though the run is not parked."""
    given_up = asyncio.Event()

    @step
    async def working() -> str:
        await given_up.wait()
        return "worked"

    async def waiting() -> None:
        await wait_for_event("paid", timeout="50ms", on_timeout="none")
        given_up.set()

    @task
    async def both() -> Any:
        return (await gather(working(), waiting()))[0]

    async with AgentFlow(both, database=f"sqlite:///{tmp_path}/runs.db"), asyncio.timeout(5):
        assert await (await both.trigger()) == "worked"


async def test_a_run_that_was_cancelled_while_it_waited_waits_anew_when_it_is_tried_again(harness: OpenHarness) -> None:
    @task
    async def waiting() -> Any:
        return await gather(wait_for_event("paid", timeout="3d"), wait_for_event("go", queue=True))

    async with harness(waiting) as h:
        run = await h.trigger(waiting)
        await h.until_idle()
        await h.client.cancel(run.id, by="mia")
        assert await h.client.waits(run.id) == []
        await h.advance("2d")
        await h.client.retry(run.id, by="mia")
        assert await h.status(run) == "waiting"
        await h.client.send_event("go", "on")
        await h.until_idle()
        assert "for event 'paid', at most 3d more" in await h.why(run)
        await h.client.send_event("paid", 1)
        assert await h.result(run) == (1, "on")


async def test_a_fork_has_had_what_it_begins_with_and_reads_on_from_there(harness: OpenHarness) -> None:
    """Also what was sent to the original before there was a fork: the fork goes on in the original's place."""

    @task
    async def reading() -> list[Any]:
        seen = [await wait_for_event("line", queue=True), *await receive_events("line", limit=1)]
        await sleep("1h")
        return [*seen, await wait_for_event("line", queue=True), await wait_for_event("paid")]

    async with harness(reading) as h:
        run = await h.trigger(reading)
        await h.until_idle()
        for number in range(1, 4):
            await h.client.send_event("line", number)
        await h.client.send_event("paid", "in full")
        await h.advance("2h")
        assert await h.result(run) == [1, 2, 3, "in full"]
        fork = await h.client.fork(run.id, by="mia", from_="sleep#1")
        await h.advance("1h")
        assert await h.result(fork) == [1, 2, 3, "in full"]
        assert [key for key in await keys(h, fork) if key.startswith("receive")] == ["receive_events.line#1"]


async def test_a_branch_that_fails_withdraws_what_the_others_wait_for(harness: OpenHarness) -> None:
    async def failing() -> None:
        await sleep("1h")
        raise Flaky("no")

    @task
    async def both() -> Any:
        try:
            await gather(failing(), wait_for_event("paid", queue=True))
        except Flaky:
            return await wait_for_event("paid", queue=True)

    async with harness(both) as h:
        run = await h.trigger(both)
        await h.advance("1h")
        assert [wait.key for wait in await h.client.waits(run.id)] == ["event.paid#1"]
        await h.client.send_event("paid", 1)
        assert await h.result(run) == 1
