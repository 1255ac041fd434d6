"""A disk that fills up costs the writes that found it full, and nothing else."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentflow.errors import StoreUnavailable, StoreUnusable
from agentflow.store import open_store
from agentflow.store.sqlite.store import SqliteStore
from tests.support.stores import a_trigger, a_turn, an_entry

LARGE = f'"{"x" * 50_000}"'


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system takes root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


async def fill(store: SqliteStore) -> list[str]:
    """Trigger runs until the store takes no more; those it took."""
    made = []
    for _ in range(200):
        try:
            made.append((await store.trigger(a_trigger(input=LARGE))).id)
        except StoreUnavailable:
            return made
    raise AssertionError("the disk did not fill up")


async def runs_in(store: SqliteStore) -> int:
    return sum((await store.counts()).runs.values())


async def test_a_full_database_refuses_writes_keeps_the_others_and_goes_on_when_there_is_room(
    store: SqliteStore,
) -> None:
    lease = await a_turn(store)
    connection = store._writer._connection
    assert connection is not None
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages + 100}")

    made = await fill(store)

    assert await runs_in(store) == 1 + len(made)
    with pytest.raises(StoreUnavailable, match="full"):
        await store.trigger(a_trigger(input=LARGE))
    told = await asyncio.gather(
        store.append(lease, an_entry("small#1")),
        store.trigger(a_trigger(input=LARGE)),
        store.append(lease, an_entry("small#2")),
        return_exceptions=True,
    )
    assert isinstance(told[1], StoreUnavailable)
    kept = [entry.key for entry in await store.entries(lease.run_id)][1:]
    assert kept == [f"small#{n // 2 + 1}" for n in (0, 2) if told[n] is None]
    writer = store._writer._connection
    if writer is not None:
        writer.execute("PRAGMA max_page_count=1000000")
    await store.trigger(a_trigger(input=LARGE))


async def test_a_full_disk_is_got_over_once_there_is_room_again(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 300_000)
    store = await open_store(f"sqlite:///{small_disk / 'agentflow.db'}")
    made = await fill(store)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await store.trigger(a_trigger(input=LARGE))

    ballast.unlink()
    made.append((await store.trigger(a_trigger(input=LARGE))).id)

    for run_id in made:
        assert (await store.run(run_id)).input == LARGE
    assert await runs_in(store) == len(made)
    await store.close()


async def test_a_disk_too_full_to_open_on_is_said_to_be_full(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 2_000_000)
    url = f"sqlite:///{small_disk / 'agentflow.db'}"

    with pytest.raises(StoreUnusable, match=r"full|cannot be used"):
        await open_store(url)

    ballast.unlink()
    store = await open_store(url)
    await store.trigger(a_trigger())
    await store.close()
