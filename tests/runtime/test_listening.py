"""`@task.on`: an event starts a run of each task that listens for it, once, as the task's own code says."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from agentflow import Batch, Debounce, Listener, Queue, gather, send_event, task, wait_for_event
from agentflow.errors import DefinitionError
from agentflow.requests import MatchFilter, RunFilter
from agentflow.states import MatchStatus
from agentflow.worker import judging

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import Match, Run
    from agentflow.tasks.listener import ReceivedEvent
    from agentflow.testing import Harness
    from tests.runtime.conftest import OpenHarness


class Invoice(BaseModel):
    number: str
    total: float = 0.0


@task.on("invoice.*")
@task
async def book(invoice: Invoice) -> str:
    return invoice.number


@task.on("invoice.paid")
@task
async def thank(number: str, total: float) -> str:
    return f"{number}: {total}"


@task.on("*")
@task
async def count() -> int:
    return 1


async def of_task(h: Harness, name: str) -> Sequence[Run]:
    await h.until_idle()
    return [one for one in (await h.store.runs(RunFilter(limit=500))).items if one.task == name]


async def results(h: Harness, name: str) -> list[Any]:
    return sorted([await h.result(one) for one in await of_task(h, name)])


async def the_match(h: Harness, listener_id: str) -> Match:
    await h.until_idle()
    [found] = [one for one in await h.client.recent_matches() if one.listener_id == listener_id]
    return found


async def test_one_event_starts_each_task_that_listens_for_it_once(harness: OpenHarness) -> None:
    async with harness(book, thank, count) as h:
        await h.send_event("invoice.paid", {"number": "7", "total": 1.5}, key="k")

        assert await results(h, "book") == ["7"]
        assert await results(h, "thank") == ["7: 1.5"]
        assert await results(h, "count") == [1]
        [run] = await of_task(h, "book")
        assert run.origin == "event invoice.paid"


async def test_a_task_hears_only_what_its_pattern_fits(harness: OpenHarness) -> None:
    async with harness(book, thank, count) as h:
        await h.send_event("invoice.sent", {"number": "8"})
        await h.send_event("invoice", {"number": "9"})

        assert await results(h, "book") == ["8"]
        assert await results(h, "thank") == []
        assert await results(h, "count") == [1, 1]


async def test_the_same_event_again_starts_nothing(harness: OpenHarness) -> None:
    async with harness(book) as h:
        for _ in range(3):
            await h.client.send_event("invoice.paid", {"number": "7"}, id="evt_once")
            await h.until_idle()

        assert await results(h, "book") == ["7"]


async def test_where_and_input_get_the_payload_as_what_they_are_annotated_with(harness: OpenHarness) -> None:
    def is_large(invoice: Invoice) -> bool:
        return invoice.total > 100

    def review(invoice: Invoice, received: ReceivedEvent) -> dict[str, Any]:
        return {"number": invoice.number, "who": received.sent_by, "of": f"{received.name} {received.key}"}

    @task.on("invoice.*", where=is_large, input=review)
    @task
    async def look(number: str, who: str, of: str) -> str:
        return f"{number} {who} {of}"

    async with harness(look) as h:
        await h.send_event("invoice.paid", {"number": "small", "total": 1}, key="k")
        await h.send_event("invoice.paid", {"number": "large", "total": 1000}, key="k")

        assert await results(h, "look") == ["large tester invoice.paid k"]
        outcomes = {one.status: one.reason for one in await h.client.recent_matches()}
        assert outcomes == {MatchStatus.STARTED: None, MatchStatus.IGNORED: judging.SAID_NO}


async def test_async_where_and_input_are_awaited(harness: OpenHarness) -> None:
    async def wanted(payload: Any) -> bool:
        return bool(payload["yes"])

    async def number(payload: Any) -> str:
        return str(payload["n"])

    @task.on("a", where=wanted, input=number)
    @task
    async def take(n: str) -> str:
        return n

    async with harness(take) as h:
        await h.send_event("a", {"yes": True, "n": 1})
        await h.send_event("a", {"yes": False, "n": 2})

        assert await results(h, "take") == ["1"]


async def test_an_event_that_a_run_sends_starts_a_run_once_however_often_it_is_replayed(harness: OpenHarness) -> None:
    @task
    async def sender() -> None:
        await send_event("invoice.paid", {"number": "1"})
        await gather(send_event("invoice.paid", {"number": "2"}), send_event("invoice.paid", {"number": "3"}))

    async with harness(sender, book) as h:
        await h.run(sender)

        assert await results(h, "book") == ["1", "2", "3"]


async def test_an_event_both_wakes_the_run_that_waits_for_it_and_starts_another(harness: OpenHarness) -> None:
    @task
    async def waiting() -> str:
        return str((await wait_for_event("invoice.paid", key="k"))["number"])

    async with harness(waiting, book) as h:
        run = await h.trigger(waiting)
        assert await h.status(run) == "waiting"
        sent = await h.send_event("invoice.paid", {"number": "7"}, key="k")

        assert await h.result(run) == "7"
        assert await results(h, "book") == ["7"]
        assert (await h.client.event(sent.id)).woken == f'["{run.id}"]'


async def test_what_was_sent_while_no_worker_was_there_starts_its_run_when_one_comes(live: OpenHarness) -> None:
    async with live(book) as h:
        await h.worker.stop()
        await h.send_event("invoice.paid", {"number": "7"})
        await h.restart()

        assert await results(h, "book") == ["7"]


# -- what goes wrong


async def test_a_where_that_raises_fails_the_event_with_what_it_raised_and_where(live: OpenHarness) -> None:
    def broken(payload: Any) -> bool:
        return bool(payload["missing"])

    @task.on("a", where=broken, id="careful")
    @task
    async def never() -> None: ...

    async with live(never) as h:
        await h.send_event("a", {})

        found = await the_match(h, "careful")
        assert found.status is MatchStatus.FAILED
        assert found.reason is not None
        assert found.reason.startswith("KeyError: 'missing' (line ")
        assert found.reason.endswith("in broken)")
        assert await of_task(h, "never") == []


async def test_a_payload_that_does_not_fit_is_shown_and_starts_its_run_after_the_fix(live: OpenHarness) -> None:
    async with live(book) as h:
        sent = await h.send_event("invoice.paid", {"nummer": "7"})
        found = await the_match(h, "book:invoice.*")
        assert found.status is MatchStatus.FAILED
        assert "number" in (found.reason or "")
        assert await of_task(h, "book") == []

        @task.on("invoice.*", input=lambda payload: {"number": payload["nummer"]})
        @task(id="book")
        async def fixed(invoice: Invoice) -> str:
            return invoice.number

        await h.restart(fixed)
        await h.client.retry_match(sent.id, "book:invoice.*", by="mia")

        assert await results(h, "book") == ["7"]
        assert (await the_match(h, "book:invoice.*")).status is MatchStatus.STARTED


async def test_code_that_hangs_fails_its_own_event_and_holds_up_no_other_listener(
    live: OpenHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging.judged, "__kwdefaults__", {"within": 0.2})
    release = threading.Event()

    def hangs(_: Any) -> bool:
        release.wait(30)
        return True

    @task.on("invoice.*", where=hangs, id="slow")
    @task
    async def never() -> None: ...

    async with live(never, book) as h:
        await h.send_event("invoice.paid", {"number": "7"})

        found = await the_match(h, "slow")
        assert found.status is MatchStatus.FAILED
        assert "longer than 0.2 s" in (found.reason or "")
        assert await results(h, "book") == ["7"]
    release.set()


async def test_a_full_queue_is_waited_for(live: OpenHarness) -> None:
    @task.on("a")
    @task(queue=Queue("small", backlog=1))
    async def take(n: int) -> int:
        return n

    async with live(take, book) as h:
        await h.client.pause_queue("small", by="mia")
        for n in range(3):
            await h.send_event("a", n)
        await h.send_event("invoice.paid", {"number": "7"})
        assert await results(h, "book") == ["7"]  # whose listener does not wait for room
        assert len(await of_task(h, "take")) == 1
        await h.client.resume_queue("small", by="mia")
        for _ in range(3):
            await h.advance("6s")

        assert await results(h, "take") == [0, 1, 2]


async def test_events_fill_a_batch(live: OpenHarness) -> None:
    @task.on("a", input=lambda payload: {"items": [payload]})
    @task(batch=Batch(3, "1h"))
    async def together(items: list[int]) -> list[int]:
        return sorted(items)

    async with live(together) as h:
        for n in range(3):
            await h.send_event("a", n)

        assert await results(h, "together") == [[0, 1, 2]]
        assert len({one.run_id for one in await h.client.recent_matches()}) == 1


async def test_events_that_follow_each_other_become_one_run_of_the_last(live: OpenHarness) -> None:
    @task.on("a")
    @task(debounce=Debounce("5s", key="document"))
    async def index(document: str, version: int) -> str:
        return f"{document} v{version}"

    async with live(index) as h:
        for version in (1, 2, 3):
            await h.send_event("a", {"document": "x", "version": version})
            await h.until_idle()
        await h.send_event("a", {"document": "y", "version": 1})
        await h.until_idle()
        assert all(one.started_at is None for one in await of_task(h, "index"))
        await h.advance("5s")

        assert await results(h, "index") == ["x v3", "y v1"]
        found = await h.client.recent_matches()
        assert [one.status for one in found] == [MatchStatus.STARTED] * 4
        assert len({one.run_id for one in found}) == 2  # each says which run it became part of


async def test_an_event_for_a_task_that_is_running_is_passed_over_or_joins_as_the_task_says(live: OpenHarness) -> None:
    @task.on("a", id="skips")
    @task(singleton="skip")
    async def one_only(n: int) -> int:
        await wait_for_event("go", key="skip")
        return n

    @task.on("a", id="joins")
    @task(singleton="join")
    async def shared(n: int) -> int:
        await wait_for_event("go", key="join")
        return n

    async with live(one_only, shared) as h:
        for n in (1, 2):
            await h.send_event("a", n)
            await h.until_idle()
        [skipping], [joining] = await of_task(h, "one_only"), await of_task(h, "shared")
        found = {(one.listener_id, one.status): one for one in await h.client.recent_matches()}
        assert set(found) == {
            ("skips", MatchStatus.STARTED), ("skips", MatchStatus.IGNORED), ("joins", MatchStatus.STARTED)
        }  # fmt: skip
        assert skipping.id in (found["skips", MatchStatus.IGNORED].reason or "")
        assert {one.run_id for one in await h.client.recent_matches() if one.listener_id == "joins"} == {joining.id}

        for key in ("skip", "join"):
            await h.send_event("go", key=key)
        await h.send_event("a", 3)  # nothing is open any more

        assert sorted(one.input for one in await of_task(h, "one_only")) == ['{"n":1}', '{"n":3}']


# -- definitions


async def test_a_module_level_listener_starts_the_task_it_names(live: OpenHarness) -> None:
    @task
    async def plain(n: int) -> int:
        return n

    plain.add_listener(Listener("a.b", task="plain"))

    async with live(plain) as h:
        await h.send_event("a.b", 3)

        assert await results(h, "plain") == [3]


async def test_two_listeners_with_one_id_are_refused_at_start_up(live: OpenHarness) -> None:
    @task.on("a", id="same")
    @task
    async def first() -> None: ...

    @task.on("b", id="same")
    @task
    async def second() -> None: ...

    with pytest.raises(DefinitionError, match="two listeners have the id 'same'"):
        async with live(first, second):
            pass


async def test_where_nothing_listens_no_worker_looks_for_events(live: OpenHarness) -> None:
    @task
    async def plain() -> None: ...

    async with live(plain) as h:
        await h.send_event("a")
        await h.until_idle()

        assert await h.client.listeners() == []
        assert await h.store.recent_matches(MatchFilter()) == []
        assert h.worker._matching._loops == []
