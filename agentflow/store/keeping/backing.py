"""A copy of a database, of one moment, made while workers go on; and back again.

A file is copied through SQLite, page by page in one snapshot: to copy it with other means leaves out what is still in
its log. A server's database is dumped by its own `pg_dump`. A copy appears under its name when it is whole, flushed and
checked, and readable by its owner only; whatever ends this earlier leaves nothing under that name.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentflow import failpoints
from agentflow.errors import StoreUnusable
from agentflow.settings import shown_url
from agentflow.store.postgres.server import connect, driver
from agentflow.store.revision import SCHEMA
from agentflow.store.sqlite import file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PAGES: Final = 2000
"""Pages copied at a time, between which it is said how far the copy is."""
OWNER_ONLY: Final = 0o600


def require_free(target: Path, *, force: bool) -> None:
    """Raise `StoreUnusable` if there is a file of this name, or no folder for it."""
    if not target.parent.is_dir():
        raise StoreUnusable(f"{target} cannot be written: folder {target.parent} does not exist; make it first")
    if target.exists() and not force:
        raise StoreUnusable(f"{target} exists, and nothing was written; give another name, or --force to replace it")


@contextmanager
def _whole(target: Path, *, force: bool) -> Iterator[Path]:
    """A file beside the target to be filled, which takes its name when the block has ended well."""
    require_free(target, force=force)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with suppress(FileNotFoundError):
            part.unlink()
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY))
        yield part
        _flush(part)
        _give_name(part, target, force=force)
        _flush(target.parent)
    except OSError as error:
        raise StoreUnusable(f"{target} cannot be written ({error.strerror}); no copy was made") from error
    finally:
        for left in (part, *(part.with_name(part.name + end) for end in ("-wal", "-shm", "-journal"))):
            with suppress(OSError):
                left.unlink()


def _give_name(part: Path, target: Path, *, force: bool) -> None:
    """Never over a file that somebody else has put there meanwhile."""
    if force:
        part.replace(target)
        return
    try:
        target.hardlink_to(part)
    except FileExistsError:
        raise StoreUnusable(f"{target} was made by somebody else meanwhile; no copy was made") from None
    except OSError:  # a file system without links
        require_free(target, force=False)
        part.replace(target)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# -- files


def copy_file(source: Path, target: Path, heard: Callable[[str], None], *, force: bool = False) -> int:
    """Copy a SQLite database as it is now; how many bytes. Raises `StoreUnusable`, and there is no copy then."""
    if not source.exists():
        raise StoreUnusable(f"there is no database at {source}")
    with _whole(target, force=force) as part:
        _copy_pages(source, part, heard)
        heard(f"checking the copy {target}")
        require_sound(part, said=target)
    return target.stat().st_size


def _copy_pages(source: Path, part: Path, heard: Callable[[str], None]) -> None:
    def told(_status: int, remaining: int, total: int) -> None:
        heard(f"copying {source}: {100 * (total - remaining) // max(total, 1)} %")
        if failpoints.ACTIVE:
            failpoints.reach("backup.inside")

    try:
        reader = file.driver.connect(str(source), isolation_level=None)
        writer = file.driver.connect(str(part), isolation_level=None)
        try:
            reader.execute("PRAGMA query_only=ON")
            reader.execute("BEGIN")  # one snapshot: else each commit of a worker would begin the copy anew
            reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
            reader.backup(writer, pages=PAGES, progress=told, sleep=0)
            reader.execute("ROLLBACK")
            writer.execute("PRAGMA journal_mode=DELETE")  # a copy is one file, without a log beside it
        finally:
            writer.close()
            reader.close()
    except file.driver.Error as error:
        raise StoreUnusable(file.explain(source, error)) from error


def require_sound(path: Path, *, said: Path) -> str:
    """The revision of the database in this file. Raises `StoreUnusable` if it is damaged or none of ours."""
    connection = file.connect(path, pragmas=file.LOOK_ONLY)
    try:
        sound = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if sound != "ok":
            raise StoreUnusable(f"{said} is damaged ({' '.join(sound.split())}); use another copy")
        ours = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'agentflow_schema'").fetchone()
        if ours is None:
            raise StoreUnusable(f"{said} is no database of agentflow's")
        revision = str(connection.execute("SELECT version_num FROM agentflow_schema").fetchone()[0])
    except (file.driver.Error, UnicodeDecodeError) as error:
        raise StoreUnusable(file.explain(said, error)) from error
    finally:
        connection.close()
    if revision > SCHEMA:
        raise StoreUnusable(f"{said} was written by a newer agentflow (schema {revision}); upgrade this program")
    return revision


# -- servers


def dump_server(url: str, target: Path, heard: Callable[[str], None], *, force: bool = False) -> int:
    """Dump a server's database with `pg_dump`; how many bytes. Raises `StoreUnusable`, and there is no dump then."""
    connect(url).close()  # what is wrong with it, it says better than the program would
    program = _program("pg_dump", f"pg_dump --format=custom --file={target} '{shown_url(url)}'")
    with _whole(target, force=force) as part:
        heard(f"dumping {shown_url(url)}")
        bare, secret = _without_password(url)
        _call([program, "--format=custom", "--no-owner", f"--file={part}", f"--dbname={bare}"], secret)
        listed = shutil.which("pg_restore")
        if listed is not None:
            heard(f"checking the dump {target}")
            _call([listed, "--list", str(part)], {})
    return target.stat().st_size


def load_server(url: str, dump: Path, heard: Callable[[str], None]) -> None:
    """Put a dump into an empty database, whole or not at all. Raises `StoreUnusable`."""
    if not dump.exists():
        raise StoreUnusable(f"there is no dump at {dump}")
    connect(url).close()  # as above
    remedy = (
        f"pg_restore --single-transaction --no-owner --dbname='{shown_url(url)}' {dump}, then agentflow db restored"
    )
    program = _program("pg_restore", remedy)
    bare, secret = _without_password(url)
    heard(f"restoring {dump} into {shown_url(url)}")
    _call([program, "--single-transaction", "--no-owner", f"--dbname={bare}", str(dump)], secret)


def _program(name: str, command: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise StoreUnusable(
            f"{name} is not on the PATH: install the server's client programs, or run this where they are: {command}"
        )
    return found


def _without_password(url: str) -> tuple[str, Mapping[str, str]]:
    """The connection string without its password, which other users of the host could read in the list of processes."""
    conninfo: Any = driver().conninfo
    parts = conninfo.conninfo_to_dict(url)
    password = parts.pop("password", None)
    return str(conninfo.make_conninfo("", **parts)), {} if password is None else {"PGPASSWORD": str(password)}


def _call(command: Sequence[str], secret: Mapping[str, str]) -> None:
    ended = subprocess.run(  # noqa: S603  the server's own program, found on the PATH, and no shell
        command, env=os.environ | secret, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        said = " ".join(ended.stderr.split()) or f"exit code {ended.returncode}"
        raise StoreUnusable(f"{Path(command[0]).name} failed: {said}")


def put_in_place(part: Path, path: Path) -> Path | None:
    """Let this database have the other's name; the other is kept beside it, under the name that is returned."""
    kept = None
    if path.exists():
        kept = next(free for n in count(1) if not (free := path.with_name(f"{path.name}.before-restore-{n}")).exists())
        for end in ("", "-wal", "-shm"):  # its log is a part of it
            with suppress(FileNotFoundError):
                path.with_name(path.name + end).rename(kept.with_name(kept.name + end))
    part.rename(path)
    _flush(path.parent)
    return kept
