"""What a reviewer has typed so far: parsed, compared with what the task proposed, and ready to be shown again."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from agentflow.approvals import Change, Form, Problem, Submission, build_form, changes, parse_form
from agentflow.approvals.forms import names
from agentflow.payloads import canonical, digest
from agentflow.records import Approval
from agentflow.states import Verdict
from approvals_ui.forms import first

COMMENT_LIMIT = 10_000


@dataclass(frozen=True)
class Draft:
    """One reviewer's answer to one approval, as sent. Nothing of it is recorded yet."""

    approval: Approval
    submission: Submission | None = None
    extra_problems: Sequence[Problem] = ()
    comment_problem: str = ""
    note: str = ""
    shaped: Form | None = None

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The schema stored with the request: later code does not change what is asked."""
        schema: dict[str, Any] = json.loads(self.approval.schema)
        return schema

    @cached_property
    def original(self) -> Any:
        """What the task proposed."""
        return json.loads(self.approval.data)

    @cached_property
    def may_correct(self) -> bool:
        """Whether the task accepts other data than it proposed."""
        return Verdict.CORRECT in self.approval.allowed

    @cached_property
    def value(self) -> Any:
        """The data as typed; what was proposed where nothing was typed or nothing may be."""
        return self._parsed[0]

    @cached_property
    def problems(self) -> Sequence[Problem]:
        """What keeps the typed data from being accepted."""
        return (*self._parsed[1], *self.extra_problems)

    @cached_property
    def changes(self) -> Sequence[Change]:
        """How the typed data differs from what was proposed."""
        return tuple(changes(self.original, self.value, schema=self.schema))

    @cached_property
    def is_changed(self) -> bool:
        """Whether accepting it would be a correction. Decided by canonical JSON, not by what a browser claims."""
        return canonical(self.value) != canonical(self.original)

    @cached_property
    def digest(self) -> str:
        """The name of the data as it would be decided."""
        return digest(canonical(self.value))

    @cached_property
    def is_reviewed(self) -> bool:
        """Whether the reviewer was shown exactly these changes before sending them."""
        return not self.is_changed or first(self._sent, "reviewed") == self.digest

    @cached_property
    def form(self) -> Form:
        """The form with everything typed kept."""
        if self.shaped is not None:
            return self.shaped
        return build_form(
            self.schema, self.original, problems=self.problems, confidence=self.confidence, submission=self._typed
        )

    @cached_property
    def confidence(self) -> dict[str, float]:
        """How sure the task is of single fields, by pointer."""
        given: dict[str, float] = json.loads(self.approval.field_confidence)
        return given

    @property
    def is_settled(self) -> bool:
        """Whether the form shows what was sent; a row that was just added has not been filled in yet."""
        return self.shaped is None

    @property
    def comment(self) -> str:
        """The reviewer's comment, its line ends as typed anywhere but in a browser."""
        return first(self._sent, "comment").replace("\r\n", "\n").strip()[:COMMENT_LIMIT]

    @property
    def decision_id(self) -> str:
        """Chosen when the page was made: sending the same page twice is one decision."""
        return first(self._sent, "decision_id") or f"dec_{secrets.token_hex(13)}"

    @property
    def version(self) -> int:
        """The version of the approval the reviewer has seen."""
        sent = first(self._sent, "version")
        return int(sent) if sent.isascii() and sent.isdigit() and len(sent) < 10 else self.approval.version  # noqa: PLR2004  a version is a small number

    @property
    def is_json(self) -> bool:
        """Whether the whole document is edited as text."""
        return "json" in self._sent

    @property
    def sent_fields(self) -> Sequence[tuple[str, str]]:
        """Every field of the data as sent, to be sent again after the review."""
        skipped = {"csrf", "decision_id", "version", "comment", "reviewed", "verdict", "action"}
        return tuple((name, value) for name, values in self._sent.items() if name not in skipped for value in values)

    @property
    def _sent(self) -> Mapping[str, Sequence[str]]:
        return self.submission or {}

    @cached_property
    def _typed(self) -> Submission | None:
        """The submission if it has any of the data in it, and may have."""
        has_data = any(names.is_ours(name) for name in self._sent) or self.is_json
        return self.submission if has_data and self.may_correct else None

    @cached_property
    def _parsed(self) -> tuple[Any, Sequence[Problem]]:
        if self._typed is None:
            return self.original, ()
        parsed = parse_form(self.schema, self.original, self._typed)
        return parsed.value, parsed.problems
