"""Scripted functions and the ledger of effects."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from agentflow import Retry, fallback, gather, operation, step, task
from agentflow.errors import Fatal, RunFailed
from agentflow.testing import Effects, Harness, Scripted

if TYPE_CHECKING:
    from collections.abc import Callable

    Open = Callable[..., Harness]
    Make = Callable[..., Scripted]


class Reply(BaseModel):
    text: str


async def model(prompt: str) -> Reply:
    raise AssertionError(f"a test would have paid for {prompt!r}")


@pytest.fixture(params=[False, True], ids=["live", "replayed"])
def opened(request: pytest.FixtureRequest, agentflow_harness: Open) -> Open:
    return lambda *tasks, **options: agentflow_harness(*tasks, replay_always=request.param, **options)


async def test_replies_come_in_order_and_exceptions_are_raised(opened: Open, agentflow_scripted: Make) -> None:
    ask = agentflow_scripted("ask", ["yes", ValueError("bad"), TimeoutError, None])

    @task
    async def talk() -> list[str]:
        said = [await ask("one")]
        for word in ("two", "three"):
            try:
                said.append(await ask(word, loud=True))
            except (ValueError, TimeoutError) as error:
                said.append(type(error).__name__)
        return [*said, str(await ask("four"))]

    async with opened(talk) as h:
        assert await h.run(talk) == ["yes", "ValueError", "TimeoutError", "None"]
    assert [(call.args, dict(call.kwargs)) for call in ask.calls[:2]] == [(("one",), {}), (("two",), {"loud": True})]
    assert [call.key for call in ask.calls] == [f"ask#{n}" for n in range(1, 5)]


async def test_it_can_be_a_step_with_a_policy_and_a_hop_of_a_chain(opened: Open, agentflow_scripted: Make) -> None:
    ask = agentflow_scripted("ask", [RuntimeError("429"), "from the step", RuntimeError("500")])
    asked = step(retry=Retry(max_attempts=2, min_delay="100ms"))(ask)
    second = agentflow_scripted("second", ["from the second"])

    @task
    async def talk() -> list[str]:
        return [await asked("x"), await fallback(ask, second)("y")]

    async with opened(talk) as h:
        assert await h.run(talk) == ["from the step", "from the second"]


async def test_annotations_of_a_function_it_is_like_bring_replies_back_as_their_type(opened: Open) -> None:
    with Scripted("model", [Reply(text="hello")], like=model) as scripted:

        @task
        async def talk() -> str:
            return (await scripted("hi")).text

        async with opened(talk) as h:
            assert await h.run(talk) == "hello"


async def test_a_call_beyond_the_script_ends_the_run_and_the_test(opened: Open) -> None:
    ask = Scripted("ask", ["yes"])

    @task(retry=Retry(max_attempts=3))
    async def talk() -> list[str]:
        return [await ask("a"), await ask("b", loud=True)]

    async with opened(talk) as h:
        run = await h.trigger(talk)
        with pytest.raises(RunFailed, match=r"ask\('b', loud=True\) was called in operation ask#2 of run run_"):
            await h.result(run)
        assert (await h.client.run(run.id)).attempt == 1, "it is not tried again"
    with pytest.raises(AssertionError, match="its script of 1 replies has ended"):
        ask.check()


async def test_code_that_catches_everything_does_not_hide_a_call_beyond_the_script(opened: Open) -> None:
    @task
    async def talk() -> str:
        try:
            return str(await ask())
        except Fatal:
            return "nothing"

    ask = Scripted("ask", [])
    with pytest.raises(AssertionError, match="its script of 0 replies has ended"), ask:
        async with opened(talk) as h:
            assert await h.run(talk) == "nothing"


def test_replies_nobody_asked_for_end_the_test() -> None:
    with (
        pytest.raises(AssertionError, match=r"called 0 times; 2 of its 2 replies .* the next of them 'a'"),
        Scripted("ask", ["a", "b"]),
    ):
        pass
    with pytest.raises(ZeroDivisionError), Scripted("ask", ["a"]):
        _ = 1 / 0


async def test_a_call_that_was_cut_off_gets_the_same_reply_again(agentflow_harness: Open) -> None:
    begun, release = asyncio.Event(), asyncio.Event()
    ask = Scripted("ask", ["first", "second"])

    @step
    async def slowly() -> str:
        reply = await ask()
        begun.set()
        await release.wait()
        return str(reply)

    @task
    async def talk() -> list[str]:
        return [await slowly(), await ask()]

    with ask:
        async with agentflow_harness(talk) as h:
            run = await h.trigger(talk)
            await begun.wait()
            await h.crash()
            release.set()
            assert await h.result(run) == ["first", "second"]
    assert [call.key for call in ask.calls] == ["slowly#1", "ask#1"]


async def test_outside_a_run_it_just_answers() -> None:
    with Scripted("ask", [1, 2]) as ask:
        assert [await ask(), await ask()] == [1, 2]
        assert ask.left == ()
    assert repr(ask) == "<scripted ask>"


# -- effects


async def test_effects_know_the_operation_and_its_idempotency_key(opened: Open) -> None:
    effects, keys = Effects(), []

    @step
    async def charge() -> None:
        found = operation()
        assert found is not None
        keys.append((effects.record("charge"), found.idempotency_key))

    @task
    async def pay() -> None:
        await gather(charge(), charge())
        await charge()

    async with opened(pay) as h:
        run = await h.trigger(pay)
        await h.result(run)
    assert len(effects) == effects.count("charge") == effects.distinct("charge") == 3
    assert {one.key for one in effects} == {"gather#1[0]/charge#1", "gather#1[1]/charge#1", "charge#1"}
    assert {(one.run_id, one.task) for one in effects} == {(run.id, "pay")}
    assert all(noted == given for noted, given in keys)
    assert effects.count("refund") == 0
    effects.begin()
    assert list(effects) == []


async def test_the_same_operation_again_is_no_distinct_effect(agentflow_harness: Open) -> None:
    effects, begun, release = Effects(), asyncio.Event(), asyncio.Event()

    @step
    async def charge() -> None:
        effects.record("charge")
        begun.set()
        await release.wait()

    @task
    async def pay() -> None:
        await charge()

    async with agentflow_harness(pay) as h:
        run = await h.trigger(pay)
        await begun.wait()
        await h.crash()
        release.set()
        await h.result(run)
    assert (effects.count("charge"), effects.distinct("charge")) == (2, 1)


def test_effects_outside_a_run_belong_to_none() -> None:
    effects = Effects()
    assert effects.record("charge") == ":"
    assert [(one.run_id, one.key) for one in effects] == [("", "")]


async def test_what_a_dead_turn_had_begun_is_told_from_what_the_next_one_begins(agentflow_harness: Open) -> None:
    effects, begun, release = Effects(), asyncio.Event(), asyncio.Event()

    @step
    async def act(name: str) -> None:
        effects.record(name)
        if name == "held":
            begun.set()
            await release.wait()

    @task
    async def acting() -> None:
        for name in ("done", "held", "later"):
            await act(name)

    async with agentflow_harness(acting) as h:
        run = await h.trigger(acting)
        await begun.wait()
        epochs, recorded = {run.id: 1}, await h.journal(run)
        await h.crash()
        release.set()
        await h.result(run)
    assert dict(effects.cut_off(epochs, recorded)) == {("acting", "act#2"): 1}
