"""`create_callback`: another system answers when it can, and the code asks when it likes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import (
    CallbackFailed,
    CallbackTimedOut,
    EventMismatch,
    RunFailed,
    create_callback,
    gather,
    log,
    sleep,
    step,
    task,
    wait_for_event,
)
from agentflow.errors import (
    CallbackLapsed,
    CallbackNotFound,
    CallbackResolved,
    DefinitionError,
    InvalidDuration,
    UnsupportedAwait,
)
from agentflow.events import OperationSucceeded, WaitSatisfied, WaitTimedOut
from agentflow.states import CallbackStatus, EntryKind
from tests.support.tasks import Invoice, entries, keys

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness

TOKENS: list[str] = []


@pytest.fixture(autouse=True)
def _no_tokens() -> None:
    TOKENS.clear()


@step
async def hand_over(token: str) -> None:
    """Give the token to the other system."""
    TOKENS.append(token)


@task
async def asking(limits: dict[str, Any]) -> Any:
    callback = await create_callback("bank", type=Invoice, **limits)
    await hand_over(callback.token)
    answer = await callback
    return answer and answer.total


async def test_a_run_waits_until_the_other_system_has_answered(harness: OpenHarness) -> None:
    async with harness(asking) as h:
        run = await h.trigger(asking, {"timeout": "1d"})
        assert await h.status(run) == "waiting"
        assert "for another system to complete callback cbk_" in await h.why(run)
        assert "at most 1d more" in await h.why(run)
        told = await h.client.complete_callback(TOKENS[0], {"number": "7", "total": 12.5})
        assert told.status is CallbackStatus.COMPLETED
        assert await h.result(run) == 12.5
    assert len(TOKENS) == 1


async def test_an_answer_before_it_is_awaited_is_kept(harness: OpenHarness) -> None:
    @task
    async def late() -> Any:
        callback = await create_callback()
        await hand_over(callback.token)
        await sleep("1d")
        return await callback

    async with harness(late) as h:
        run = await h.trigger(late)
        await h.until_idle()
        await h.client.complete_callback(TOKENS[0], [1, 2])
        await h.advance("1d")
        assert await h.result(run) == [1, 2]


async def test_it_is_awaited_in_any_order_in_branches_and_more_than_once(harness: OpenHarness) -> None:
    @task
    async def juggling() -> list[Any]:
        first, second = await create_callback("one"), await create_callback("two")
        await hand_over(first.token)
        await hand_over(second.token)
        of_second = await second
        both = await gather(first, second, wait_for_event("go"))
        return [of_second, *both, await first]

    async with harness(juggling) as h:
        run = await h.trigger(juggling)
        await h.until_idle()
        first, second = TOKENS
        await h.client.complete_callback(second, "second")
        await h.until_idle()
        await h.client.send_event("go", "gone")
        await h.until_idle()
        await h.client.complete_callback(first, "first")
        assert await h.result(run) == ["second", "first", "second", "gone", "first"]
        assert (await keys(h, run))[:2] == ["one#1", "two#1"]


async def test_a_failure_is_raised_with_the_other_system_s_text(harness: OpenHarness) -> None:
    async with harness(asking) as h:
        run = await h.trigger(asking, {})
        await h.until_idle()
        await h.client.fail_callback(TOKENS[0], "no such account")
        with pytest.raises(RunFailed, match="CallbackFailed: no such account") as caught:
            await h.result(run)
        assert isinstance(caught.value.__cause__, CallbackFailed)


async def test_the_time_counts_from_its_making_and_ends_in_an_error_or_none(harness: OpenHarness) -> None:
    @task
    async def patient(on_timeout: str) -> Any:
        callback = await create_callback(timeout="2h", on_timeout=on_timeout)
        await sleep("90m")
        try:
            return await callback
        except CallbackTimedOut as error:
            return type(error).__name__

    async with harness(patient) as h:
        runs = [await h.trigger(patient, how) for how in ("none", "raise")]
        await h.advance("90m")
        assert [await h.status(run) for run in runs] == ["waiting", "waiting"]
        await h.advance("30m")
        assert [await h.result(run) for run in runs] == [None, "CallbackTimedOut"]


async def test_silence_ends_it_unless_there_are_signs_of_life(harness: OpenHarness) -> None:
    async with harness(asking) as h:
        run = await h.trigger(asking, {"heartbeat_timeout": "10m"})
        await h.until_idle()
        for percent in (10, 20, 30):
            await h.advance("9m")
            told = await h.client.beat_callback(TOKENS[0], {"percent": percent})
            assert told.details == f'{{"percent":{percent}}}'
        assert await h.status(run) == "waiting"
        await h.advance("10m")
        with pytest.raises(RunFailed, match="CallbackTimedOut"):
            await h.result(run)
        with pytest.raises(CallbackLapsed):
            await h.client.complete_callback(TOKENS[0], 1)


async def test_an_answer_of_another_type_names_the_callback(harness: OpenHarness) -> None:
    async with harness(asking) as h:
        run = await h.trigger(asking, {})
        await h.until_idle()
        told = await h.client.complete_callback(TOKENS[0], {"number": 7})
        with pytest.raises(RunFailed, match=f"the answer to callback {told.id}") as caught:
            await h.result(run)
        assert isinstance(caught.value.__cause__, EventMismatch)


async def test_who_comes_second_is_told_and_the_first_answer_stands(harness: OpenHarness) -> None:
    async with harness(asking) as h:
        run = await h.trigger(asking, {})
        await h.until_idle()
        answer = {"number": "7", "total": 1.0}
        await h.client.complete_callback(TOKENS[0], answer)
        await h.client.complete_callback(TOKENS[0], answer)
        with pytest.raises(CallbackResolved):
            await h.client.complete_callback(TOKENS[0], answer | {"total": 2.0})
        with pytest.raises(CallbackResolved):
            await h.client.fail_callback(TOKENS[0], "no")
        with pytest.raises(CallbackNotFound):
            await h.client.complete_callback(TOKENS[0] + "x", answer)
        assert await h.result(run) == 1.0


async def test_one_that_is_not_awaited_is_withdrawn_when_the_run_ends(harness: OpenHarness) -> None:
    @task
    async def forgetful() -> str:
        await hand_over((await create_callback()).token)
        return "done"

    async with harness(forgetful) as h:
        run = await h.trigger(forgetful)
        assert await h.result(run) == "done"
        (callback,) = await h.client.callbacks(run.id)
        assert callback.status is CallbackStatus.CANCELLED
        with pytest.raises(CallbackLapsed, match="cancelled"):
            await h.client.complete_callback(TOKENS[0], 1)


async def test_the_token_is_the_same_on_every_replay_and_survives_a_crash(harness: OpenHarness) -> None:
    seen: list[str] = []

    @task
    async def remembering() -> Any:
        callback = await create_callback()
        seen.append(callback.token)
        await sleep("1d")
        return await callback

    async with harness(remembering) as h:
        run = await h.trigger(remembering)
        await h.until_idle()
        await h.crash()
        await h.advance("1d")
        await h.client.complete_callback(seen[0], "yes")
        assert await h.result(run) == "yes"
        assert len(await h.client.callbacks(run.id)) == 1
    assert len(seen) > 2
    assert len(set(seen)) == 1


async def test_no_token_is_shown_to_whoever_reads_the_run(harness: OpenHarness) -> None:
    """Not where it was made, not in what a step was given, not in a log line; and the store keeps its digest only."""

    @task
    async def careless() -> str:
        callback = await create_callback()
        await hand_over(f"https://flow.test/callbacks/{callback.token}/complete")
        log.info("the token is %s", callback.token)
        return "done"

    async with harness(careless) as h:
        run = await h.trigger(careless)
        await h.result(run)
        token = TOKENS[0].split("/")[-2]
        shown = [await h.journal(run), await h.client.feed(after=0), await h.client.logs(run.id)]
        shown += [await h.client.history(run.id), await h.client.callbacks(run.id)]
        assert token not in repr(shown)
        assert repr(shown).count("cbt_[hidden]") == 7
        assert len(token) > 30


async def test_its_history_tells_of_the_wait(harness: OpenHarness) -> None:
    async with harness(asking) as h:
        runs = []
        for _ in range(2):
            runs.append(await h.trigger(asking, {"timeout": "1h", "on_timeout": "none"}))
            await h.until_idle()
        await h.client.complete_callback(TOKENS[0], {"number": "7"})
        await h.advance("1h")
        answered, late = [list(await h.client.history(run.id)) for run in runs]
        callback = (await h.client.callbacks(runs[0].id))[0]
        (made,) = [one for one in answered if isinstance(one, OperationSucceeded) and one.key == "bank#1"]
        (satisfied,) = [one for one in answered if isinstance(one, WaitSatisfied)]
        assert made.operation == "callback"
        assert (satisfied.outcome, satisfied.subject) == ("completed", callback.id)
        assert len([one for one in late if isinstance(one, WaitTimedOut)]) == 1


async def test_racing_answers_with_the_wait_for_them_loses_none(live: OpenHarness) -> None:
    async with live(asking) as h:
        runs = [await h.trigger(asking, {}) for _ in range(20)]
        answered = 0
        async with asyncio.timeout(10):
            while answered < len(runs):
                for token in TOKENS[answered:]:
                    answered += 1
                    await h.client.complete_callback(token, {"number": "7", "total": 1.0})
                await asyncio.sleep(0)
        assert [await h.result(run) for run in runs] == [1.0] * len(runs)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"timeout": -1}, InvalidDuration),
        ({"heartbeat_timeout": float("nan")}, InvalidDuration),
        ({"timeout": "40000d"}, InvalidDuration),
        ({"on_timeout": "maybe"}, DefinitionError),
        ({"name": " "}, DefinitionError),
    ],
)
async def test_bad_input_is_refused_and_makes_no_callback(
    live: OpenHarness, bad: dict[str, Any], error: type[Exception]
) -> None:
    @task
    async def making() -> None:
        await create_callback(**bad)

    async with live(making) as h:
        run = await h.trigger(making)
        with pytest.raises(RunFailed) as caught:
            await h.result(run)
        assert isinstance(caught.value.__cause__, error)
        assert await h.client.callbacks(run.id) == []
        assert await entries(h, run, EntryKind.SUCCEEDED) == []


async def test_a_step_and_code_outside_a_run_make_none(live: OpenHarness) -> None:
    @step
    async def inside() -> None:
        await create_callback()

    @task
    async def outside() -> None:
        await inside()

    async with live(outside) as h:
        with pytest.raises(RunFailed, match="create_callback was called inside step inside#1"):
            await h.run(outside)
    with pytest.raises(UnsupportedAwait, match="outside a run"):
        await create_callback()
