"""Giving space that is used no more back to the disk."""

from __future__ import annotations

from agentflow.errors import StoreUnusable
from agentflow.store.keeping.places import FilePlace, Place, place_of
from agentflow.store.sqlite.file import connect, driver, explain
from agentflow.store.tables import Base


def give_back(url: str) -> int:
    """Give it back; how many bytes that was.

    A file is written anew, which takes as much room again and holds up who writes. A server's tables are cleaned, and
    what stands free at their ends is given back; nobody is held up.
    """
    with place_of(url) as place:
        before = _size(place)
        if isinstance(place, FilePlace):
            _rewrite(place)
        else:
            for table in Base.metadata.sorted_tables:
                place.run(f"VACUUM (ANALYZE) {table.name}")
        return max(0, before - _size(place))


def _rewrite(place: FilePlace) -> None:
    connection = connect(place.path)
    try:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except driver.Error as error:
        raise StoreUnusable(explain(place.path, error)) from error
    finally:
        connection.close()


def _size(place: Place) -> int:
    if isinstance(place, FilePlace):
        return place.path.stat().st_size
    names = ", ".join(f"'{table.name}'" for table in Base.metadata.sorted_tables)
    return int(
        place.value(
            f"SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relname IN ({names}) AND relkind = 'r'"
        )
    )
