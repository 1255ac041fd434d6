"""Another program's commits are noticed: at once where the kernel tells of them, soon where it does not."""

from __future__ import annotations

import asyncio
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from agentflow.store.sqlite import ears, looking
from agentflow.store.sqlite.ears import Ears
from agentflow.store.sqlite.looking import Looking
from tests.support.stores import LEASE, a_trigger, a_worker

if TYPE_CHECKING:
    from pathlib import Path

    from agentflow.store.sqlite.store import SqliteStore
    from tests.support.stores import Database

PATIENCE = 60
AGES = 3600
linux = pytest.mark.skipif(sys.platform != "linux", reason="there is no inotify")


async def noticed(store: SqliteStore, database: Database) -> None:
    """Return when the store has noticed a commit made past it."""
    other, heard = await database.open(), asyncio.Event()
    stop = store.watch(lambda _run_id, _moved: heard.set())
    for _ in range(5):
        await asyncio.sleep(0)  # it begins to look, and comes to rest
    heard.clear()
    await other.trigger(a_trigger())
    await asyncio.wait_for(heard.wait(), PATIENCE)
    stop()


@linux
async def test_the_kernel_tells_of_the_next_write_and_of_no_further_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    with closing(Ears(file)) as listening:
        assert listening.listen()
        file.write_bytes(b"a")
        assert await listening.hear(within=PATIENCE)
        file.write_bytes(b"b")
        assert not await listening.hear(within=0.02)


@linux
async def test_a_write_while_the_time_runs_out_is_heard(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    with closing(Ears(file)) as listening:
        assert listening.listen()
        asyncio.get_running_loop().remove_reader(listening._file)  # as if the loop were busy until then
        file.write_bytes(b"a")
        assert await listening.hear(within=0)


async def test_nothing_is_heard_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    with closing(Ears(tmp_path / "none")) as listening:
        assert not listening.listen()


@linux
async def test_a_commit_after_a_quiet_while_is_noticed_though_nobody_looks(
    store: SqliteStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "QUIET", 0)
    monkeypatch.setattr(looking, "SELDOM", AGES)
    await noticed(store, database)


@linux
async def test_a_commit_just_before_the_kernel_is_asked_is_not_missed(
    store: SqliteStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "SELDOM", AGES)
    found = []
    look = Looking(store.path, store._writer, lambda: 0, lambda: found.append(True))
    await (await database.open()).trigger(a_trigger())
    with closing(Ears(look._log)) as listening:
        assert listening.listen()
        await asyncio.wait_for(look._rest(listening), PATIENCE)
    assert found == [True]


async def test_a_commit_is_noticed_where_nothing_can_be_heard(
    store: SqliteStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ears.sys, "platform", "darwin")
    monkeypatch.setattr(looking, "QUIET", 0)
    await noticed(store, database)


@linux
async def test_a_kernel_that_tells_of_nothing_is_soon_trusted_no_more(
    store: SqliteStore, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = tmp_path / "silent"
    silent.write_bytes(b"")
    made = []
    monkeypatch.setattr(looking, "Ears", lambda _path: made.append(Ears(silent)) or made[-1])
    for name, value in {"QUIET": 0, "SELDOM": 0.01, "OFTEN_FOR": 0}.items():
        monkeypatch.setattr(looking, name, value)
    for _ in range(looking.DEAF):
        await noticed(store, database)
    assert not made[0].listen()
    await noticed(store, database)


async def test_another_programs_commit_makes_looks_frequent_and_our_own_heartbeat_does_not(
    store: SqliteStore, database: Database
) -> None:
    worker = await a_worker(store)
    look = Looking(store.path, store._writer, lambda: store._renewals, lambda: None)
    assert store.renew(worker, LEASE) is not None
    assert look._look()
    assert look._often == 0
    await (await database.open()).trigger(a_trigger())
    assert look._look()
    assert look._often == looking.OFTEN_FOR
