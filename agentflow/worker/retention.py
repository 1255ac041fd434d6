"""Retention: a worker removes what is older than the environment says, a little at a time. Unsaid, it is kept.

But for what calls of models used, which goes after 400 days.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from agentflow.durations import duration
from agentflow.errors import InvalidDuration, InvalidSetting
from agentflow.requests import Kept, Prune
from agentflow.settings import FOREVER, KEEP_VARIABLES, KEPT_UNSAID

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from agentflow.store.base import Store

PAGES: Final = 10
"""Pages of rows that a round looks at; each is a transaction of its own, and others' come in between."""
REST: Final = timedelta(hours=1)
"""How long after the last page everything is looked at anew."""


def retention(environment: Mapping[str, str] | None = None) -> dict[str, timedelta]:
    """For how long what is kept, by its name (`runs`, `approvals`, `logs`, …). Raises `InvalidSetting`."""
    given = os.environ if environment is None else environment
    said = {kind: given.get(name) or KEPT_UNSAID.get(kind, FOREVER) for kind, name in KEEP_VARIABLES.items()}
    return {kind: _span(KEEP_VARIABLES[kind], text) for kind, text in said.items() if text != FOREVER}


def _span(name: str, text: str) -> timedelta:
    try:
        return duration(text)
    except InvalidDuration as error:
        raise InvalidSetting(f"{name}: {error}") from error


class Retention:
    """Goes through the database page by page, and again when it has rested."""

    def __init__(self, store: Store, keep: Mapping[str, timedelta]) -> None:
        self._store = store
        self._keep = keep
        self._places: dict[str, str | None] = {}
        self._begins_at: datetime | None = None

    async def round(self) -> int:
        """Remove some of what is too old; how many rows of the kinds that are kept for a time."""
        if not self._keep or (self._begins_at is not None and self._store.now() < self._begins_at):
            return 0
        removed, is_done = 0, True
        for name, given in self._kinds():
            done, count = await self._go_through(name, given)
            is_done, removed = is_done and done, removed + count
        if is_done:
            self._begins_at, self._places = self._store.now() + REST, {}
        return removed

    def _kinds(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, span in self._keep.items():
            yield name, {"kind": Kept(name), "before": self._store.now() - span}

    async def _go_through(self, name: str, given: dict[str, Any]) -> tuple[bool, int]:
        """Whether all of the kind was looked at, and how many of it were removed."""
        removed, after = 0, self._places.get(name, "")
        if after is None:
            return True, 0
        for _ in range(PAGES):
            found = await self._store.prune(Prune(**given, after=after))
            removed += found.removed + found.reduced
            self._places[name] = after = found.after
            if after is None:
                return True, removed
        return False, removed
