"""The limit of the database itself: rows committed one by one, and nothing else."""

from __future__ import annotations

import json
import secrets
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from agentflow.store.postgres.server import connect as connect_to_server
from agentflow.store.sqlite.file import connect as connect_to_file
from agentflow.store.sqlite.file import path_of
from benchmarks.durable import require_durable_file, require_durable_server
from benchmarks.ours.ground import Figures, latencies
from benchmarks.ours.steps import PAYLOAD

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.ours.ground import Ground

TABLE = "CREATE TABLE raw(run TEXT, step INTEGER, payload TEXT, PRIMARY KEY(run, step))"


async def raw(ground: Ground, size: int) -> Figures:
    """One row a commit for `size` seconds, with the driver, the settings and the disk that we use."""
    text = json.dumps(PAYLOAD)
    connection: Any
    if ground.is_on_server:
        with closing(connect_to_server(ground.url)) as connection:
            require_durable_server(connection)
            connection.execute(TABLE)

            def commit(number: int) -> None:
                connection.execute("INSERT INTO raw VALUES (%s, %s, %s)", (secrets.token_hex(16), number, text))

            return commits(size, commit)
    with closing(connect_to_file(path_of(ground.url))) as connection:
        require_durable_file(connection)
        connection.execute(f"{TABLE} WITHOUT ROWID")

        def commit_in_file(number: int) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO raw VALUES (?, ?, ?)", (secrets.token_hex(16), number, text))
            connection.execute("COMMIT")

        return commits(size, commit_in_file)


def commits(seconds: int, commit: Callable[[int], None]) -> Figures:
    """How many a second, and how long each takes."""
    took: list[float] = []
    end = time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        commit(len(took))
        took.append((time.monotonic() - began) * 1e3)
    return {"commits_per_s": len(took) / seconds, **latencies("commit", took)}
