"""Fallback chains: each hop a checkpoint, and the journal says who answered and why the others did not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agentflow import AllFailed, Fatal, Retry, RunFailed, fallback, gather, hop, sleep, step, task, wait_for_approval
from agentflow.errors import DefinitionError
from agentflow.states import EntryKind
from tests.support.tasks import Declined, Flaky, Ledger, entries, keys

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness

ledger = Ledger()


@pytest.fixture(autouse=True)
def _empty_ledger() -> None:
    ledger.clear()


async def primary(x: int) -> int:
    ledger.add("primary")
    raise Declined(f"not {x}")


async def second(x: int) -> int:
    ledger.add("second")
    raise Flaky("later perhaps")


@step
def third(x: int) -> int:
    ledger.add("third")
    return x * 10


async def never(x: int) -> int:
    raise AssertionError("a hop after the one that answered was tried")


async def test_hops_are_tried_in_order_until_one_answers(harness: OpenHarness) -> None:
    @task
    async def asking(x: int) -> int:
        return await fallback(primary, second, third, never)(x)

    async with harness(asking) as h:
        run = await h.trigger(asking, 4)
        assert await h.result(run) == 40
        [noted] = await entries(h, run, EntryKind.NOTED)
        chain = "fallback(primary, second, third, never)#1"
        assert noted.key == chain
        assert json.loads(noted.detail or "") == {
            "answered_by": "third",
            "failures": ["primary: Declined: declined: not 4", "second: Flaky: later perhaps"],
        }
        assert await keys(h, run) == [f"{chain}/primary#1", f"{chain}/second#1", f"{chain}/third#1"]
    assert ledger == {"primary": 1, "second": 1, "third": 1}


async def test_after_a_crash_hops_that_failed_are_not_tried_again(harness: OpenHarness, tmp_path: Path) -> None:
    calls = tmp_path / "calls.txt"

    async def first(x: int) -> int:
        with calls.open("a") as file:
            file.write("first\n")
        raise Flaky

    async def asks_a_person(x: int) -> int:
        with calls.open("a") as file:
            file.write("person\n")
        return (await wait_for_approval(x)).data

    @task
    async def asking(x: int) -> int:
        return await fallback(first, asks_a_person)(x)

    async with harness(asking) as h:
        run = await h.trigger(asking, 4)
        approval = await h.only_approval(run)
        await h.crash()
        await h.restart()
        await h.correct(approval, 5)
        assert await h.result(run) == 5
    assert calls.read_text().splitlines().count("first") == 1


async def test_only_the_named_errors_go_on_to_the_next_hop(harness: OpenHarness) -> None:
    @task
    async def asking(x: int) -> int:
        return await fallback(primary, never, on=Flaky)(x)

    async with harness(asking) as h:
        with pytest.raises(RunFailed, match="Declined: declined: not 1"):
            await h.run(asking, 1)


async def test_a_fatal_error_ends_the_chain(harness: OpenHarness) -> None:
    async def hopeless(x: int) -> int:
        raise Fatal("no key can open this")

    @task
    async def asking(x: int) -> int:
        return await fallback(hopeless, never)(x)

    async with harness(asking) as h:
        with pytest.raises(RunFailed, match="Fatal: no key can open this"):
            await h.run(asking, 1)


async def test_an_answer_that_is_not_accepted_is_a_reason_to_go_on(harness: OpenHarness) -> None:
    async def poor(x: int) -> int:
        return -1

    @task
    async def asking(x: int) -> int:
        return await fallback(poor, third, accept=lambda answer: answer > 0)(x)

    async with harness(asking) as h:
        run = await h.trigger(asking, 2)
        assert await h.result(run) == 20
        [noted] = await entries(h, run, EntryKind.NOTED)
        assert json.loads(noted.detail or "")["failures"] == ["poor: its answer was not accepted"]


async def test_when_no_hop_answers_the_error_names_each_reason(harness: OpenHarness) -> None:
    seen = []

    @task
    async def asking(x: int) -> str:
        try:
            await fallback(primary, second)(x)
        except AllFailed as error:
            seen.append((error.failures, str(error)))
        return (await wait_for_approval("go on?")).outcome

    async with harness(asking) as h:
        run = await h.trigger(asking, 3)
        await h.approve(await h.only_approval(run))
        await h.result(run)
    failures = ("primary: Declined: declined: not 3", "second: Flaky: later perhaps")
    assert set(seen) == {(failures, f"every hop failed: {'; '.join(failures)}")}
    assert ledger == {"primary": 1, "second": 1}


async def test_each_hop_has_its_own_retry_and_timeout(harness: OpenHarness) -> None:
    @step(timeout="1d")
    async def hanging(x: int) -> int:
        ledger.add("hanging")
        await sleep("30d")
        return x

    async def flaky(x: int) -> int:
        if ledger.add("flaky") < 3:
            raise Flaky
        return x

    often = Retry(max_attempts=3, min_delay="1m")

    @task
    async def asking(x: int) -> int:
        return await fallback(
            hop(hanging, timeout="20ms"), hop(flaky, retry=often), never, retry=Retry(max_attempts=1)
        )(x)

    async with harness(asking) as h:
        run = await h.trigger(asking, 6)
        await h.advance("1m")
        await h.advance("2m")
        assert await h.result(run) == 6
        assert len(await entries(h, run, EntryKind.ATTEMPT_FAILED)) == 2
    assert ledger == {"hanging": 1, "flaky": 3}


async def test_chains_in_branches_do_not_mix(harness: OpenHarness) -> None:
    @task
    async def asking(x: int) -> list[int]:
        return list(await gather(fallback(primary, third)(x), fallback(second, third)(x + 1)))

    async with harness(asking) as h:
        run = await h.trigger(asking, 1)
        assert await h.result(run) == [10, 20]
        assert {key.partition("/")[0] for key in await keys(h, run)} == {"gather#1[0]", "gather#1[1]"}
    assert ledger == {"primary": 1, "second": 1, "third": 2}


async def test_outside_a_run_a_chain_just_runs() -> None:
    assert await fallback(primary, third)(2) == 20
    with pytest.raises(AllFailed, match="primary: Declined"):
        await fallback(primary, second)(2)


def test_a_chain_that_cannot_work_is_refused_where_it_is_made() -> None:
    with pytest.raises(DefinitionError, match="named alike"):
        fallback(primary, primary)
    with pytest.raises(DefinitionError, match="cannot be called"):
        fallback(primary, "second")  # type: ignore[arg-type]
