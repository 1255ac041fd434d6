"""A scene: a database, the ledger beside it, and the processes that work on them."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.checker import Database, check
from tests.support.processes import Child

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable


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
    def database(self) -> Database:
        return Database(self.file)

    def start(self, target: Callable[..., None], *args: Any, kill: str = "") -> Child:
        """A process on this database."""
        return Child(target, self.url, *args, ledger_file=self.ledger, kill=kill)

    def fifo(self, name: str = "fifo") -> str:
        """A pipe with a name, by which a step is told to go on."""
        path = self.folder / name
        os.mkfifo(path)
        return str(path)

    def check(self, **options: Any) -> Counter[str]:
        """Assert that all is as promised; see `check`."""
        return check(self.file, self.ledger, **options)


def made(migrated: Path, folder: Path) -> Scene:
    """A scene in a folder of its own."""
    folder.mkdir()
    shutil.copyfile(migrated, folder / "runs.db")
    return Scene(folder)
