"""Finished runs by the million: the rows of one that was really executed, copied under other ids."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from agentflow.store.postgres.server import connect as connect_to_server
from agentflow.store.sqlite.file import connect as connect_to_file
from agentflow.store.sqlite.file import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.ours.ground import Ground

FIRST = 1_000_000
"""Copies are numbered from here, so that every number has as many digits."""
DIGITS = 7
BATCH = 20_000
TABLES = {
    True: "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename LIKE 'agentflow%'",
    False: "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'agentflow%'",
}
COLUMNS = {
    True: "SELECT column_name, data_type FROM information_schema.columns"
    " WHERE table_schema = current_schema() AND table_name = '{table}' ORDER BY ordinal_position",
    False: "SELECT name, type FROM pragma_table_info('{table}')",
}


def copy_finished_run(ground: Ground, run_id: str, count: int) -> None:
    """`count` more runs like this one, with its journal; all of them are found by the same queries."""
    with closing(connect(ground)) as connection:
        copies = [one for table in tables(ground, connection) for one in copying(ground, connection, table, run_id)]
        for first in range(FIRST, FIRST + count, BATCH):
            connection.execute("BEGIN")
            for statement, values in copies:
                connection.execute(statement, (first, min(first + BATCH, FIRST + count), *values))
            connection.execute("COMMIT")
        if ground.is_on_server:
            connection.execute("ANALYZE")  # as the server does by itself, sooner or later


def connect(ground: Ground) -> Any:
    """A connection to the measured database."""
    return connect_to_server(ground.url) if ground.is_on_server else connect_to_file(path_of(ground.url))


def tables(ground: Ground, connection: Any) -> list[str]:
    """All of ours, the runs' first: other rows refer to them."""
    names = [name for (name,) in connection.execute(TABLES[ground.is_on_server]).fetchall()]
    return sorted(names, key=lambda name: name != "agentflow_run")


def copying(ground: Ground, connection: Any, table: str, run_id: str) -> Iterator[tuple[str, list[Any]]]:
    """A statement for each row the run has in the table: it copies it, with a number for the id's last digits."""
    columns = connection.execute(COLUMNS[ground.is_on_server].format(table=table)).fetchall()
    which = " OR ".join(f"\"{name}\" = '{run_id}'" for name, kind in columns if kind.lower() == "text")
    kept = [(name, kind) for name, kind in columns if name != "id" or kind.lower() == "text"]  # others are counted on
    names = ", ".join(f'"{name}"' for name, _ in kept)
    rows = connection.execute(f"SELECT {names} FROM {table} WHERE {which}").fetchall() if which else []
    mark = "%s" if ground.is_on_server else "?"
    for row in rows:
        values = ", ".join(copied(mark, kind, run_id, value) for (_, kind), value in zip(kept, row, strict=True))
        numbers = f"WITH RECURSIVE span(a, b) AS (SELECT CAST({mark} AS INTEGER), CAST({mark} AS INTEGER)), "
        numbers += "numbers(n) AS (SELECT a FROM span UNION ALL SELECT n + 1 FROM numbers, span WHERE n + 1 < b)"
        yield f"INSERT INTO {table} ({names}) {numbers} SELECT {values} FROM numbers", list(row)


def copied(mark: str, kind: str, run_id: str, value: Any) -> str:
    """The expression for one column of a copy."""
    same = f"CAST({mark} AS {kind})"
    if isinstance(value, str) and run_id in value:
        return f"replace({same}, '{run_id}', '{run_id[:-DIGITS]}' || CAST(n AS TEXT))"
    return same
