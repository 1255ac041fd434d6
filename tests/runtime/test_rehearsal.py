"""Dry replay, and what it does not do: nothing happens that is not recorded, and it always comes to an end."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import agentflow
from agentflow import (
    Fatal,
    Retry,
    create_callback,
    fallback,
    gather,
    now,
    on_rollback,
    operation,
    receive_events,
    send_event,
    sleep,
    sleep_until,
    step,
    task,
    wait_for,
    wait_for_approval,
    wait_for_event,
    wait_until,
)
from agentflow.runtime.dry.replaying import Broken, DryReplay, Fits, dry_replay
from agentflow.states import EntryKind
from tests.support.tasks import Flaky, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow.runtime.dry.rehearsal import Asked
    from agentflow.testing import Harness
    from tests.runtime.conftest import OpenHarness

ledger = Ledger()


@pytest.fixture(autouse=True)
def _empty_ledger() -> None:
    ledger.clear()


@step
async def one(n: int = 1) -> str:
    ledger.add("one")
    return f"one {n}"


@step
async def two() -> str:
    ledger.add("two")
    return "two"


async def effect(name: str = "effect") -> str:
    ledger.add(name)
    return name


async def gate() -> str:
    return (await wait_for_approval("go on?", key="gate")).outcome


async def looked_at(h: Harness, run: Any, code: Any, **options: Any) -> DryReplay:
    """What a dry replay says; nothing may have happened by it, nor may the journal have grown."""
    await h.until_idle()
    before, known = dict(ledger), await h.journal(run)
    found = await dry_replay(await h.client.run(run.id), known, code, **options)
    assert dict(ledger) == before, "a dry replay has effects"
    assert await h.journal(run) == known
    return found


@task(id="changing")
async def first_version() -> list[str]:
    return [await one(), await gate(), await two()]


@task
async def child() -> None:
    ledger.add("child")


@step(effect="at_most_once")
async def once() -> None:
    ledger.add("once")


NEXT: dict[str, Callable[[], Any]] = {
    "coming#1": effect,
    "one#2": one,
    "once#1": once,
    "child#1": child,
    "child.trigger#1": child.trigger,
    "chain#1/effect#1": fallback(effect, one, name="chain"),
    "now#1": now,
    "sleep#1": lambda: sleep("0.1s"),
    "sleep_until#1": lambda: sleep_until(datetime(2020, 1, 1, tzinfo=UTC)),
    "approval#1": lambda: wait_for_approval("?", timeout="1s"),
    "wait_for#1": lambda: wait_for(effect(), "1h"),
    "wait_until#1": lambda: wait_until(effect),
    "gather#1[0]/effect#1": lambda: gather(effect()),
    "map#1[0]/effect#1": lambda: agentflow.map(effect, ["effect"]),
    "event.paid#1": lambda: wait_for_event("paid", timeout="1s"),
    "send_event.paid#1": lambda: send_event("paid", 1),
    "receive_events.paid#1": lambda: receive_events("paid"),
    "callback#1": create_callback,
    "on_rollback#1": lambda: on_rollback(effect),
}


@pytest.mark.parametrize("key", NEXT)
async def test_nothing_that_is_not_recorded_is_called(live: OpenHarness, key: str) -> None:
    """Whatever a run comes to next is rested at, and does not happen."""

    @task(id="begins")
    async def begins() -> None:
        await one()
        coming = NEXT[key]()
        await coming

    @task(id="begins")
    async def only_begins() -> None:
        await one()
        await gate()

    async with live(only_begins, child) as h:
        run = await h.trigger(only_begins)
        await h.until_idle()
        entries = [each for each in await h.journal(run) if each.key in {None, "one#1"}]
        before = dict(ledger)
        found = await dry_replay(await h.client.run(run.id), entries, begins)
        assert isinstance(found, Fits), found
        assert found.frontier == (key,)
        assert dict(ledger) == before
        assert not (await h.client.runs(task="child")).items


@step
async def fails() -> None:
    raise Fatal("no")


RECORDED: dict[str, Callable[[], Any]] = {
    "step": one,
    "task": child,
    "trigger": child.trigger,
    "child": child.trigger_and_wait,
    "value": now,
    "timer": lambda: sleep("0.1s"),
    "callback": create_callback,
    "receive": lambda: receive_events("paid"),
    "send": lambda: send_event("paid", 1),
    "gather": lambda: gather(one(), one()),
    "map": lambda: agentflow.map(one, [1, 2]),
    "chain": fallback(one, effect, name="chain"),
    "failure": fails,
    "failed gather": lambda: gather(fails(), one()),
}


@pytest.mark.parametrize("kind", RECORDED)
async def test_what_a_plain_function_does_after_its_last_recorded_operation_is_not_done(
    live: OpenHarness, kind: str
) -> None:
    async def does_more() -> None:
        with suppress(Fatal):
            await RECORDED[kind]()
        ledger.add("more")
        await gate()

    @task
    async def calling() -> None:
        await does_more()

    async with live(calling, child) as h:
        run = await h.trigger(calling)
        await h.until_idle()
        assert ledger["more"] >= 1
        entries = [each for each in await h.journal(run) if "gate" not in (each.key or "")]
        before = dict(ledger)
        found = await dry_replay(await h.client.run(run.id), entries, calling)
        assert found == Fits(("does_more#1",))
        assert dict(ledger) == before


async def test_an_awaited_function_is_followed_only_as_far_as_it_is_recorded(live: OpenHarness) -> None:
    """What a plain function does after its last recorded operation may be anything, so it is not done."""

    async def announced() -> str:
        outcome = await gate()
        ledger.add(f"announced {outcome}")
        return outcome

    async def both() -> str:
        await gather(gate(), one())
        ledger.add("both")
        return "both"

    @task(id="announcing")
    async def announcing() -> list[str]:
        return [await announced(), await both()]

    @task(id="announcing")
    async def stopping() -> None:
        await two()

    async with live(announcing) as h:
        run = await h.trigger(announcing)
        approval = await h.only_approval(run)
        assert await looked_at(h, run, announcing) == Fits(("announced#1/gate#1",))
        await h.restart(stopping)
        await h.approve(approval)
        await h.until_idle()
        assert await looked_at(h, run, announcing) == Fits(("announced#1",))
        assert ledger == {}


async def test_code_that_waits_for_something_else_is_given_up_with_its_line(live: OpenHarness) -> None:
    class Connection:
        async def __aenter__(self) -> None:
            await asyncio.get_running_loop().create_future()

        async def __aexit__(self, *exc: object) -> None: ...

    @task(id="changing")
    async def hanging() -> None:
        await one()
        async with Connection():
            await gate()

    async with live(first_version) as h:
        run = await h.trigger(first_version)
        found = await looked_at(h, run, hanging, limit=timedelta(seconds=1))
        assert isinstance(found, Broken)
        line = Connection.__aenter__.__code__.co_firstlineno + 1
        assert isinstance(found.error, TimeoutError)
        assert f"{__file__}:{line} for something that is no recorded operation" in str(found)


async def test_code_that_does_not_let_itself_be_stopped_is_left_behind(live: OpenHarness) -> None:
    released = asyncio.Event()

    class Stubborn:
        async def __aenter__(self) -> None:
            while not released.is_set():
                try:
                    await released.wait()
                except asyncio.CancelledError:
                    ledger["ignored"] += 1

        async def __aexit__(self, *exc: object) -> None: ...

    @task(id="changing")
    async def hanging() -> None:
        async with Stubborn():
            await one()

    async with live(first_version) as h:
        run = await h.trigger(first_version)
        await h.until_idle()
        entries = await h.journal(run)
        found = await dry_replay(await h.client.run(run.id), entries, hanging, limit=timedelta(seconds=1))
        assert isinstance(found, Broken)
        assert ledger["ignored"] >= 1
        released.set()


async def test_a_run_that_is_tried_again_rests_at_what_failed(live: OpenHarness) -> None:
    @step
    async def shaky() -> None:
        ledger.add("shaky")
        raise Flaky("again")

    @task(retry=Retry(max_attempts=3, min_delay="1h"))
    async def retried() -> None:
        await one()
        await shaky()

    @step(name="shaky", retry=Retry(max_attempts=3, min_delay="1h"))
    async def retried_itself() -> None:
        ledger.add("shaky")
        raise Flaky("again")

    @task
    async def calling() -> None:
        await retried_itself()

    @task
    async def nesting() -> None:
        await retried()

    async with live(retried, calling, nesting) as h:
        for code, key in ((retried, "shaky#1"), (calling, "shaky#1"), (nesting, "retried#1/shaky#1")):
            run = await h.trigger(code)
            assert await looked_at(h, run, code) == Fits((key,))


async def test_a_chain_goes_on_after_its_recorded_failures(live: OpenHarness) -> None:
    @step
    async def first() -> str:
        raise Flaky("no")

    @task
    async def chained() -> list[str]:
        return [await fallback(first, one, name="chain")(), await gate()]

    async with live(chained) as h:
        run = await h.trigger(chained)
        assert await looked_at(h, run, chained) == Fits(("gate#1/gate#1",))


async def test_an_operation_that_is_in_doubt_is_rested_at(live: OpenHarness) -> None:
    @step(effect="at_most_once")
    async def once() -> None:
        ledger.add("once")

    @task
    async def doubtful() -> None:
        await once()
        await gate()

    async with live(doubtful) as h:
        run = await h.trigger(doubtful)
        await h.until_idle()
        entries = [each for each in await h.journal(run) if each.kind in {EntryKind.TRIGGERED, EntryKind.STARTED}]
        found = await dry_replay(await h.client.run(run.id), entries, doubtful)
        assert found == Fits(("once#1",))


async def test_what_the_code_asks_for_can_be_watched(live: OpenHarness) -> None:
    async with live(first_version) as h:
        run = await h.trigger(first_version)
        seen: list[Asked] = []
        await looked_at(h, run, first_version, watch=seen.append)
        assert [each.key for each in seen] == ["one#1", "gate#1", "gate#1/gate#1"]
        assert seen[0].recorded is not None
        assert seen[0].recorded.final is not None
        assert seen[0].recorded.final.output == '"one 1"'


async def test_the_code_may_ask_which_operation_it_is_in(live: OpenHarness) -> None:
    async def named() -> str:
        found = operation()
        await gate()
        return found.key if found else ""

    @task
    async def naming() -> str:
        return await named()

    async with live(naming) as h:
        run = await h.trigger(naming)
        assert await looked_at(h, run, naming) == Fits(("named#1/gate#1",))


async def test_an_attempt_that_was_cut_off_is_rested_at_where_it_would_be_made_again(live: OpenHarness) -> None:
    @step
    async def shaky() -> None:
        raise Flaky("again")

    @task(retry=Retry(max_attempts=3, min_delay="1h"))
    async def retried() -> None:
        await shaky()

    @task
    async def nesting() -> None:
        await retried()

    async with live(nesting) as h:
        run = await h.trigger(nesting)
        await h.until_idle()
        entries = [each for each in await h.journal(run) if each.key in {None, "retried#1/shaky#1"}]
        found = await dry_replay(await h.client.run(run.id), entries, nesting)
        assert found == Fits(("retried#1",))


async def test_a_wait_with_a_time_limit_is_rested_at(live: OpenHarness) -> None:
    @task
    async def limited() -> None:
        await gather(wait_for_event("paid", timeout="1h"), gate())

    async with live(limited) as h:
        run = await h.trigger(limited)
        assert await looked_at(h, run, limited) == Fits(("gather#1[0]/event.paid#1", "gather#1[1]/gate#1/gate#1"))
