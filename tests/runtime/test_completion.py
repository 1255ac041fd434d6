"""`until=`: when branches have done enough, what becomes of the rest, and that a replay tells the same."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

import agentflow
from agentflow import (
    Branches,
    CompletionFailed,
    Retry,
    RunFailed,
    all_succeed,
    at_least,
    first_success,
    gather,
    sleep,
    step,
    task,
    tolerate,
    wait_for_approval,
)
from agentflow.errors import ApprovalWithdrawn, DefinitionError
from agentflow.states import EntryKind
from tests.support.tasks import Flaky, Invoice, Ledger, entries

if TYPE_CHECKING:
    from agentflow.records import Entry
    from tests.runtime.conftest import OpenHarness

ledger = Ledger()


@pytest.fixture(autouse=True)
def _empty_ledger() -> None:
    ledger.clear()


@step
async def done(n: int) -> int:
    ledger.add(f"done {n}")
    return n


@step
async def failing(n: int) -> int:
    ledger.add(f"failing {n}")
    raise Flaky(str(n))


async def asking(n: int) -> int:
    return int((await wait_for_approval(n, key=f"gate {n}")).data)


async def do(what: str) -> int:
    word, n = what.split()
    calls: dict[str, Any] = {"done": done, "failing": failing, "asking": asking}
    return int(await calls[word](int(n)))


def told(branches: Branches[int]) -> list[str]:
    """Each branch in a few words."""
    return [f"{one.index} {one.status}: {one.value if one.error is None else one.error!r}" for one in branches]


async def only_entry(h: Any, run: Any, key: str) -> Entry:
    [found] = [one for one in await entries(h, run, EntryKind.SUCCEEDED, EntryKind.FAILED) if one.key == key]
    return found  # type: ignore[no-any-return]


async def test_the_first_success_stops_the_others_and_withdraws_their_gates(harness: OpenHarness) -> None:
    @task
    async def racing() -> list[str]:
        found = await gather(do("failing 0"), do("asking 1"), do("done 2"), do("asking 3"), until=first_success())
        assert (found.values, found.succeeded) == ((2,), 1)
        assert [str(one) for one in found.errors] == ["0"]
        await wait_for_approval("go on?", key="after")
        return told(found)

    async with harness(racing) as h:
        run = await h.trigger(racing)
        last = await h.only_approval(run)
        assert last.key == "after#1"
        await h.restart()
        await h.approve(last)
        assert await h.result(run) == [
            "0 failed: Flaky('0')",
            "1 cancelled: None",
            "2 succeeded: 2",
            "3 cancelled: None",
        ]
        final = await only_entry(h, run, "gather#1")
        assert (final.kind, final.detail) == (EntryKind.SUCCEEDED, '{"branches": "fcsc"}')
    assert ledger == {"failing 0": 1, "done 2": 1}


async def test_a_decision_ends_the_race_and_the_gate_that_lost_is_withdrawn(harness: OpenHarness) -> None:
    @task
    async def racing() -> list[str]:
        found = await agentflow.map(asking, [1, 2, 3], until=at_least(2))
        await sleep("1d")
        return told(found)

    async with harness(racing) as h:
        run = await h.trigger(racing)
        first, second, third = sorted(await h.approvals(run), key=lambda one: one.data)
        await h.approve(third)
        await h.correct(first, 41)
        await h.until_idle()
        with pytest.raises(ApprovalWithdrawn):
            await h.approve(second)
        await h.advance("1d")
        assert await h.result(run) == ["0 succeeded: 41", "1 cancelled: None", "2 succeeded: 3"]


async def test_timers_race_and_the_sooner_ends_it(harness: OpenHarness) -> None:
    async def after(days: int) -> int:
        await sleep(f"{days}d")
        return await done(days)

    @task
    async def racing() -> list[str]:
        found = await agentflow.map(after, [3, 1, 2], until=first_success())
        await sleep("5d")
        return told(found)

    async with harness(racing) as h:
        run = await h.trigger(racing)
        await h.advance("1d")
        await h.advance("5d")
        assert await h.result(run) == ["0 cancelled: None", "1 succeeded: 1", "2 cancelled: None"]
    assert ledger == {"done 1": 1}


async def test_what_has_not_begun_when_enough_have_succeeded_never_begins(harness: OpenHarness) -> None:
    @task
    async def racing() -> list[str]:
        found = await agentflow.map(do, ["failing 0", "done 1", "done 2", "done 3"], concurrency=1, until=at_least(1))
        await wait_for_approval("go on?")
        return told(found)

    async with harness(racing) as h:
        run = await h.trigger(racing)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == [
            "0 failed: Flaky('0')",
            "1 succeeded: 1",
            "2 not_started: None",
            "3 not_started: None",
        ]
        assert (await only_entry(h, run, "map#1")).detail == '{"branches": "fsnn"}'
    assert ledger == {"failing 0": 1, "done 1": 1}


@pytest.mark.parametrize("rule", [tolerate(count=2), tolerate(share=0.5)])
async def test_tolerated_failures_are_told_of_and_raised_in_their_own_branch_only(
    harness: OpenHarness, rule: Any
) -> None:
    seen = []

    async def guarded(what: str) -> int:
        try:
            return await do(what)
        except Flaky as error:
            seen.append(str(error))
            raise

    @task
    async def mapping() -> list[str]:
        found = await agentflow.map(guarded, ["done 0", "failing 1", "failing 2", "done 3"], until=rule)
        await wait_for_approval("go on?")
        return told(found)

    async with harness(mapping) as h:
        run = await h.trigger(mapping)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == [
            "0 succeeded: 0",
            "1 failed: Flaky('1')",
            "2 failed: Flaky('2')",
            "3 succeeded: 3",
        ]
    assert set(seen) <= {"1", "2"}
    assert set(ledger.values()) == {1}


@pytest.mark.parametrize("rule", [tolerate(count=1), at_least(3), tolerate(share=0.25), all_succeed()])
async def test_a_rule_that_cannot_be_met_any_more_stops_the_rest_and_is_the_same_error_on_replay(
    harness: OpenHarness, rule: Any
) -> None:
    seen = []

    @task
    async def mapping() -> str:
        try:
            await agentflow.map(do, ["done 0", "failing 1", "asking 2", "failing 3"], until=rule)
        except CompletionFailed as error:
            seen.append((str(error), repr(error.__cause__), told(error.branches)))  # type: ignore[arg-type]
        return (await wait_for_approval("go on?", key="after")).outcome

    async with harness(mapping) as h:
        run = await h.trigger(mapping)
        last = await h.only_approval(run)
        assert last.key == "after#1", "the gate of the third is withdrawn"
        await h.crash()
        await h.approve(last)
        assert await h.result(run) == "approved"
        assert (await only_entry(h, run, "map#1")).kind is EntryKind.FAILED
    assert len(seen) > 1
    message, cause, branches = seen[0]
    assert message.startswith(f"map#1 cannot meet {rule.said} any more: ")
    assert message.endswith("of 4 branches failed, the first with Flaky: 1")
    assert cause == "Flaky('1')"
    assert branches[0] == "0 succeeded: 0"
    assert branches[2] == "2 cancelled: None"
    assert all(one == seen[0] for one in seen)
    assert max(ledger.values()) == 1


async def test_a_broken_rule_that_nobody_catches_fails_the_run_and_says_why(harness: OpenHarness) -> None:
    @task
    async def mapping() -> None:
        await gather(failing(0), failing(1), until=first_success())

    async with harness(mapping) as h:
        with pytest.raises(RunFailed, match=r"gather#1 cannot meet first_success\(\) any more: 2 of 2") as failed:
            await h.run(mapping)
    error = failed.value.__cause__
    assert isinstance(error, CompletionFailed)
    assert isinstance(error.__cause__, Flaky)
    assert error.branches == ()


async def test_a_retry_of_the_run_repeats_what_failed_and_goes_on_with_what_was_stopped(harness: OpenHarness) -> None:
    @step
    async def at_second(n: int) -> int:
        if ledger.add(f"at second {n}") == 1:
            raise Flaky(str(n))
        return n

    async def either(n: int) -> int:
        return await (at_second(n) if n < 2 else done(n) if n == 2 else asking(n))

    @task(retry=Retry(max_attempts=3, min_delay=0))
    async def mapping() -> list[str]:
        return told(await agentflow.map(either, range(4), until=at_least(3)))

    async with harness(mapping) as h:
        run = await h.trigger(mapping)
        assert await h.result(run) == ["0 succeeded: 0", "1 succeeded: 1", "2 succeeded: 2", "3 cancelled: None"]
    assert ledger == {"at second 0": 2, "at second 1": 2, "done 2": 1}


@pytest.mark.parametrize("rule", [None, at_least(1)])
async def test_a_retry_of_the_run_also_repeats_what_failed_between_operations(harness: OpenHarness, rule: Any) -> None:
    healed: list[bool] = []

    def fickle(n: int) -> Any:
        if not healed:
            raise Flaky(str(n))
        return done(n)

    @task(retry=Retry(max_attempts=2, min_delay="1h"))
    async def mapping() -> list[int]:
        return [one if rule is None else one.index for one in await agentflow.map(partial(fickle), [0], until=rule)]

    async with harness(mapping) as h:
        run = await h.trigger(mapping)
        await h.until_idle()
        healed.append(True)
        await h.advance("1h")
        assert await h.result(run) == [0]
    assert ledger == {"done 0": 1}


CHANGES = {
    "another item": (
        [0, 1, 2],
        first_success(),
        "done",
        "map map#1 with 2 branches, the code asks for the same with 3",
    ),
    "no rule": ([0, 1], None, "done", "map map#1 with a rule, by which not all branches succeeded"),
    "another outcome": ([0, 1], first_success(), "asked", "map map#1 with a branch 0 that failed"),
}


@pytest.mark.parametrize("what", list(CHANGES))
async def test_code_that_a_decided_rule_does_not_fit_any_more_is_a_divergence(live: OpenHarness, what: str) -> None:
    items, rule, word, said = CHANGES[what]
    current: dict[str, Any] = {"items": [0, 1], "rule": first_success(), "word": "done"}

    def fickle(n: int) -> Any:
        if n == 0 and current["word"] == "done":
            raise Flaky
        return done(n)

    @task
    async def mapping() -> str:
        await agentflow.map(partial(fickle), current["items"], until=current["rule"])
        return (await wait_for_approval("go on?")).outcome

    async with live(mapping) as h:
        run = await h.trigger(mapping)
        approval = await h.only_approval(run)
        current.update(items=items, rule=rule, word=word)
        await h.restart()
        await h.approve(approval)
        assert await h.status(run) == "needs_attention"
        assert said in await h.why(run)


async def test_a_later_failure_leaves_what_the_rule_tolerated_alone(harness: OpenHarness) -> None:
    @step
    async def flaky() -> None:
        if ledger.add("flaky") < 3:
            raise Flaky

    @task(retry=Retry(max_attempts=3, min_delay=0))
    async def mapping() -> list[str]:
        found = await agentflow.map(do, ["done 0", "failing 1"], until=tolerate(count=1))
        await flaky()
        return told(found)

    async with harness(mapping) as h:
        assert await h.run(mapping) == ["0 succeeded: 0", "1 failed: Flaky('1')"]
    assert ledger == {"done 0": 1, "failing 1": 1, "flaky": 3}


async def test_models_come_back_in_the_results_of_branches(harness: OpenHarness) -> None:
    @step
    async def read(number: str) -> Invoice:
        return Invoice(number=number)

    @task
    async def mapping() -> list[str]:
        found = await agentflow.map(read, ["a", "b"], until=all_succeed())
        await wait_for_approval("go on?")
        return [one.number for one in found.values]

    async with harness(mapping) as h:
        run = await h.trigger(mapping)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == ["a", "b"]


async def test_a_crash_before_the_end_goes_on_with_what_each_branch_has_recorded(live: OpenHarness) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    @step
    async def slow(n: int) -> int:
        if ledger.add(f"slow {n}") == 1:
            begun.set()
            await release.wait()
        return n

    @task
    async def racing() -> list[str]:
        return told(await gather(done(0), slow(1), failing(2), until=at_least(2)))

    async with live(racing) as h:
        run = await h.trigger(racing)
        await begun.wait()
        await h.crash()
        assert await h.result(run) == ["0 succeeded: 0", "1 succeeded: 1", "2 failed: Flaky('2')"]
    assert ledger == {"done 0": 1, "slow 1": 2, "failing 2": 1}


@pytest.mark.parametrize(("rule", "n"), [(at_least(3), 2), (first_success(), 0), (at_least(1), 0), (first_success, 2)])
async def test_a_rule_that_can_never_be_met_starts_nothing(harness: OpenHarness, rule: Any, n: int) -> None:
    @task
    async def mapping() -> str:
        said = []
        for parallel in (agentflow.map(done, range(n), until=rule), gather(*map(done, range(n)), until=rule)):
            try:
                await parallel
            except DefinitionError as error:
                said.append(str(error))
        assert len(said) == 2
        await done(100)
        await wait_for_approval("go on?")
        return said[0]

    async with harness(mapping) as h:
        run = await h.trigger(mapping)
        await h.approve(await h.only_approval(run))
        assert "never be met; nothing was started" in await h.result(run) or rule is first_success
    assert ledger == {"done 100": 1}


async def test_errors_as_results_and_a_rule_exclude_each_other() -> None:
    with pytest.raises(DefinitionError, match="each branch tells its error itself"):
        await gather(done(1), until=first_success(), return_exceptions=True)  # type: ignore[call-overload]
    assert not ledger
