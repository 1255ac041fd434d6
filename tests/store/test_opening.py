"""What can be opened, and what is refused in one sentence without a byte of it changed."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agentflow.errors import InvalidSetting, StoreError, StoreUnavailable, StoreUnusable
from agentflow.requests import ApprovalFilter, RunFilter
from agentflow.store import Store, open_store, rows
from agentflow.store.sqlite.file import driver, path_of
from tests.support.stores import Database, a_gated_run, a_trigger, a_turn, an_entry


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def put(path: Path, content: bytes | bytearray) -> None:
    path.write_bytes(content)


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def beside(path: Path) -> dict[str, int]:
    """The mode of each file in its folder."""
    return {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}


def remove_log(path: Path) -> None:
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


async def opened_and_closed(path: Path) -> None:
    store = await open_store(url_of(path))
    await store.trigger(a_trigger())
    await store.close()


def made(path: Path, *statements: str) -> None:
    with closing(driver.connect(str(path), isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


async def test_a_file_that_is_not_there_is_made(path: Path) -> None:
    await opened_and_closed(path)

    assert content_of(path).startswith(b"SQLite format 3")


async def test_an_empty_file_becomes_a_database(path: Path) -> None:
    put(path, b"")
    await opened_and_closed(path)


async def test_what_was_stored_is_there_after_opening_again(path: Path) -> None:
    store = await open_store(url_of(path))
    run = await store.trigger(a_trigger())
    await store.close()

    again = await open_store(url_of(path))

    assert await again.run(run.id) == run
    await again.close()


async def test_nobody_else_can_read_the_files(path: Path) -> None:
    """Whatever the umask; the log and the index beside it hold the same secrets."""
    before = os.umask(0)
    try:
        store = await open_store(url_of(path))
        await store.trigger(a_trigger())
        modes = beside(path)
        await store.close()
    finally:
        os.umask(before)

    assert modes == {"agentflow.db": 0o600, "agentflow.db-wal": 0o600, "agentflow.db-shm": 0o600}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "agentflow.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:name.db",
        "sqlite://name.db",
        "SQLITE:///name.db",
        "file:name.db",
        "mysql://localhost/x",
        "sqlite:///a?b=1",
        "sqlite:///a#b",
    ],
)
async def test_a_url_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(InvalidSetting):
        await open_store(url)


def test_a_url_names_a_file_with_any_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert path_of("sqlite:///a%20b%3F.db") == tmp_path / "a b?.db"
    assert path_of("sqlite:////a/b.db") == Path("/a/b.db")


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match=r"folder .*none does not exist"):
        await open_store(url_of(tmp_path / "none" / "agentflow.db"))
    assert beside(tmp_path / "any") == {}


async def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="cannot be written"):
        await open_store(url_of(tmp_path))


# -- files that are not ours


def some_text(path: Path) -> None:
    path.write_text("Dear diary,\n" * 500)


def foreign_tables(path: Path) -> None:
    made(path, "CREATE TABLE agentflow_notes (id INTEGER)", "CREATE TABLE agentflow_run (id INTEGER)")


def a_newer_schema(path: Path) -> None:
    made(
        path,
        "PRAGMA journal_mode=WAL",
        "CREATE TABLE agentflow_schema (version_num TEXT)",
        "INSERT INTO agentflow_schema VALUES ('9999')",
        "CREATE TABLE agentflow_run (id TEXT)",
    )


def half_a_schema(path: Path) -> None:
    made(path, "CREATE TABLE agentflow_schema (version_num TEXT)", "CREATE TABLE agentflow_run (id TEXT)")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (some_text, "not a SQLite database"),
        (foreign_tables, "agentflow_notes, agentflow_run"),
        (a_newer_schema, "newer agentflow"),
        (half_a_schema, "only half made"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_file_that_is_not_ours_is_refused_and_left_as_it_was(
    path: Path, make: Callable[[Path], None], said: str
) -> None:
    make(path)
    before = content_of(path)

    for _ in range(2):
        with pytest.raises(StoreUnusable, match=said):
            await open_store(url_of(path))

    assert content_of(path) == before


async def test_another_programs_tables_are_left_alone(path: Path) -> None:
    made(path, "CREATE TABLE invoice (id INTEGER)", "INSERT INTO invoice VALUES (17)")

    await opened_and_closed(path)

    with closing(driver.connect(str(path))) as connection:
        assert connection.execute("SELECT id FROM invoice").fetchall() == [(17,)]


# -- read-only


@pytest.fixture
def read_only_folder(database: Database, tmp_path: Path) -> Iterator[Path]:
    """The folder of a database, mounted so that nobody can write to it, root included."""
    folder = tmp_path / "read_only"
    folder.mkdir()
    mounted = subprocess.run(["mount", "--bind", tmp_path, folder], check=False, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting a folder takes root")
    subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("name", ["agentflow.db", "new.db"])
async def test_a_read_only_place_is_refused(read_only_folder: Path, name: str) -> None:
    with pytest.raises(StoreUnusable, match=r"cannot be written .*writable"):
        await open_store(url_of(read_only_folder / name))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any file")
async def test_a_read_only_file_is_refused(path: Path) -> None:
    await opened_and_closed(path)
    await asyncio.to_thread(path.chmod, 0o400)

    with pytest.raises(StoreUnusable, match="cannot be written"):
        await open_store(url_of(path))


# -- damage


async def a_well_used_file(path: Path) -> bytes:
    store = await open_store(url_of(path))
    for n in range(20):
        lease = await a_turn(store)
        for m in range(10):
            await store.append(lease, an_entry(f"fetch#{m}", output=f'"{n * m}"' * 20))
        await a_gated_run(store)
    await store.close()
    return content_of(path)


async def use(store: Store) -> None:
    """Read everything, and write."""
    for run in (await store.runs(RunFilter(limit=1000))).items:
        await store.entries(run.id)
    await store.approvals(ApprovalFilter(pending=None, limit=1000))
    await store.counts()
    await a_turn(store)


def test_runs_of_a_status_that_is_none_are_counted_as_damage() -> None:
    with pytest.raises(StoreUnusable, match=r"'runnin]' is not a valid RunStatus: .* damaged"):
        rows.status("runnin]")


async def test_a_damaged_file_is_refused_or_works_but_never_fails_in_other_words(path: Path) -> None:
    """Sixty files, each with a few bytes overwritten: every other time at the head of a page."""
    sound, chance, refusals = await a_well_used_file(path), random.Random(7), list[str]()
    for n in range(60):
        damaged = bytearray(sound)
        place = chance.randrange(len(sound) // 4096) * 4096 if n % 2 else chance.randrange(len(sound) - 16)
        damaged[place : place + 16] = chance.randbytes(16)
        put(path, damaged)
        try:
            store = await open_store(url_of(path))
        except StoreUnusable as error:
            refusals.append(str(error))
            continue
        try:
            await use(store)
        except StoreError as error:
            refusals.append(str(error))
        finally:
            await store.close()
            remove_log(path)
    assert all(str(path) in said or "damaged" in said for said in refusals)
    assert len(refusals) > 10


async def test_a_file_with_a_lost_page_is_refused_before_anything_is_written_to_it(path: Path) -> None:
    """As a disk leaves it that has lost a sector: every page is looked at when the file is opened."""
    sound = await a_well_used_file(path)
    for page in range(1, len(sound) // 4096, 5):
        put(path, sound[: page * 4096] + bytes(4096) + sound[(page + 1) * 4096 :])
        with pytest.raises(StoreUnusable, match=r"damaged.*restore it from a backup"):
            await open_store(url_of(path))
        remove_log(path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
async def test_a_truncated_file_is_refused(path: Path, part: float) -> None:
    sound = await a_well_used_file(path)
    put(path, sound[: int(len(sound) * part) // 4096 * 4096])

    with pytest.raises(StoreUnusable, match=r"damaged.*restore it from a backup"):
        await open_store(url_of(path))


async def test_a_file_that_lacks_a_table_is_refused(path: Path) -> None:
    await opened_and_closed(path)
    made(path, "DROP TABLE agentflow_log", "DROP TABLE agentflow_decision")

    with pytest.raises(StoreUnusable, match=r"lacks the tables agentflow_decision, agentflow_log; restore it"):
        await open_store(url_of(path))


async def test_a_file_that_was_moved_away_is_told_of_and_takes_no_writes(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As `agentflow db move` leaves it: whoever only reads may still do so."""
    await opened_and_closed(path)
    refusal = "SELECT RAISE(ABORT, 'its runs were moved to postgresql://db/runs; name that one instead')"
    name = "agentflow_moved_agentflow_run_insert"
    made(path, f"CREATE TRIGGER {name} BEFORE INSERT ON agentflow_run BEGIN {refusal}; END")

    store = await open_store(url_of(path))

    assert f"database {path} takes no writes: its runs were moved to another" in caplog.text
    assert sum((await store.counts()).runs.values()) == 1
    with pytest.raises(StoreUnavailable, match=r"its runs were moved to postgresql://db/runs.*nothing was stored"):
        await store.trigger(a_trigger())
    await store.close()
