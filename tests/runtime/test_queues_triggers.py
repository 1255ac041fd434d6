"""What becomes of further triggers, as tasks declare it: one run of the last, of all, or none."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow import Batch, Debounce, SingletonTaken, step, task, wait_for_approval
from agentflow.errors import DefinitionError
from agentflow.states import EntryKind
from agentflow.tasks.catalog import Catalog
from tests.runtime.conftest import OpenHarness
from tests.support.tasks import Ledger


async def test_several_triggers_become_one_run_of_the_last(live: OpenHarness, ledger: Ledger) -> None:
    @task(debounce=Debounce("5s", key="document"))
    async def index(document: str, version: int) -> None:
        ledger.add(f"{document} v{version}")

    async with live(index) as h:
        for version in (1, 2, 3):
            await h.trigger(index, "a", version)
            await h.advance("2s")
        await h.trigger(index, "b", 1)
        await h.advance("5s")

    assert ledger == {"a v3": 1, "b v1": 1}


async def test_several_triggers_become_one_run_of_all(live: OpenHarness) -> None:
    @task(batch=Batch(3, "10s"))
    async def total(numbers: list[int]) -> int:
        return sum(numbers)

    async with live(total) as h:
        made = [await h.trigger(total, [n]) for n in (1, 2, 3, 4)]
        assert await h.result(made[0]) == 6
        assert len({one.id for one in made}) == 2
        await h.advance("10s")
        assert await h.result(made[3]) == 4


async def test_a_run_that_is_replaced_undoes_its_steps_beside_the_new_one(live: OpenHarness, ledger: Ledger) -> None:
    async def unbook(name: str) -> None:
        ledger.add(f"undo {name}")

    @step(undo=unbook)
    async def book(name: str) -> str:
        return name

    @task(singleton="replace")
    async def travel(name: str) -> str:
        await book(name)
        await wait_for_approval(data={}, title=name)
        return name

    async with live(travel) as h:
        old = await h.trigger(travel, "a")
        await h.until_idle()
        new = await h.trigger(travel, "b")
        assert await h.status(old) == "cancelled"
        await h.approve(await h.only_approval())
        assert await h.result(new) == "b"

    assert ledger == {"undo a": 1}


@pytest.mark.parametrize("annotation", [int, "tuple[int, ...]", Any])
def test_what_gathers_its_triggers_takes_one_list(annotation: Any) -> None:
    async def take(numbers: Any) -> None: ...

    take.__annotations__["numbers"] = annotation
    with pytest.raises(DefinitionError, match="is a list of what is gathered"):
        Catalog.collect(task(batch=Batch(3, "1s"))(take))

    async def two(a: list[int], b: int) -> None: ...

    with pytest.raises(DefinitionError, match="it takes one list"):
        task(batch=Batch(3, "1s"))(two)


async def test_a_child_that_is_refused_is_refused_again_in_replay(harness: OpenHarness, ledger: Ledger) -> None:
    @step
    async def note(what: str) -> None:
        ledger.add(what)

    @task(singleton="skip", singleton_key="name")
    async def only(name: str) -> str:
        await wait_for_approval(data={}, title=name)
        return name

    @task
    async def parent() -> str:
        held = await only.trigger("a")
        try:
            await only.trigger("a")
        except SingletonTaken as error:
            await note(f"refused for {error.run_id == held.id}")
        return await held

    async with harness(only, parent) as h:
        run = await h.trigger(parent)
        approval = await h.only_approval()
        await h.crash()
        await h.approve(approval)
        assert await h.result(run) == "a"
        kinds = [(one.kind, one.key) for one in await h.journal(run) if one.operation == "trigger"]

    assert ledger == {"refused for True": 1}
    assert kinds == [(EntryKind.SUCCEEDED, "only.trigger#1"), (EntryKind.FAILED, "only.trigger#2")]
