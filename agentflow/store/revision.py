"""Which revision of the schema this release reads and writes, and whether what a database has is that."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from agentflow.errors import StoreUnusable
from agentflow.store.tables import Base

if TYPE_CHECKING:
    from collections.abc import Collection

logger = logging.getLogger("agentflow.store")

SCHEMA: Final = "0006"


def known(place: str, found: str | None, tables: Collection[str]) -> str:
    """The revision `found` in a database with these tables. Raises `StoreUnusable` if it is newer, or not whole."""
    if found is None:
        raise StoreUnusable(f"database {place} is only half made; restore it from a backup, or name another database")
    if found > SCHEMA:
        raise StoreUnusable(
            f"database {place} was written by a newer agentflow (its schema is {found}, this one's {SCHEMA}); "
            "upgrade this program, or name another database"
        )
    missing = sorted(Base.metadata.tables.keys() - set(tables))
    if found == SCHEMA and missing:
        raise StoreUnusable(
            f"database {place} lacks the table{'s' * (len(missing) > 1)} {', '.join(missing)}; restore it from a whole "
            "backup, or name another database"
        )
    return found


def warn_of_move(place: str) -> None:
    """Say that this database is what was left when its runs were moved into another."""
    logger.warning("database %s takes no writes: its runs were moved to another; name that one instead", place)
