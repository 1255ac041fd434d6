"""Forks seen from the task's side: nothing taken over is done again, and patches are what the code sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow import step, task, wait_for_approval
from agentflow.errors import ForkRefused, IllegalTransition, KeyNotRecorded
from tests.support.tasks import Invoice, Ledger, keys

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness

ledger = Ledger()


@pytest.fixture(autouse=True)
def _empty_ledger() -> None:
    ledger.clear()


@step
async def noted(what: str) -> str:
    ledger.add(what)
    return what


@step
async def flaky(what: str) -> str:
    if ledger.add(what) == 1:
        raise ValueError(f"{what} failed")
    return what


@step
async def invoice(number: str) -> Invoice:
    ledger.add(f"invoice {number}")
    return Invoice(number=number, total=10)


@task
async def billing(number: str) -> str:
    found = await invoice(number)
    await noted("looked at")
    decision = await wait_for_approval(found)
    return f"{found.number} {found.total:.0f} {decision.outcome}"


async def test_a_fork_does_not_do_again_what_it_takes_over(harness: OpenHarness) -> None:
    async with harness(billing) as h:
        run = await h.trigger(billing, "A-1")
        await h.only_approval(run)
        fork = await h.client.fork(run.id, by="mia", from_="noted#1")
        await h.approve(await h.only_approval(fork))
        assert await h.result(fork) == "A-1 10 approved"
        assert await h.status(run) == "waiting", "the original stays"
        assert await keys(h, fork) == ["invoice#1", "noted#1"]
    assert ledger == {"invoice A-1": 1, "looked at": 2}


async def test_a_fork_with_a_patch_goes_on_with_the_other_result(harness: OpenHarness) -> None:
    async with harness(billing) as h:
        run = await h.trigger(billing, "A-1")
        await h.only_approval(run)
        patch = {"invoice#1": Invoice(number="A-1", total=99)}
        fork = await h.client.fork(run.id, by="mia", patch=patch, reason="misread")
        await h.approve(await h.only_approval(fork))
        assert await h.result(fork) == "A-1 99 approved"
    assert ledger == {"invoice A-1": 1, "looked at": 1}


async def test_a_patch_that_does_not_fit_its_type_is_refused_before_anything_is_stored(harness: OpenHarness) -> None:
    async with harness(billing) as h:
        run = await h.trigger(billing, "A-1")
        await h.only_approval(run)
        with pytest.raises(ForkRefused, match="invoice#1"):
            await h.client.fork(run.id, by="mia", patch={"invoice#1": {"total": "a lot"}})
        with pytest.raises(KeyNotRecorded, match="the nearest are invoice#1"):
            await h.client.fork(run.id, by="mia", patch={"invoce#1": None})
        assert len((await h.client.runs()).items) == 1
        plain = await h.client.fork(run.id, by="mia", patch={"invoice#1": {"number": "B-2", "total": 7}})
        await h.approve(await h.only_approval(plain))
        assert await h.result(plain) == "B-2 7 approved"


@pytest.mark.parametrize("version", ["", "  ", "1" * 101])
async def test_a_version_that_is_none_is_refused(live: OpenHarness, version: str) -> None:
    async with live(billing) as h:
        run = await h.trigger(billing, "A-1")
        with pytest.raises(ForkRefused, match="wanted 1 to 100 characters"):
            await h.client.fork(run.id, by="mia", version=version)


async def test_a_fork_runs_the_version_it_is_given(harness: OpenHarness) -> None:
    @task(id="billing", version="2")
    async def newer(number: str) -> str:
        found = await invoice(number)
        return f"{found.number} by the new code"

    async with harness(billing, newer) as h:
        run = await h.client.trigger(billing, "A-1")
        await h.only_approval(run)
        fork = await h.client.fork(run.id, by="mia", from_="noted#1", version="2")
        await h.until_idle()
        ended = await h.client.run(fork.id)
        assert (ended.status, ended.output) == ("completed", '"A-1 by the new code"')
    assert ledger == {"invoice A-1": 1, "looked at": 1}


async def test_an_undone_run_is_not_retried_but_forked(harness: OpenHarness) -> None:
    @step(undo=lambda what: ledger.add(f"back {what}"))
    async def put(what: str) -> str:
        ledger.add(what)
        return what

    @task
    async def trip() -> str:
        await noted("before")
        await put("a")
        return await flaky("b")

    async with harness(trip) as h:
        run = await h.trigger(trip)
        assert await h.status(run) == "failed"
        with pytest.raises(IllegalTransition, match="fork it instead"):
            await h.client.retry(run.id, by="mia")
        fork = await h.client.fork(run.id, by="mia")
        assert await h.result(fork) == "b"
    assert ledger == {"before": 1, "a": 2, "back a": 1, "b": 2}
