"""A scene: a database, the ledger beside it, and the processes that work on them."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from agentflow.store.sqlite.file import connect
from tests.crash.programs import RELEASED
from tests.support.checker import Database, ServerDatabase, Tables, check
from tests.support.clusters import fresh_database
from tests.support.processes import Child

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

LAPSE = "UPDATE agentflow_worker SET lease_until = 1 WHERE id = '{}'"
ON_BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
"""Marks a module whose scenes are to be played on either database."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A database and its ledger, and the processes that work on them."""

    folder: Path

    @property
    def url(self) -> str:
        return f"sqlite:///{self.file}"

    @property
    def file(self) -> Path:
        return self.folder / "runs.db"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    @property
    def database(self) -> Tables:
        return Database(self.file)

    def start(self, target: Callable[..., None], *args: Any, kill: str = "") -> Child:
        """A process on this database."""
        return Child(target, self.url, *args, ledger_file=self.ledger, kill=kill)

    def fifo(self, name: str = "fifo") -> str:
        """A pipe with a name, by which a step is told to go on."""
        path = self.folder / name
        os.mkfifo(path)
        return str(path)

    def release(self) -> None:
        """Let go on who stands still in a step."""
        (self.folder / RELEASED).touch()

    def let_lapse(self, worker_id: str) -> None:
        """Have the lease of a worker be over that cannot renew it, as it would be some time later."""
        with closing(connect(self.file)) as connection:
            connection.execute(LAPSE.format(worker_id))

    def check(self, **options: Any) -> Counter[str]:
        """Assert that all is as promised; see `check`."""
        return check(self.database, self.ledger, **options)


@dataclass(frozen=True, slots=True)
class ServerScene(Scene):
    """The same with a database on a PostgreSQL server."""

    address: str

    @property
    def url(self) -> str:
        return self.address

    @property
    def database(self) -> Tables:
        return ServerDatabase(self.address)

    def let_lapse(self, worker_id: str) -> None:
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(LAPSE.format(worker_id).encode())


def made(migrated: Path, folder: Path) -> Scene:
    """A scene in a folder of its own."""
    folder.mkdir()
    shutil.copyfile(migrated, folder / "runs.db")
    return Scene(folder)


def made_on_server(folder: Path, address: str = "") -> ServerScene:
    """A scene with a fresh database on the server that tests share, or with the database of this address."""
    folder.mkdir()
    return ServerScene(folder, address or fresh_database())
