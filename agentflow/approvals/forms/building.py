"""The form for a value, for what was typed into it, and after a button that decides nothing."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from agentflow.approvals.forms import names
from agentflow.approvals.forms.actions import act
from agentflow.approvals.forms.controls import Controls
from agentflow.approvals.forms.fields import Field, FieldKind, Form
from agentflow.approvals.forms.leaves import shown
from agentflow.approvals.forms.spots import LIMIT, Spot, size_of
from agentflow.approvals.forms.tree import Tree
from agentflow.approvals.pointers import ABSENT, Absent, Json, Schema
from agentflow.approvals.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agentflow.approvals.forms.fields import Submission

NO_CONFIDENCE: Final[Mapping[str, float]] = MappingProxyType({})


def build_form(
    schema: Schema,
    value: Json,
    *,
    agent_value: Json | Absent = ABSENT,
    problems: Sequence[Problem] = (),
    confidence: Mapping[str, float] = NO_CONFIDENCE,
    submission: Submission | None = None,
) -> Form:
    """The form for `value`, or for what was typed into it when there is a `submission`.

    `agent_value` is what changes are marked against; it is `value` unless somebody has changed it since. `parse_form`
    must later be given the same schema and `value`.
    """
    return _form(
        schema, value, agent_value=agent_value, problems=problems, confidence=confidence, submission=submission
    )


def apply_action(
    schema: Schema,
    value: Json,
    submission: Submission,
    action: str,
    *,
    agent_value: Json | Absent = ABSENT,
    confidence: Mapping[str, float] = NO_CONFIDENCE,
) -> Form:
    """The form after a button without a decision was pressed: everything typed is kept, nothing is decided."""
    acted = act(submission, action)
    unknown = Problem(
        pointer="", message=f"has no action “{action[:80]}”; reload the page and try again", tampered=True
    )
    problems = () if acted.understood else (unknown,)
    return _form(
        schema,
        value,
        agent_value=agent_value,
        problems=problems,
        confidence=confidence,
        submission=acted.submission,
        fresh=acted.fresh,
    )


def _form(
    schema: Schema,
    value: Json,
    *,
    agent_value: Json | Absent,
    problems: Sequence[Problem],
    confidence: Mapping[str, float],
    submission: Submission | None,
    fresh: frozenset[str] = frozenset(),
) -> Form:
    typed = None if submission is None else Controls(submission, fresh=fresh)
    controls = typed if typed is not None and typed.any else None
    agent = value if agent_value is ABSENT else agent_value
    root = tree_of(schema, value, agent, confidence, controls)
    placed = _placed(root, problems)
    root = _annotated(root, placed)
    sent = list((submission or {}).get(names.JSON, ()))
    summary = tuple((problem, part) for part in root.walk() for problem in part.problems)
    json_text = sent[-1] if sent else shown(FieldKind.JSON, value)
    return Form(root=root, json_text=json_text, problems=tuple(problems), summary=summary)


def tree_of(
    schema: Schema, value: Json, agent: Json, confidence: Mapping[str, float], controls: Controls | None
) -> Field:
    """All fields; one JSON text where the value is too large for a form."""
    usable = schema if size_of(value) <= LIMIT else {"title": schema.get("title", "")}
    spot = Spot(schema=usable, base=value, agent=agent, label="Data")
    return Tree(root=usable, controls=controls, confidence=confidence).field(spot)


def _placed(root: Field, problems: Iterable[Problem]) -> dict[str, list[Problem]]:
    """Problems by the path of the field they are shown at: the one at their place, or the nearest around it."""
    fields = list(root.walk())
    by_pointer = {part.pointer: part for part in fields}
    placed: dict[str, list[Problem]] = {}
    for problem in problems:
        pointer = problem.pointer
        while pointer and pointer not in by_pointer:
            pointer = pointer.rpartition("/")[0]
        placed.setdefault(by_pointer.get(pointer, root).path, []).append(problem)
    return placed


def _annotated(field: Field, placed: Mapping[str, Sequence[Problem]]) -> Field:
    """The tree with its problems in it. A variant leaves them to the alternative inside it, at the same path."""
    own = () if field.kind is FieldKind.VARIANT else tuple(placed.get(field.path, ()))
    children = tuple(_annotated(part, placed) for part in field.children)
    return replace(field, problems=own, children=children)
