"""The form "always approve calls like this": what a person chose for each argument, as terms."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agentflow.approvals.terms import Term, TermKind, is_number, terms_schema
from agentflow.errors import InvalidSetting
from approvals_ui.forms import first

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.approvals import Submission
    from agentflow.records import Approval

SPANS: Final = {"1h": "1 hour", "1d": "1 day", "7d": "7 days", "30d": "30 days"}
LONGEST_NUMBER: Final = 9


@dataclass(frozen=True, slots=True)
class Choice:
    """One argument in the form: what may be chosen for it, and what is."""

    name: str
    field: str
    value: Any
    kinds: Sequence[tuple[str, str]]
    kind: str
    text: str

    @property
    def term(self) -> Term:
        """What was chosen. Raises `InvalidSetting`."""
        kind = TermKind(self.kind)
        if kind is TermKind.IS:
            return Term(self.name, kind, self.value)
        if kind is TermKind.AT_MOST:
            return Term(self.name, kind, self.text.strip())
        if kind is TermKind.ONE_OF:
            return Term(self.name, kind, [self._read(line) for line in self.text.splitlines() if line.strip()])
        return Term(self.name, kind)

    def _read(self, line: str) -> Any:
        if isinstance(self.value, str):
            return line.strip()
        try:
            return json.loads(line)
        except ValueError:
            raise InvalidSetting(f"{self.name}: {line.strip()[:50]!r} is no JSON value") from None


@dataclass(frozen=True, slots=True)
class Always:
    """The form as it was sent, or as it is first shown."""

    choices: Sequence[Choice]
    hold_for: str = ""
    uses: str = ""
    reason: str = ""
    problem: str = ""
    is_open: bool = False

    @property
    def terms(self) -> list[Term]:
        """The terms that were chosen. Raises `InvalidSetting`."""
        terms = [one.term for one in self.choices]
        terms_schema(terms)
        return terms

    @property
    def most_uses(self) -> int | None:
        """How often it may be used. Raises `InvalidSetting`."""
        text = self.uses.strip()
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER):
            raise InvalidSetting(f"number of uses is {text[:50]!r}: wanted a whole number, 1 or more, or nothing")
        return int(text)

    @property
    def span(self) -> str:
        """How long it is to hold. Raises `InvalidSetting`."""
        if self.hold_for not in SPANS:
            raise InvalidSetting("choose until when it is to hold")
        return self.hold_for

    @property
    def fields(self) -> list[tuple[str, str]]:
        """What the form holds, to be sent again."""
        chosen = [pair for one in self.choices for pair in ((f"kind:{one.field}", one.kind), (one.field, one.text))]
        return [*chosen, ("hold_for", self.hold_for), ("uses", self.uses), ("reason", self.reason)]


def always_of(approval: Approval, submission: Submission | None = None, *, problem: str = "") -> Always | None:
    """The form for calls like this one; None where each is to be asked about, or its arguments have no names."""
    data = json.loads(approval.data)
    if not approval.tool or not isinstance(data, dict):
        return None
    sent = submission or {}
    choices = tuple(_choice(place, name, value, sent) for place, (name, value) in enumerate(data.items()))
    given = {name: first(sent, name) for name in ("hold_for", "uses", "reason")}
    return Always(choices, **given, problem=problem, is_open=submission is not None)


def _choice(place: int, name: str, value: Any, sent: Submission) -> Choice:
    """An argument's field, named by its place: what an agent calls its arguments is no name of ours."""
    field = f"value:{place}"
    kinds = [(TermKind.IS, "this value"), (TermKind.ANY, "any value")]
    if is_number(value):
        kinds.append((TermKind.AT_MOST, "at most this number"))
    if not isinstance(value, dict | list):
        kinds.append((TermKind.ONE_OF, "one of these, one a line"))
    offered = tuple((str(kind), label) for kind, label in kinds)
    chosen = first(sent, f"kind:{field}", TermKind.IS)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    kind = chosen if chosen in dict(offered) else str(TermKind.IS)
    return Choice(name, field, value, offered, kind, first(sent, field, text).replace("\r\n", "\n"))
