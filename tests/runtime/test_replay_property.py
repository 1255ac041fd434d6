"""Whatever a task is made of, replaying it at every operation changes neither its result nor what it does."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentflow import (
    Done,
    Retry,
    create_callback,
    fallback,
    gather,
    now,
    send_event,
    sleep,
    step,
    task,
    uuid4,
    wait_for_approval,
    wait_for_event,
    wait_until,
)
from agentflow import map as durable_map
from agentflow import scope as part
from agentflow.states import WaitKind
from agentflow.testing import Harness
from tests.support.tasks import Flaky, Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EXAMPLES = int(os.environ.get("AGENTFLOW_TEST_EXAMPLES", "25"))

# A program is a list of instructions, each a list: its word first, then its operands, which may be programs.
Program = list[Any]

names = st.sampled_from(["a", "b", "c"])
simple = st.one_of(
    st.tuples(st.just("step"), names),
    st.tuples(st.just("thread"), names),
    st.tuples(st.just("flaky"), names, st.integers(1, 3)),
    st.tuples(st.just("caught"), names),
    st.tuples(st.just("fallback"), names),
    st.tuples(st.just("sleep"), st.sampled_from(["0s", "500ms", "1h", "2d"])),
    st.tuples(st.just("approval"), names),
    st.tuples(st.just("values")),
    st.tuples(st.just("event")),
    st.tuples(st.just("own event")),
    st.tuples(st.just("callback"), st.booleans()),
    st.tuples(st.just("poll"), st.integers(1, 3)),
)


def _programs(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    block = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.tuples(st.just("gather"), st.lists(block, min_size=1, max_size=3)),
        st.tuples(st.just("map"), st.lists(block, min_size=1, max_size=3), st.sampled_from([None, 1, 2])),
        st.tuples(st.just("scope"), block),
        st.tuples(st.just("part"), block),
        st.tuples(st.just("child"), block),
        st.tuples(st.just("guarded"), block),
    )


programs = st.lists(st.recursive(simple, _programs, max_leaves=6), min_size=1, max_size=5)

ledger = Ledger()
tokens: dict[str, str] = {}
"""Those that were handed over and not yet answered, by the place in the program."""


@step
async def effect(where: str) -> str:
    ledger.add(where)
    return where


@step
def in_a_thread(where: str) -> str:
    ledger.add(where)
    return where


@step(retry=Retry(max_attempts=5, min_delay="10m", max_delay="1h"))
async def flaky(where: str, failures: int) -> str:
    if ledger.add(where) <= failures:
        raise Flaky(where)
    return where


@step
async def failing(where: str) -> str:
    ledger.add(where)
    raise Flaky(where)


@step
async def hand_over(where: str, token: str) -> None:
    ledger.add(f"{where} handed over")
    tokens[where] = token


async def scope(program: Program, at: str) -> list[Any]:
    """Follow a program; each effect is named by its place in the program, so each has to happen as often as asked."""
    return [await instruction(one, f"{at}.{n}") for n, one in enumerate(program)]


async def instruction(one: Sequence[Any], at: str) -> Any:  # noqa: C901, PLR0911, PLR0912  a language has its words
    word, *rest = one
    match word:
        case "step" | "thread":
            return await (effect if word == "step" else in_a_thread)(f"{at} {rest[0]}")
        case "flaky":
            return await flaky(f"{at} {rest[0]}", rest[1])
        case "caught":
            return await caught(f"{at} {rest[0]}")
        case "fallback":
            return await fallback(failing, effect)(f"{at} {rest[0]}")
        case "sleep":
            return await sleep(rest[0])
        case "approval":
            return await asked(rest[0])
        case "values":
            return [(await uuid4()) != (await uuid4()), (await now()) <= (await now())]
        case "gather":
            return list(await gather(*(scope(block, f"{at}[{n}]") for n, block in enumerate(rest[0]))))
        case "map":
            return await durable_map(branch, [*each_at(rest[0], at)], concurrency=rest[1])
        case "scope":
            return await scope(rest[0], at)
        case "part":
            return await in_a_part(rest[0], at)
        case "event":
            return await wait_for_event("said", key=at)
        case "own event":
            return await spoken(at)
        case "callback":
            return await called_back(at, late=rest[0])
        case "poll":
            return await polled(at, rest[0])
        case "child":
            return await program_run.trigger_and_wait(rest[0], at)
        case "guarded":
            return await guarded(rest[0], at)
    raise AssertionError(one)


async def caught(where: str) -> str:
    try:
        return await failing(where)
    except Flaky as error:
        return await effect(f"{error} handled")


def each_at(blocks: list[Program], at: str) -> Iterator[tuple[Program, str]]:
    return ((block, f"{at}[{n}]") for n, block in enumerate(blocks))


async def in_a_part(block: Program, at: str) -> list[Any]:
    async with part("part"):
        return await scope(block, at)


async def branch(place: tuple[Program, str]) -> list[Any]:
    return await scope(*place)


async def spoken(at: str) -> Any:
    await send_event("spoken", {"at": at}, key=at)
    return await wait_for_event("spoken", key=at)


async def called_back(at: str, *, late: bool) -> list[Any]:
    callback = await create_callback()
    await hand_over(at, callback.token)
    if late:
        await sleep("2h")
    return [await callback, await callback]


async def polled(at: str, times: int) -> Any:
    async def look(state: int) -> Any:
        await effect(f"{at} look {state}")
        return Done(state) if state == times else state + 1

    return await wait_until(look, initial=1, every="10m")


async def asked(name: str) -> list[Any]:
    decision = await wait_for_approval({"name": name}, key=name)
    return [decision.outcome, decision.data, decision.comment]


async def guarded(block: Program, at: str) -> list[Any]:
    try:
        return await scope(block, at)
    finally:
        await effect(f"{at} finally")


# `scope` and `instruction` are awaited functions of the module; as tasks their own awaits are recorded too.
scope_task = task(scope, id="scope")
instruction_task = task(instruction, id="instruction")


@task(id="program")
async def program_run(program: Program, at: str) -> list[Any]:
    return await scope_task(program, at)


async def _outcome(program: Program, path: Path, *, replay_always: bool, crash_every: int) -> tuple[Any, Ledger]:
    """Its result and effects; with `crash_every` the worker is killed each time so many decisions or hours passed."""
    ledger.clear()
    tokens.clear()
    async with Harness(program_run, path=path, replay_always=replay_always) as h:
        run = await h.trigger(program_run, program, "p")
        for round_ in range(1, 200):
            if await h.status(run) in {"completed", "failed", "needs_attention"}:
                break
            if crash_every and round_ % crash_every == 0:
                await h.crash()
            for approval in await h.approvals():
                if approval.data == '{"name":"a"}':
                    await h.correct(approval, name="corrected")
                else:
                    await h.approve(approval, comment="fine")
            await _answer_waits(h)
            due_at = await h.store.next_due_at()
            await h.advance("1m" if due_at is None else due_at - h.clock.now())
        return await h.result(run), Ledger(ledger)


async def _answer_waits(h: Harness) -> None:
    """Send what is waited for, and answer whom was handed a token."""
    for run in (await h.client.runs(limit=200)).items:
        for wait in await h.client.waits(run.id):
            name, _, key = str(wait.subject).partition(":")
            if wait.kind is WaitKind.EVENT and name == "said":
                await h.client.send_event("said", {"key": key}, key=key, id=f"evt {key}")
    for where, token in list(tokens.items()):
        await h.client.complete_callback(token, {"where": where})
        del tokens[where]


@given(programs)
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_program_replayed_at_every_operation_gives_and_does_the_same(empty_database: Path, program: Program) -> None:
    outcomes = []
    for replay_always, crash_every in ((False, 0), (True, 0), (False, 2)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "runs.db"
            shutil.copyfile(empty_database, path)
            outcomes.append(asyncio.run(_outcome(program, path, replay_always=replay_always, crash_every=crash_every)))
    assert outcomes[0] == outcomes[1] == outcomes[2]
