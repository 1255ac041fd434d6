"""What a submitted form says: read, checked, and never more than that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.approvals.forms import names
from agentflow.approvals.forms.building import NO_CONFIDENCE, tree_of
from agentflow.approvals.forms.controls import Controls
from agentflow.approvals.forms.fields import Parsed
from agentflow.approvals.forms.rawjson import BadJson, read_json
from agentflow.approvals.forms.read import Reader
from agentflow.approvals.locked import locked_changes
from agentflow.approvals.pointers import within
from agentflow.approvals.problems import Problem
from agentflow.approvals.validation import validate
from agentflow.payloads import canonical

if TYPE_CHECKING:
    from agentflow.approvals.forms.fields import Submission
    from agentflow.approvals.pointers import Json, Schema


def parse_form(schema: Schema, original: Json, submission: Submission) -> Parsed:
    """The value a submission says, checked: `original` exactly where nothing was touched. Decides nothing.

    Problems are those of reading (a text that is no number), of the schema, and of tampering (locked or unknown
    fields). Names that do not belong to the form (`action`, tokens of the page) are ignored.
    """
    if names.JSON not in submission:
        return _parse_fields(schema, original, submission)
    parsed = _parse_document(schema, original, submission)
    if not Controls(submission).any:
        return parsed
    fields = _parse_fields(schema, original, submission)
    if not parsed.problems and canonical(parsed.value) == canonical(original):
        return fields
    if not fields.problems and canonical(fields.value) == canonical(original):
        return parsed
    both = Problem(pointer="", message="was changed both in its fields and as JSON; undo one of them")
    return Parsed(parsed.value, (both, *parsed.problems))


def _parse_fields(schema: Schema, original: Json, submission: Submission) -> Parsed:
    controls = Controls(submission)
    root = tree_of(schema, original, original, NO_CONFIDENCE, controls)
    reader = Reader(controls)
    value = reader.read(root)
    problems = reader.problems
    foreign = [f"has an input that is not part of this form ({name[:80]})" for name in controls.unknown()]
    foreign += [f"has an input that was sent twice ({name[:80]})" for name in controls.repeated()]
    problems += [Problem(pointer="", message=message, tampered=True) for message in foreign]
    return _checked(schema, original, value, problems)


def _parse_document(schema: Schema, original: Json, submission: Submission) -> Parsed:
    texts = submission[names.JSON]
    if len(texts) != 1:
        return Parsed(original, (Problem(pointer="", message="was sent as JSON more than once", tampered=True),))
    try:
        return _checked(schema, original, read_json(texts[0], original), [])
    except BadJson as bad:
        return Parsed(original, (bad.problem(""),))


def _checked(schema: Schema, original: Json, value: Json, problems: list[Problem]) -> Parsed:
    """Add what the schema and the locks say, where reading has not said something already."""
    said = {problem.pointer for problem in problems if problem.pointer}
    further = [*validate(schema, value), *locked_changes(schema, original, value)]
    fresh = [one for one in further if not any(within(one.pointer, place) for place in said)]
    return Parsed(value, tuple(dict.fromkeys([*problems, *fresh])))
