"""Where a database may be: on a local file system, and with an unsafe SQLite in one process only."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agentflow.errors import StoreUnusable
from agentflow.store import open_store
from agentflow.store.sqlite import file as sqlite_file
from agentflow.store.sqlite.file import NETWORK_FILE_SYSTEMS, SAFE_VERSION, driver, file_system
from tests.store.programs import programs
from tests.support.stores import a_trigger

MOUNTS = r"""
/dev/vda1 / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
/dev/vdb1 /data xfs rw 0 0
server:/export /data/shared nfs4 rw,vers=4.2 0 0
//nas/team /srv/our\040share cifs rw 0 0
tmpfs /data/shared/local tmpfs rw 0 0
old:/x /late nfs rw 0 0
/dev/vdc1 /late ext4 rw 0 0
""".strip()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/agentflow.db", "ext4"),
        ("/data/agentflow.db", "xfs"),
        ("/data/shared/agentflow.db", "nfs4"),
        ("/data/shared2/agentflow.db", "xfs"),
        ("/srv/our share/agentflow.db", "cifs"),
        ("/data/shared/local/agentflow.db", "tmpfs"),
        ("/late/agentflow.db", "ext4"),
    ],
)
def test_the_innermost_and_latest_mount_decides(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind


def test_where_nothing_is_said_of_mounts_nothing_is_known() -> None:
    assert file_system(Path("/data/agentflow.db"), "") == ""


@pytest.mark.parametrize("kind", sorted(NETWORK_FILE_SYSTEMS))
async def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Through a link, too: what counts is where the file really is."""
    monkeypatch.setattr(sqlite_file, "_mounts", lambda: f"server:/x {tmp_path.resolve()}/far {kind} rw 0 0")
    (tmp_path / "far").mkdir()
    (tmp_path / "near").symlink_to(tmp_path / "far")

    for folder in ("far", "near"):
        with pytest.raises(StoreUnusable, match=f"network file system .{kind}.*use a local disk"):
            await open_store(f"sqlite:///{tmp_path / folder / 'agentflow.db'}")
    assert list((tmp_path / "far").iterdir()) == []


OPEN_WITH_AN_OLD_SQLITE = """
import asyncio, sys
from agentflow.errors import StoreUnusable
from agentflow.store import open_store
from agentflow.store.sqlite import file as sqlite_file
sqlite_file.SAFE_VERSION = (99, 0, 0)
async def main():
    try:
        store = await open_store(f"sqlite:///{sys.argv[1]}")
    except StoreUnusable as error:
        print(error)
    else:
        print("opened", flush=True)
        sys.stdin.readline()
        await store.close()
asyncio.run(main())
"""


async def test_an_unsafe_sqlite_lets_one_process_have_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "SAFE_VERSION", (99, 0, 0))
    store = await open_store(f"sqlite:///{path}")
    with programs(OPEN_WITH_AN_OLD_SQLITE, (path,)) as (refused,):
        said = await refused.output()
    assert f"{path} is in use by another process" in said
    assert "install a Python package that carries SQLite 99.0.0" in said
    await store.trigger(a_trigger())

    await store.close()

    with programs(OPEN_WITH_AN_OLD_SQLITE, (path,)) as (accepted,):
        assert await accepted.line() == "opened"
        with pytest.raises(StoreUnusable, match="in use by another process"):
            await open_store(f"sqlite:///{path}")
        accepted.go_on()
        await accepted.output()


async def test_a_file_that_was_refused_is_not_held(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "SAFE_VERSION", (99, 0, 0))
    await asyncio.to_thread(path.write_text, "Dear diary,\n" * 500)
    for _ in range(2):
        with pytest.raises(StoreUnusable, match="not a SQLite database"):
            await open_store(f"sqlite:///{path}")


def test_the_sqlite_of_these_tests_is_safe_for_several_processes() -> None:
    """Or the others in this folder, which have several, would show nothing."""
    assert driver.sqlite_version_info >= SAFE_VERSION
