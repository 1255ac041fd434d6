"""What a failure of the server means for the transaction it befell: whether it is stored, and whether to try again."""

from __future__ import annotations

from typing import Any, Final

ORDERING: Final = frozenset({"40001", "40P01", "55P03", "23505"})
"""SQLSTATE: serialization failure, deadlock, a lock not had in time, a unique value another transaction took first."""
REFUSALS: Final = frozenset({"22", "23", "40", "42", "54"})
"""SQLSTATE classes of what is wrong with a statement and not with the server."""
IN_DOUBT: Final = frozenset({"08", "57"})
"""SQLSTATE classes of a server that went away while it committed: it may have done so before."""
STALE: Final = frozenset({"26000", "42P05"})
"""SQLSTATE: a prepared statement that this server connection does not know, or knows already: a pooler lies between."""
CUT: Final = frozenset({"57P01", "57P02"})
"""SQLSTATE: the server ends the session, to be stopped or because another one crashed."""


def is_cut(error: BaseException | None) -> bool:
    """Whether the connection is to blame, and not what was asked for or how long it took."""
    state: Any = getattr(error, "sqlstate", None)
    return state is None or state in CUT or state.startswith("08")


class Lost(Exception):
    """The server did not take the transaction, or did not say that it did."""

    def __init__(self, cause: Exception, *, at_commit: bool, broken: bool) -> None:
        super().__init__(str(cause))
        self.cause = cause
        state: Any = getattr(cause, "sqlstate", None)
        self.is_known = not at_commit or (state is not None and state[:2] not in IN_DOUBT)
        """Whether it is certain that nothing was stored."""
        self.is_ordering = self.is_known and state in ORDERING
        """Whether another transaction was in the way: the next try may find it gone."""
        self.is_refusal = self.is_known and state is not None and state[:2] in REFUSALS
        """Whether one of the batch's verbs is to blame, and not the server."""
        self.is_stale = self.is_known and state in STALE
        """Whether statements must not be prepared any more."""
        self.is_cut = self.is_known and broken
        """Whether only the connection was lost: a new one may do."""
