"""The log beside the file: torn, left behind or read from, it loses nothing that was answered."""

from __future__ import annotations

import asyncio
import shutil
import threading
from contextlib import closing
from pathlib import Path

import pytest

from agentflow.store import open_store, reads
from agentflow.store.sqlite.file import connect, driver
from agentflow.store.sqlite.store import READERS, SqliteStore
from tests.support.stores import a_trigger

BESIDE = ("", "-wal", "-shm")


def copied(store: SqliteStore, folder: Path, *suffixes: str) -> Path:
    """The store's files as they are on disk at this moment, as after a crash."""
    folder.mkdir()
    for suffix in suffixes:
        name = store.path.name + suffix
        shutil.copy(store.path.with_name(name), folder / name)
    return folder / store.path.name


async def runs_in(path: Path) -> list[str]:
    """The ids of the runs in a file, in the order in which they were made; then it takes one more."""
    store = await open_store(f"sqlite:///{path}")
    made = [entry.run_id for entry in await store.feed(after=0, limit=1000)]
    await store.trigger(a_trigger())
    await store.close()
    with closing(driver.connect(str(path))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return made


@pytest.mark.parametrize("suffixes", [BESIDE, BESIDE[:2]], ids=["as it was", "without its index"])
async def test_what_was_answered_is_there_after_a_crash(
    store: SqliteStore, tmp_path: Path, suffixes: tuple[str, ...]
) -> None:
    made = [(await store.trigger(a_trigger())).id for _ in range(20)]

    assert await runs_in(copied(store, tmp_path / "crashed", *suffixes)) == made


async def test_a_torn_log_loses_whole_commits_from_its_end_and_no_others(store: SqliteStore, tmp_path: Path) -> None:
    """As a disk leaves it that loses power in the middle of a write nobody was answered for."""
    made, ends = [], []
    for _ in range(12):
        made.append((await store.trigger(a_trigger())).id)
        ends.append(store.path.with_name(store.path.name + "-wal").stat().st_size)
    for n, cut in enumerate([*range(0, ends[-1], 9_973), *(end - 1 for end in ends), *ends]):
        path = copied(store, tmp_path / f"torn{n}", *BESIDE[:2])
        with path.with_name(path.name + "-wal").open("r+b") as log:
            log.truncate(cut)

        assert await runs_in(path) == made[: sum(end <= cut for end in ends)]


async def test_a_log_with_garbage_at_its_end_is_read_up_to_it(store: SqliteStore, tmp_path: Path) -> None:
    made = [(await store.trigger(a_trigger())).id for _ in range(5)]
    path = copied(store, tmp_path / "garbage", *BESIDE[:2])
    with path.with_name(path.name + "-wal").open("ab") as log:
        log.write(b"\xaa" * 10_000)

    assert await runs_in(path) == made


async def test_readers_do_not_hold_up_the_writer(store: SqliteStore) -> None:
    """Every reader is in the middle of a snapshot while runs are made; each still sees what it began with."""
    begun, go_on = threading.Barrier(READERS + 1, timeout=60), threading.Event()

    def slow_count(tx: object) -> tuple[int, int]:
        before = reads.counts(tx)  # type: ignore[arg-type]
        begun.wait()
        assert go_on.wait(60)
        after = reads.counts(tx)  # type: ignore[arg-type]
        return sum(before.runs.values()), sum(after.runs.values())

    reading = [asyncio.ensure_future(store.read(slow_count)) for _ in range(READERS)]
    await asyncio.to_thread(begun.wait)
    for _ in range(20):
        await store.trigger(a_trigger())
    assert not any(one.done() for one in reading)
    go_on.set()

    assert await asyncio.gather(*reading) == [(0, 0)] * READERS
    assert sum((await store.counts()).runs.values()) == 20


async def test_a_reader_cannot_write(store: SqliteStore) -> None:
    with closing(connect(store.path, read_only=True)) as connection, pytest.raises(driver.Error, match="readonly"):
        connection.execute("DELETE FROM agentflow_run")


async def test_closing_folds_the_log_into_the_file(store: SqliteStore) -> None:
    await store.trigger(a_trigger())
    await store.counts()

    await store.close()

    assert [file.name for file in store.path.parent.glob("agentflow.db*")] == ["agentflow.db"]


async def test_every_commit_is_flushed_to_the_disk(store: SqliteStore) -> None:
    """`synchronous` 2 is FULL: one flush for each commit, without which power failure could take answers back."""
    connection = store._writer._connection
    assert connection is not None
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


async def test_the_log_is_kept_short(store: SqliteStore) -> None:
    """Snapshots are short, so what was committed is folded in all the time."""
    log = store.path.with_name(store.path.name + "-wal")
    for _ in range(30):
        await asyncio.gather(*(store.trigger(a_trigger(input=f'"{"x" * 1000}"')) for _ in range(100)))
        await store.counts()

    assert log.stat().st_size < 12_000_000
    assert store.path.stat().st_size > 3_000_000
