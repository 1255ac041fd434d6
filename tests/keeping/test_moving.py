"""Moving: every row is there afterwards as it was, open runs go on there, and the source takes no more writes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from agentflow.errors import StoreUnavailable, StoreUnusable
from agentflow.records import Run
from agentflow.requests import NewLogLine, RunFilter
from agentflow.states import RunStatus
from agentflow.store.keeping import moving
from agentflow.store.keeping.checking import check
from agentflow.store.keeping.moving import Moved, move
from agentflow.store.keeping.places import place_of
from agentflow.testing import Harness
from tests.keeping.conftest import TASKS, lived_in
from tests.support.stores import Database, a_trigger, a_worker, database_of

if TYPE_CHECKING:
    from pathlib import Path

RUNS = 5
WAYS = [("sqlite", "postgres"), ("postgres", "sqlite"), ("sqlite", "sqlite"), ("postgres", "postgres")]


def moved(source: Database, destination: Database) -> Moved:
    with place_of(source.url) as here, place_of(destination.url) as there:
        return move(here, there, lambda _: None)


async def runs_in(database: Database) -> list[Run]:
    store = await database.open()
    return list((await store.runs(RunFilter(limit=100))).items)


@pytest.mark.parametrize(("kind", "other"), WAYS, ids=str)
async def test_open_runs_and_approvals_go_on_in_the_other_database(tmp_path: Path, kind: str, other: str) -> None:
    async with lived_in(kind, tmp_path / "a") as source, database_of(other, tmp_path) as destination:
        before = await runs_in(source)
        done = moved(source, destination)
        assert done.rows["agentflow_run"] == len(before) == RUNS
        assert done.rows["agentflow_approval"] == 2
        assert done.rows["agentflow_blob"] >= 1
        assert await runs_in(destination) == before
        with place_of(destination.url) as place:
            assert list(check(place, lambda _: None)) == []

        destination.clock = source.clock
        async with Harness(*TASKS, database=destination.url, clock=source.clock) as harness:
            approval = await harness.only_approval()
            await harness.approve(approval)
            await harness.client.send_event("paid", "yes", key="k", by="mia")
            await harness.until_idle()
            ended = [(await harness.client.run(one.id)).status for one in before]
            head = await harness.client.head()
        assert ended == [RunStatus.COMPLETED] * RUNS
        assert head > max(entry for (entry,) in _ids(source))


def _ids(database: Database) -> list[tuple[int]]:
    with place_of(database.url) as place:
        return list(place.rows("SELECT id FROM agentflow_journal"))  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "other"), WAYS[:2], ids=str)
async def test_the_source_takes_no_more_writes_and_says_where_it_went(tmp_path: Path, kind: str, other: str) -> None:
    async with lived_in(kind, tmp_path / "a") as source, database_of(other, tmp_path) as destination:
        open_all_along = await source.open()
        moved(source, destination)
        late = await source.open()
        for store in (open_all_along, late):
            with pytest.raises(StoreUnavailable, match=r"its runs were moved to .*nothing was stored"):
                await store.trigger(a_trigger())
            with pytest.raises(StoreUnavailable, match="its runs were moved to"):
                await a_worker(store)
        assert len(await runs_in(source)) == RUNS
        with pytest.raises(StoreUnusable, match="was moved before"):
            moved(source, destination)


async def test_no_password_is_left_behind(tmp_path: Path) -> None:
    async with lived_in("sqlite", tmp_path / "a") as source, database_of("postgres", tmp_path) as destination:
        secret = destination.url.replace("postgres@", "postgres:hunter2@")
        destination.url = secret
        moved(source, destination)
        store = await source.open()
        with pytest.raises(StoreUnavailable, match="postgres:…@") as raised:
            await store.trigger(a_trigger())
        assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_database_that_a_worker_works_on_is_not_moved(tmp_path: Path, kind: str) -> None:
    async with lived_in(kind, tmp_path / "a") as source, database_of("sqlite", tmp_path) as destination:
        store = await source.open()
        worker = await store.register_worker(host="one:b", pid=7, started="", lease_for=timedelta(days=36_500))
        with pytest.raises(StoreUnusable, match=f"worker {worker.id} works on"):
            moved(source, destination)
        with place_of(source.url) as here, place_of(destination.url) as there:
            assert move(here, there, lambda _: None, dead=[worker.id]).rows["agentflow_run"] == RUNS


@pytest.mark.parametrize("other", ["sqlite", "postgres"])
async def test_a_destination_that_holds_something_else_is_left_alone(tmp_path: Path, other: str) -> None:
    async with lived_in("sqlite", tmp_path / "a") as source, database_of(other, tmp_path) as destination:
        store = await destination.open()
        await store.trigger(a_trigger())
        with pytest.raises(StoreUnusable, match="is not empty"):
            moved(source, destination)
        assert len(await runs_in(destination)) == 1
        await (await source.open()).trigger(a_trigger())


async def test_a_move_that_ended_before_it_could_say_so_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lived_in("sqlite", tmp_path / "a") as source, database_of("postgres", tmp_path) as destination:
        with monkeypatch.context() as patch:
            patch.setattr(moving, "_close", _die)
            with pytest.raises(ZeroDivisionError):
                moved(source, destination)
        again = moved(source, destination)
        assert (again.was_there, again.rows["agentflow_run"]) == (True, RUNS)
        with pytest.raises(StoreUnavailable, match="were moved to"):
            await (await source.open()).trigger(a_trigger())


def _die(*_: object) -> None:
    raise ZeroDivisionError


async def test_a_nul_is_shown_as_a_symbol_where_it_cannot_be_held(tmp_path: Path) -> None:
    async with lived_in("sqlite", tmp_path / "a") as source, database_of("postgres", tmp_path) as destination:
        store = await source.open()
        (run, *_) = await runs_in(source)
        line = NewLogLine(run_id=run.id, epoch=1, at=1, level="INFO", logger="t", message="a\0b", key=None)
        await store.keep_logs([line])
        assert moved(source, destination).nuls == 1
        assert "a\u2400b" in [one.message for one in await (await destination.open()).logs(run.id)]


async def test_what_comes_after_gets_numbers_of_its_own(tmp_path: Path) -> None:
    async with lived_in("sqlite", tmp_path / "a") as source, database_of("postgres", tmp_path) as destination:
        (run, *_) = await runs_in(source)
        line = NewLogLine(run_id=run.id, epoch=1, at=1, level="INFO", logger="t", message="m", key=None)
        await (await source.open()).keep_logs([line] * 200)  # more than are tried again by themselves
        moved(source, destination)
        store = await destination.open()
        await store.keep_logs([line] * 3)
        assert len(await store.logs(run.id)) == 203
