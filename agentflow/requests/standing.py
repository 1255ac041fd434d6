"""Standing approvals: decisions made ahead, for calls like one that a person has seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStanding:
    """A standing approval to be made: calls of `tool` in runs of `task` whose arguments meet `terms` are approved.

    `terms` is the JSON text of a schema that the arguments must fit; whoever makes it sees it in words. It holds for
    `hold_for` and at most `most_uses` times (None: as often as it comes). `approval_id` is the request it was made
    from, if any.
    """

    id: str
    task: str
    tool: str
    terms: str
    made_by: str
    reason: str
    hold_for: timedelta
    most_uses: int | None = None
    approval_id: str | None = None
