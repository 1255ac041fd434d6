"""Verbs that go together: where a batch has several of one kind, a statement or two do them all.

Each has `takes`, whether a call is of the plain sort that it can do, and `run`, which does those it was given and
returns the ones that turned out to need more than that; they are left to the verb itself. What is stored is what the
verb would have stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from agentflow.store.postgres.together.appends import Appends
from agentflow.store.postgres.together.completions import Completions
from agentflow.store.postgres.together.decisions import Decisions
from agentflow.store.postgres.together.triggers import Triggers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.store.calls import Call
    from agentflow.store.postgres.transaction import PostgresTransaction

__all__ = ["APPENDS", "KINDS", "Together"]


class Together(Protocol):
    """A kind of calls that can be done together."""

    @property
    def fewest(self) -> int:
        """From how many on it is less than the verb itself would do."""
        ...

    def takes(self, call: Call) -> bool:
        """Whether this call may be."""
        ...

    def run(self, tx: PostgresTransaction, calls: Sequence[Call]) -> Sequence[Call]:
        """Do them; the calls that the verb itself has to do."""
        ...


APPENDS: Final = Appends()
KINDS: Final[Sequence[Together]] = (Triggers(), APPENDS, Decisions(), Completions())
