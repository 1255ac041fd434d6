"""Backing up and restoring: a copy of one moment while writes go on, whole or not there, and its owner's alone."""

from __future__ import annotations

import asyncio
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from agentflow.errors import StoreUnusable
from agentflow.requests import RunFilter
from agentflow.store.keeping import backing
from agentflow.store.keeping.backing import copy_file, dump_server, load_server
from agentflow.store.keeping.checking import check
from agentflow.store.keeping.places import place_of
from tests.keeping.conftest import lived_in
from tests.support import clusters
from tests.support.postgres import postgres_database, server
from tests.support.stores import Database, a_trigger


@pytest.fixture(params=["sqlite"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    async with lived_in(request.param, tmp_path) as database:
        yield database


@pytest.fixture
def file(database: Database) -> Path:
    return Path(database.url.removeprefix("sqlite:///"))


def findings(url: str) -> list[str]:
    with place_of(url) as place:
        return [one.said for one in check(place, lambda _: None)]


def count(url: str) -> int:
    with place_of(url) as place:
        return int(place.value("SELECT count(*) FROM agentflow_run"))


async def test_a_copy_is_of_one_moment_while_writes_go_on(
    database: Database, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page is copied between two commits: the copy is what was there when it began, and not begun anew."""
    monkeypatch.setattr(backing, "PAGES", 5)
    store, loop, copied = await database.open(), asyncio.get_running_loop(), tmp_path / "copy.db"
    before, steps = count(database.url), []

    def between(said: str) -> None:
        if "copying" in said:
            steps.append(said)
            asyncio.run_coroutine_threadsafe(store.trigger_many([a_trigger()] * 3), loop).result(10)

    await asyncio.to_thread(copy_file, file, copied, between)
    assert 5 < len(steps) < 1000
    assert count(database.url) == before + 3 * len(steps)
    assert count(f"sqlite:///{copied}") == before
    assert findings(f"sqlite:///{copied}") == []


def test_a_copy_is_one_file_that_only_its_owner_reads(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    size = copy_file(file, folder / "copy.db", lambda _: None)
    (made,) = folder.iterdir()
    assert (made.name, made.stat().st_size, stat.S_IMODE(made.stat().st_mode)) == ("copy.db", size, 0o600)


def test_a_file_that_is_there_is_replaced_only_by_force(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("precious")
    with pytest.raises(StoreUnusable, match="--force"):
        copy_file(file, target, lambda _: None)
    assert target.read_text() == "precious"
    copy_file(file, target, lambda _: None, force=True)
    assert findings(f"sqlite:///{target}") == []


def test_a_file_that_appears_meanwhile_is_not_replaced(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"

    def interfere(_: str) -> None:
        target.write_text("precious")

    with pytest.raises(StoreUnusable, match="by somebody else meanwhile"):
        copy_file(file, target, interfere)
    assert target.read_text() == "precious"


def test_a_copy_that_cannot_be_finished_is_not_there(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()

    def full(_: str) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreUnusable, match="No space left"):
        copy_file(file, folder / "copy.db", full)
    assert list(folder.iterdir()) == []


def test_a_damaged_source_gives_no_copy(file: Path, tmp_path: Path) -> None:
    with place_of(f"sqlite:///{file}") as place:
        root = place.value("SELECT rootpage FROM sqlite_master WHERE name = 'ix_agentflow_run_status'")
    damaged = bytearray(file.read_bytes())
    damaged[(root - 1) * 4096 : root * 4096] = b"\x07" * 4096
    file.write_bytes(damaged)
    with pytest.raises(StoreUnusable, match="damaged"):
        copy_file(file, tmp_path / "copy.db", lambda _: None)
    assert not (tmp_path / "copy.db").exists()
    assert findings(f"sqlite:///{file}")[0] == "damage to the file"


# -- servers


@pytest.fixture
def client_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{clusters.programs()}:/usr/bin:/bin")


async def test_a_dump_restores_into_an_empty_database(tmp_path: Path, client_programs: None) -> None:
    dump = tmp_path / "runs.dump"
    async with lived_in("postgres", tmp_path / "a") as source, postgres_database(empty=True) as other:
        size = dump_server(source.url, dump, lambda _: None)
        assert (dump.stat().st_size, stat.S_IMODE(dump.stat().st_mode)) == (size, 0o600)
        load_server(other, dump, lambda _: None)
        assert findings(other) == []
        assert count(other) == count(source.url)
        restored = Database(other, source.clock)
        store = await restored.open()
        made = await store.trigger(a_trigger())
        ids = [entry.id for entry in await store.entries(made.id)]
        assert ids[0] == await store.head()
        assert len((await store.runs(RunFilter())).items) == count(other)
        await store.close()
        with pytest.raises(StoreUnusable, match="pg_restore failed"):
            load_server(other, dump, lambda _: None)
        assert count(other) == count(source.url) + 1


def server_with_password() -> str:
    """A server that wants none, asked with one."""
    return server().replace("postgres@", "postgres:hunter2@")


def test_the_password_is_not_on_the_command_line(
    tmp_path: Path, client_programs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(backing, "_call", lambda command, secret: seen.append((command, secret)))
    with suppress(StoreUnusable):
        dump_server(f"{server_with_password()}?sslmode=prefer", tmp_path / "x", lambda _: None)
    command, secret = seen[0]
    assert "hunter2" not in " ".join(command)
    assert secret == {"PGPASSWORD": "hunter2"}
    assert "sslmode=prefer" in " ".join(command)


def test_without_the_servers_programs_the_command_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreUnusable, match=r"pg_dump --format=custom .*postgres:…@"):
        dump_server(server_with_password(), tmp_path / "x", lambda _: None)
    assert list(tmp_path.iterdir()) == []
