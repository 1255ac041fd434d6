"""A submission, read name by name, so that what nobody asked for is known at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.approvals.forms import names

if TYPE_CHECKING:
    from agentflow.approvals.forms.fields import Submission


class Controls:
    """The inputs of one submission. Asking for a name marks it as known."""

    def __init__(self, submission: Submission, *, fresh: frozenset[str] = frozenset()) -> None:
        self._sent = {name: list(sent) for name, sent in submission.items() if names.is_ours(name)}
        self._fresh = fresh
        self._asked: set[str] = set()

    def text(self, path: str, prefix: str = names.VALUE) -> str | None:
        """The text of an input, or None if it was not sent. A ticked box comes after its hidden "false", and counts."""
        sent = self.all(path, prefix)
        return sent[-1] if sent else None

    def all(self, path: str, prefix: str) -> list[str]:
        """All that was sent under one name, in order."""
        name = f"{prefix}{path}"
        self._asked.add(name)
        return self._sent.get(name, [])

    def ticked(self, path: str, prefix: str, *, otherwise: bool) -> bool:
        """A box is ticked. For a field that the sender has not seen yet it is as the original has it."""
        sent = self.all(path, prefix)
        return otherwise if self._unseen(path) else "1" in sent

    def is_fresh(self, path: str) -> bool:
        """Part of a row or an alternative that was asked for just now."""
        return any(path == start or path.startswith(f"{start}/") for start in self._fresh)

    def repeated(self) -> list[str]:
        """Inputs that were sent twice with different texts, which only lists and boxes may be."""
        lists = (names.ROWS, names.NULL, names.INCLUDED)
        return [
            name
            for name, sent in self._sent.items()
            if len(set(sent)) > 1 and not name.startswith(lists) and set(sent) != {"false", "true"}
        ]

    def unknown(self) -> list[str]:
        """Names that belong to no field of the form."""
        return [name for name in self._sent if name not in self._asked]

    @property
    def any(self) -> bool:
        return bool(self._sent)

    def _unseen(self, path: str) -> bool:
        return self.is_fresh(path) and f"{names.VALUE}{path}" not in self._sent
