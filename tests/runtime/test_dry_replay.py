"""Dry replay: whether code fits a journal, said without doing anything."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import (
    Fatal,
    gather,
    patched,
    step,
    task,
    wait_for_approval,
)
from agentflow.requests import Completed, Failed
from agentflow.runtime.dry.replaying import Broken, Diverges, DryReplay, Fits, dry_replay, misfit
from agentflow.states import EntryKind
from tests.support.tasks import Invoice, Ledger, Order

if TYPE_CHECKING:
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


@task(id="changing")
async def renamed() -> list[str]:
    return [await two(), await gate(), await two()]


@task(id="changing")
async def removed() -> list[str]:
    return [await gate(), await two()]


@task(id="changing")
async def shortened() -> list[str]:
    return [await one()]


@task(id="changing")
async def guarded() -> list[str]:
    first = await two() if await patched("two first") else await one()
    return [first, await gate(), await two()]


async def test_code_that_fits_is_told_where_it_goes_on(live: OpenHarness) -> None:
    async with live(first_version) as h:
        run = await h.trigger(first_version)
        assert await looked_at(h, run, first_version) == Fits(("gate#1/gate#1",))
        assert await looked_at(h, run, guarded) == Fits(("gate#1/gate#1",))


async def test_an_answer_that_nobody_has_taken_yet_is_taken_into_account(live: OpenHarness) -> None:
    async with live(first_version) as h:
        run = await h.trigger(first_version)
        approval = await h.only_approval(run)
        await h.restart(renamed)  # which stops it, so that the answer stays where it is
        await h.approve(approval)
        await h.until_idle()
        assert await looked_at(h, run, first_version) == Fits(("gate#1",))


@pytest.mark.parametrize(
    ("code", "key", "recorded", "asked"),
    [
        (renamed, "one#1", "step one#1", "step two#1"),
        (removed, "one#1", "step one#1", "await gate#1"),
        (shortened, "gate#1", "operation gate#1", "nothing more"),
    ],
    ids=["renamed", "removed", "shortened"],
)
async def test_code_that_does_not_fit_is_told_with_both_sides(
    live: OpenHarness, code: Any, key: str, recorded: str, asked: str
) -> None:
    async with live(first_version) as h:
        run = await h.trigger(first_version)
        found = await looked_at(h, run, code)
        assert found == Diverges(key, recorded, asked)
        assert str(found) == f"diverges at {key}: recorded {recorded}, code asks {asked}"


async def test_it_says_what_a_real_turn_then_does(live: OpenHarness) -> None:
    async with live(first_version) as h:
        run = await h.trigger(first_version)
        approval = await h.only_approval(run)
        found = await looked_at(h, run, renamed)
        await h.restart(renamed)
        await h.approve(approval)
        await h.until_idle()
        assert isinstance(found, Diverges)
        [entry] = [each for each in await h.journal(run) if each.kind is EntryKind.DIVERGED]
        assert json.loads(entry.detail or "") == {"recorded": found.recorded, "asked": found.asked}


async def test_every_branch_is_looked_at(live: OpenHarness) -> None:
    def version(*names: Any) -> Any:
        async def branch(call: Any) -> str:
            await call()
            return await gate()

        @task(id="branching")
        async def branching() -> None:
            await gather(*(branch(name) for name in names))

        return branching

    async with live(version(one, two)) as h:
        run = await h.client.trigger_json("branching", {})
        fits = await looked_at(h, run, version(one, two))
        assert isinstance(fits, Fits)
        assert sorted(fits.frontier) == [
            "gather#1[0]/branch#1/gate#1",
            "gather#1[1]/branch#1/gate#1",
        ]
        found = await looked_at(h, run, version(one, one))
        assert isinstance(found, Diverges)
        assert found.key == "gather#1[1]/branch#1/two#1"


async def test_a_finished_journal_gives_the_result(live: OpenHarness) -> None:
    async with live(first_version) as h:
        run = await h.trigger(first_version)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == ["one 1", "approved", "two"]
        assert await looked_at(h, run, first_version) == Fits((), Completed('["one 1","approved","two"]'))


async def test_a_recorded_failure_that_ends_the_run_fits(live: OpenHarness) -> None:
    @step
    async def fails() -> None:
        raise Fatal("no")

    @task
    async def failing() -> None:
        await fails()

    async with live(failing) as h:
        run = await h.trigger(failing)
        found = await looked_at(h, run, failing)
        assert isinstance(found, Fits)
        assert isinstance(found.outcome, Failed)


async def test_code_that_raises_where_the_run_had_gone_on_is_broken(live: OpenHarness) -> None:
    @task(id="changing")
    async def mistaken() -> str:
        first = await one()
        return str(first.no_such_thing)  # type: ignore[attr-defined]

    async with live(first_version) as h:
        run = await h.trigger(first_version)
        found = await looked_at(h, run, mistaken)
        assert isinstance(found, Broken)
        assert "no_such_thing" in str(found)


async def test_code_that_raises_on_new_ground_fits_and_then_fails(live: OpenHarness) -> None:
    @task(id="changing")
    async def raising() -> None:
        await one()
        await gate()
        raise ValueError("later")

    @task(id="changing")
    async def stopping() -> None:
        await two()

    async with live(first_version) as h:
        run = await h.trigger(first_version)
        approval = await h.only_approval(run)
        await h.restart(stopping)
        await h.approve(approval)
        assert await looked_at(h, run, raising) == Fits(("gate#1",)), "it is not followed past the gate's function"


async def test_code_that_cannot_run_at_all_is_broken_on_new_ground_too(live: OpenHarness) -> None:
    @task
    async def asking() -> None:
        await wait_for_approval("go on?", key="gate")

    @task(id="asking")
    async def unsupported() -> None:
        await wait_for_approval("go on?", key="gate")
        async with asyncio.timeout(1):
            await one()

    @task(id="asking")
    async def declining() -> None:
        await wait_for_approval("go on?", key="gate")
        raise Fatal("declined")

    async with live(asking) as h:
        run = await h.trigger(asking)
        await h.approve(await h.only_approval(run))
        await h.until_idle()
        await h.restart(unsupported)
        found = await looked_at(h, run, unsupported)
        assert isinstance(found, Broken)
        assert "asyncio.timeout" in str(found)
        failed = await h.trigger(unsupported)
        await h.approve(await h.only_approval(failed))
        assert isinstance(await looked_at(h, failed, unsupported), Fits), "that run did fail so"
        meant = await looked_at(h, run, declining)
        assert isinstance(meant, Fits), "a run may be meant to fail"
        assert isinstance(meant.outcome, Failed)


async def test_an_input_that_the_code_no_longer_takes_is_broken(live: OpenHarness) -> None:
    @task(id="paying")
    async def paying(invoice: Invoice) -> str:
        return await gate() + invoice.number

    @task(id="paying")
    async def otherwise(order: Order) -> str:
        return await gate() + order.name

    async with live(paying) as h:
        run = await h.trigger(paying, Invoice(number="A-1"))
        assert isinstance(await looked_at(h, run, paying), Fits)
        found = await looked_at(h, run, otherwise)
        assert isinstance(found, Broken)


async def test_a_recorded_value_that_no_longer_fits_its_type_is_told_with_its_key(live: OpenHarness) -> None:
    @step(name="one")
    async def one_as_number(n: int = 1) -> int:
        return n

    @task(id="changing")
    async def other_type() -> list[object]:
        return [await one_as_number(), await gate()]

    async with live(first_version) as h:
        run = await h.trigger(first_version)
        found = await looked_at(h, run, other_type)
        assert isinstance(found, Diverges)
        assert found.key == "one#1"
        assert "with a result of another type" in found.asked


@pytest.mark.parametrize("text", ["{", "", '{"$type":"nonsense"}'])
async def test_a_damaged_journal_is_told_and_raises_nothing(live: OpenHarness, text: str) -> None:
    @step
    async def numbered() -> int:
        return 1

    @task(id="changing")
    async def counting() -> int:
        found = await numbered()
        await gate()
        return found

    async with live(counting) as h:
        run = await h.trigger(counting)
        await h.until_idle()
        entries = [replace(each, output=text) if each.key == "numbered#1" else each for each in await h.journal(run)]
        said = await misfit(await h.client.run(run.id), entries, counting)
        assert said is not None
        assert "numbered#1" in said


async def test_a_patch_of_a_recorded_result_must_fit_its_type(live: OpenHarness) -> None:
    @step
    async def read() -> Invoice:
        return Invoice(number="A-1")

    @task
    async def reading() -> str:
        found = await read()
        return found.number + await gate()

    async with live(reading) as h:
        run = await h.trigger(reading)
        await h.until_idle()
        known, found = await h.journal(run), await h.client.run(run.id)

        def with_patch(value: Any) -> list[Any]:
            text = json.dumps(value)
            return [replace(each, output=text) if each.key == "read#1" else each for each in known]

        assert await misfit(found, with_patch({"number": "B-2", "total": 3}), reading) is None
        said = await misfit(found, with_patch({"number": "B-2", "total": "much"}), reading)
        assert said is not None
        assert "read#1" in said
        assert "total" in said


async def test_a_place_that_was_changed_on_purpose_fits(live: OpenHarness) -> None:
    @task(id="changing")
    async def unguarded() -> list[str]:
        return [await two(), await gate(), await two()]

    async with live(first_version) as h:
        run = await h.trigger(first_version)
        assert isinstance(await looked_at(h, run, guarded), Fits)
        assert isinstance(await looked_at(h, run, unguarded), Diverges)
