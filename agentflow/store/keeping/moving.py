"""Moving a database into another: every row, each as it was, in one transaction there; then the source says where.

Nobody writes to the source meanwhile, and nobody does afterwards: a trigger on each of its tables refuses it, and says
so to whoever has had it open all along, too. Killed anywhere before the end, the destination is as empty as it was.
Killed between the two commits, the next move finds everything there already, compares it and goes on.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agentflow import failpoints
from agentflow.clock import to_micros
from agentflow.errors import StoreUnusable
from agentflow.store import rows, tables
from agentflow.store.keeping.places import FilePlace, Place, require_present
from agentflow.store.revision import SCHEMA
from agentflow.store.statements import columns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from sqlalchemy import Table

    from agentflow.records import Worker
    from agentflow.store.transaction import Row

NUL: Final = "\0"
SHOWN_NUL: Final = "\u2400"
MODULUS: Final = 1 << 256
# A lease is of a process that works on the source; it means nothing elsewhere.
MOVED: Final = tuple(table for table in tables.Base.metadata.sorted_tables if table.name != "agentflow_worker")
ALL: Final = tuple(tables.Base.metadata.sorted_tables)
WORKERS: Final = rows.table_of(tables.WorkerRow)
VERBS: Final = ("INSERT", "UPDATE", "DELETE")


@dataclass(slots=True)
class Count:
    """How many rows passed, and a digest of them that no order changes."""

    rows: int = 0
    sum: int = 0
    nuls: int = 0

    def add(self, row: Row) -> None:
        """Count a row."""
        text = json.dumps(row, ensure_ascii=False).encode()
        self.rows += 1
        self.sum = (self.sum + int.from_bytes(hashlib.sha256(text).digest(), "big")) % MODULUS

    def same(self, other: Count) -> bool:
        """Whether the same rows were counted."""
        return (self.rows, self.sum) == (other.rows, other.sum)


@dataclass(slots=True)
class Moved:
    """What was moved: rows by table, texts in which a NUL had to be shown as a symbol, and whether it was there."""

    rows: dict[str, int] = field(default_factory=dict)
    nuls: int = 0
    was_there: bool = False


def move(source: Place, destination: Place, heard: Callable[[str], None], *, dead: Collection[str] = ()) -> Moved:
    """Move everything, except for leases. `dead` are workers of the source that are known to have ended.

    Raises `StoreUnusable` where a worker is alive, or the destination holds something else; nothing was changed then.
    """
    for place in (source, destination):
        require_present(place, SCHEMA)
    if source.shown == destination.shown:
        raise StoreUnusable(f"{source.shown} is both source and destination; nothing was moved")
    with source.alone(ALL):
        _require_movable(source, dead)
        with destination.alone(ALL):
            filled = next((table.name for table in MOVED if _has_rows(destination, table)), None)
            moved = _copy(source, destination, heard) if filled is None else _compare(source, destination, heard)
        _reach("move.after")
        _close(source, destination)
    return moved


def _reach(point: str) -> None:
    if failpoints.ACTIVE:
        failpoints.reach(point)


def _require_movable(source: Place, dead: Collection[str]) -> None:
    if moved_to(source):
        raise StoreUnusable(f"database {source.shown} was moved before; nothing was moved now")
    alive = [one for one in alive_on(source) if one.id not in dead]
    if alive:
        one, left = alive[0], (to_micros(alive[0].lease_until) - source.now()) // 1_000_000 + 1
        raise StoreUnusable(
            f"worker {one.id} works on database {source.shown} (process {one.pid} on {one.host.partition(':')[0]}; its "
            f"lease ends in {left} s if it has died); stop {len(alive)} of them, then move. "
            "Nothing was moved"
        )


def alive_on(place: Place) -> list[Worker]:
    """The workers whose leases have not run out."""
    now = place.now()
    return [one for row in _rows(place, WORKERS) if to_micros((one := rows.worker(row)).lease_until) > now]


def _has_rows(place: Place, table: Table) -> bool:
    return place.value(f"SELECT 1 FROM {table.name} LIMIT 1") is not None


def _rows(place: Place, table: Table) -> Iterator[Row]:
    names = ", ".join(f'"{name}"' for name in columns(table))
    return place.rows(f"SELECT {names} FROM {table.name}")


# -- copying


def _copy(source: Place, destination: Place, heard: Callable[[str], None]) -> Moved:
    moved = Moved()
    for table in MOVED:
        heard(f"moving {table.name}")
        _reach("move.inside")
        count = Count()
        destination.insert(table, _passing(source, destination, table, count))
        heard(f"comparing {table.name}")
        _require_same(table, count, _counted(destination, table))
        moved.rows[table.name] = count.rows
        moved.nuls += count.nuls
    if not isinstance(destination, FilePlace):
        _count_on(destination)
    return moved


def _passing(source: Place, destination: Place, table: Table, count: Count) -> Iterator[Row]:
    """The source's rows, counted as they pass, as the destination can hold them."""
    takes_nul = isinstance(destination, FilePlace)
    for row in _rows(source, table):
        held = row if takes_nul else _without_nul(table, row, count)
        count.add(held)
        yield held


def _without_nul(table: Table, row: Row, count: Count) -> Row:
    """PostgreSQL holds no NUL in a text: it is shown as a symbol. JSON has no NUL, only an escape."""
    if not any(isinstance(value, str) and NUL in value for value in row):
        return row
    if table.name == "agentflow_blob":
        raise StoreUnusable(f"large payload {row[0]} has a NUL in it, which PostgreSQL cannot hold; nothing was moved")
    count.nuls += 1
    return tuple(value.replace(NUL, SHOWN_NUL) if isinstance(value, str) else value for value in row)


def _counted(place: Place, table: Table) -> Count:
    count = Count()
    for row in _rows(place, table):
        count.add(row)
    return count


def _require_same(table: Table, left: Count, right: Count) -> None:
    if not left.same(right):
        raise StoreUnusable(
            f"{table.name} has {left.rows} rows in the source and {right.rows} in the destination, or others; "
            "nothing was moved. Use an empty database as the destination"
        )


def _count_on(destination: Place) -> None:
    """Let the numbers that the server gives out follow those that came."""
    for table in MOVED:
        found = destination.value(f"SELECT pg_get_serial_sequence('{table.name}', 'id')") if "id" in table.c else None
        if found is not None:
            destination.run(f"SELECT setval('{found}', greatest((SELECT max(id) FROM {table.name}), 1))")


def _compare(source: Place, destination: Place, heard: Callable[[str], None]) -> Moved:
    """What an earlier move brought, which did not get so far as to say so."""
    moved = Moved(was_there=True)
    takes_nul = isinstance(destination, FilePlace)
    for table in MOVED:
        heard(f"comparing {table.name}")
        count = Count()
        for row in _rows(source, table):
            count.add(row if takes_nul else _without_nul(table, row, count))
        try:
            _require_same(table, count, _counted(destination, table))
        except StoreUnusable as error:
            raise StoreUnusable(f"destination {destination.shown} is not empty: {error}") from error
        moved.rows[table.name] = count.rows
    return moved


# -- the source, afterwards


def moved_to(place: Place) -> bool:
    """Whether this database was moved away."""
    if isinstance(place, FilePlace):
        return place.value("SELECT 1 FROM sqlite_master WHERE name LIKE 'agentflow_moved_%' LIMIT 1") is not None
    return place.value("SELECT 1 FROM pg_trigger WHERE tgname = 'agentflow_moved' LIMIT 1") is not None


def _close(source: Place, destination: Place) -> None:
    """Let every later write to the source be refused, and say where the runs are."""
    said = f"its runs were moved to {destination.shown}; name that one instead".replace("'", "''")
    if isinstance(source, FilePlace):
        for table in ALL:
            for verb in VERBS:
                source.run(
                    f"CREATE TRIGGER agentflow_moved_{table.name}_{verb.lower()} BEFORE {verb} ON {table.name} "
                    f"BEGIN SELECT RAISE(ABORT, '{said}'); END"
                )
        return
    source.run(
        "CREATE FUNCTION agentflow_moved() RETURNS trigger LANGUAGE plpgsql AS "
        f"$body$ BEGIN RAISE EXCEPTION USING MESSAGE = '{said}'; END $body$"
    )
    for table in ALL:
        source.run(
            f"CREATE TRIGGER agentflow_moved BEFORE {' OR '.join(VERBS)} ON {table.name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION agentflow_moved()"
        )
