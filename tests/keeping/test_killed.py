"""`kill -9` in the middle of looking after a database: what was begun is done again, and nothing is half there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agentflow.records import Pruned
from agentflow.requests import Completed, Kept, Prune, RunFilter
from agentflow.store.keeping.checking import check
from agentflow.store.keeping.moving import moved_to
from agentflow.store.keeping.places import place_of
from tests.keeping.conftest import lived_in
from tests.support.stores import Database, a_turn, database_of

ROOT = Path(__file__).parents[2]


def killed_in(point: str, *arguments: str, database: str) -> None:
    """Run the command, which dies at this point."""
    environment = os.environ | {"AGENTFLOW_FAILPOINTS": point, "AGENTFLOW_DATABASE_URL": database}
    command = [sys.executable, "-m", "agentflow", "db", *arguments]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=250, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def run_command(*arguments: str, database: str) -> None:
    environment = os.environ | {"AGENTFLOW_DATABASE_URL": database}
    command = [sys.executable, "-m", "agentflow", "db", *arguments]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=250, check=False)
    assert ended.returncode == 0, ended.stderr


def sound(url: str) -> bool:
    with place_of(url) as place:
        return list(check(place, lambda _: None)) == []


def count(url: str, table: str = "run") -> int:
    with place_of(url) as place:
        return int(place.value(f"SELECT count(*) FROM agentflow_{table}"))


async def finished(database: Database, number: int) -> None:
    """Runs that ended long ago by any clock."""
    store = await database.open()
    for _ in range(number):
        lease = await a_turn(store)
        await store.finish(lease, Completed('"' + "x" * 200_000 + '"'))
    await store.close()
    database.opened.remove(store)


@pytest.mark.parametrize("point", ["prune.before=kill@2", "prune.inside=kill@2", "prune.after=kill@2"])
async def test_pruning_goes_on_where_it_was_killed(database: Database, point: str) -> None:
    await finished(database, 3)
    killed_in(point, "prune", "--older-than", "1s", database=database.url)
    assert sound(database.url)
    run_command("prune", "--older-than", "1s", database=database.url)
    assert sound(database.url)
    store = await database.open()
    left = (await store.runs(RunFilter(limit=100))).items
    assert all(not one.is_finished or one.pruned_at is not None for one in left)
    request = Prune(kind=Kept.RUNS, before=store.now())
    assert await store.prunable(request) == Pruned()


@pytest.mark.parametrize(("kind", "other"), [("sqlite", "postgres"), ("postgres", "sqlite")])
async def test_a_move_that_is_killed_leaves_both_as_they_were(tmp_path: Path, kind: str, other: str) -> None:
    async with lived_in(kind, tmp_path / "a") as source, database_of(other, tmp_path) as destination:
        before = count(source.url)
        killed_in("move.inside=kill@6", "move", source.url, destination.url, database=source.url)
        assert (count(source.url), count(destination.url)) == (before, 0)
        run_command("move", source.url, destination.url, database=source.url)
        assert count(destination.url) == before
        assert sound(destination.url)


async def test_a_move_killed_before_it_could_say_so_is_finished_by_the_next(tmp_path: Path) -> None:
    async with lived_in("sqlite", tmp_path / "a") as source, database_of("postgres", tmp_path) as destination:
        before = count(source.url)
        killed_in("move.after=kill", "move", source.url, destination.url, database=source.url)
        assert count(destination.url) == before
        with place_of(source.url) as place:
            assert not moved_to(place)
        run_command("move", source.url, destination.url, database=source.url)
        with place_of(source.url) as place:
            assert moved_to(place)


async def test_a_backup_that_is_killed_leaves_nothing_under_its_name(tmp_path: Path) -> None:
    async with lived_in("sqlite", tmp_path / "a") as source:
        target = tmp_path / "copies" / "copy.db"
        target.parent.mkdir()
        killed_in("backup.inside=kill", "backup", str(target), database=source.url)
        assert not target.exists()
        run_command("backup", str(target), database=source.url)
        assert sound(f"sqlite:///{target}")
        assert sound(source.url)
