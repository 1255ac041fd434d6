"""What is refused before a run exists, and why each open run is where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agentflow import AgentFlow, Rejected, RunFailed, sleep, step, task, wait_for_approval
from agentflow.errors import (
    DefinitionError,
    IdempotencyMismatch,
    IllegalTransition,
    InvalidInput,
    RunNotFound,
    TaskNotFound,
)
from tests.support.tasks import Colour, Invoice, Ledger, Order, Point

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness


@task
async def taking(order: Order, count: int = 1, *, colour: Colour = Colour.RED, point: Point | None = None) -> str:
    return f"{order.name} {count} {colour.value} {point}"


CALLS = [
    ((), {}, "/order"),
    (("no order",), {}, "/order"),
    ((Order(name="o"), "many"), {}, "/count"),
    ((Order(name="o"),), {"colour": "green"}, "/colour"),
    ((Order(name="o"),), {"unknown": 1}, "unknown"),
    ((Order(name="o"), 1, 2), {}, ""),
]


@pytest.mark.parametrize(("args", "kwargs", "field"), CALLS, ids=repr)
async def test_a_call_that_does_not_fit_is_refused_before_a_run_exists(
    live: OpenHarness, args: tuple[Any, ...], kwargs: dict[str, Any], field: str
) -> None:
    async with live(taking) as h:
        with pytest.raises(InvalidInput, match="no run was made") as caught:
            await h.trigger(taking, *args, **kwargs)
        assert any(field in one.field for one in caught.value.errors)
        assert (await h.client.runs()).items == []


INPUTS = [
    ({}, "/order"),
    ({"order": {"name": 7}}, "/order/name"),
    ({"order": {"name": "o", "lines": [{"text": "x", "cents": "1"}]}}, "/order/lines/0/cents"),
    ({"order": {"name": "o"}, "count": 1.5}, "/count"),
    ({"order": {"name": "o"}, "colour": "green"}, "/colour"),
    ({"order": {"name": "o"}, "more": 1}, "/more"),
    ([1], ""),
    ("text", ""),
]


@pytest.mark.parametrize(("given", "field"), INPUTS, ids=repr)
async def test_json_that_does_not_fit_is_refused_with_the_field(live: OpenHarness, given: Any, field: str) -> None:
    async with live(taking) as h:
        with pytest.raises(InvalidInput) as caught:
            await h.client.trigger_json("taking", given)
        assert [one.field for one in caught.value.errors] == [field]
        assert all(one.found and one.wanted for one in caught.value.errors)
        assert (await h.client.runs()).items == []


async def test_json_that_fits_becomes_the_types_of_the_signature(harness: OpenHarness) -> None:
    async with harness(taking) as h:
        given = {"order": {"name": "o"}, "colour": "blue", "point": {"x": 1}}
        run = await h.client.trigger_json("taking", given)
        assert await h.result(run) == "o 1 blue Point(x=1, y=0)"


async def test_an_unknown_task_is_refused_with_the_nearest_names(live: OpenHarness) -> None:
    async with live(taking) as h:
        with pytest.raises(TaskNotFound, match="taking"):
            await h.client.trigger_json("takin", {})


async def test_the_same_idempotency_key_is_the_same_run(harness: OpenHarness, ledger: Ledger) -> None:
    @task
    async def counting(n: int) -> int:
        return ledger.add(f"run {n}")

    async with harness(counting) as h:
        first = await h.client.trigger_json("counting", {"n": 1}, idempotency_key="k")
        again = await h.client.trigger_json("counting", {"n": 1}, idempotency_key="k")
        assert first.id == again.id
        with pytest.raises(IdempotencyMismatch, match="no run was made"):
            await h.client.trigger_json("counting", {"n": 2}, idempotency_key="k")
        await h.result(first)
        assert len((await h.client.runs()).items) == 1
    assert ledger == {"run 1": 1}


async def test_a_run_of_a_task_no_worker_has_waits_and_says_so(harness: OpenHarness) -> None:
    @task
    async def elsewhere() -> str:
        return "done"

    async with harness(taking, elsewhere) as h:
        await h.restart(taking, elsewhere)
        run = await h.trigger(elsewhere)
        await h.client.cancel(run.id, by="test")
        await h.restart(taking)
        store_run = await _trigger_unknown(h, elsewhere)
        assert await h.status(store_run) == "queued"
        assert "no worker that is alive knows task 'elsewhere'" in await h.why(store_run)
        await h.restart(taking, elsewhere)
        assert await h.result(store_run) == "done"


async def _trigger_unknown(h: Any, definition: Any) -> str:
    """A run as a program with other definitions would start it on the same database."""
    run = await h.client.trigger(definition)
    return str(run.id)


async def test_every_open_state_has_a_reason(harness: OpenHarness) -> None:
    @step
    async def failing() -> None:
        raise Rejected("a person said no")

    @task
    async def asking() -> None:
        await wait_for_approval(Invoice(number="1"), key="gate")

    @task
    async def sleeping() -> None:
        await sleep("3d")

    @task
    async def refusing() -> None:
        await failing()

    async with harness(asking, sleeping, refusing) as h:
        asked, slept, refused = [await h.trigger(one) for one in (asking, sleeping, refusing)]
        approval = await h.only_approval()
        later = await h.client.trigger_json("sleeping", {}, delay="2h")
        await h.advance("1h")
        assert await h.why(asked) == f"waiting for 1h for a person to decide approval {approval.id} (gate#1)"
        assert await h.why(slept) == "sleeping until its timer fires in 2d 23h (sleep#1)"
        assert await h.why(later) == "it begins in 1h"
        assert await h.why(refused) == "it failed 1h ago: a person said no"
        await h.client.cancel(asked.id, by="operator")
        assert await h.why(asked) == "it was cancelled under a second ago"
        await h.worker.stop()
        queued = await h.trigger(sleeping)
        assert "no worker is running" in await h.why(queued)
        with pytest.raises(RunNotFound):
            await h.why("run_unknown")
        with pytest.raises(IllegalTransition, match="it cannot be resumed"):
            await h.client.resume(slept.id, by="operator")


async def test_a_rejected_run_is_not_tried_again(harness: OpenHarness) -> None:
    @task
    async def refusing() -> None:
        decision = await wait_for_approval("pay?")
        if not decision.approved:
            raise Rejected(decision.comment)

    async with harness(refusing) as h:
        run = await h.trigger(refusing)
        await h.reject(await h.only_approval(run), comment="too dear")
        with pytest.raises(RunFailed, match="Rejected: too dear"):
            await h.result(run)


async def test_outside_of_runs_and_of_an_open_agentflow_triggering_says_what_is_missing() -> None:
    with pytest.raises(DefinitionError, match=r"needs an open AgentFlow around it.*no run was made"):
        await taking.trigger(Order(name="o"))
    with pytest.raises(DefinitionError, match="AgentFlow is not open"):
        _ = AgentFlow(taking).client


async def test_within_an_open_agentflow_handles_give_typed_results_and_errors(live: OpenHarness) -> None:
    @task
    async def invoicing(number: str) -> Invoice:
        if not number:
            raise Rejected("no number")
        return Invoice(number=number)

    async with live(invoicing) as h:
        handle = await invoicing.trigger("7")
        assert await handle == Invoice(number="7")
        assert await invoicing.trigger_and_wait("8") == Invoice(number="8")
        handles = await invoicing.batch_trigger(["1", ("2",), {"number": "3"}])
        assert [(await one).number for one in handles] == ["1", "2", "3"]
        with pytest.raises(RunFailed, match="Rejected: no number") as caught:
            await invoicing.trigger_and_wait("")
        assert isinstance(caught.value.__cause__, Rejected)
        assert handle.id in repr(handle)
        assert h.app.client is h.client


async def test_an_agentflow_may_be_closed_by_another_asyncio_task_than_opened_it(live: OpenHarness) -> None:
    import asyncio

    h = live(taking)
    await asyncio.create_task(h.__aenter__())
    assert await h.run(taking, Order(name="o")) == "o 1 red None"
    await asyncio.create_task(h.__aexit__(None, None, None))
