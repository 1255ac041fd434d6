"""What a decision's data comes to: a text that fits the schema stored with the request, or a refusal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentflow.approvals.locked import locked_changes
from agentflow.approvals.validation import validate
from agentflow.errors import FieldProblem, InvalidDecision
from agentflow.payloads import LIMIT, json_text
from agentflow.states import Verdict

if TYPE_CHECKING:
    from agentflow.records import Approval


def accepted_text(approval: Approval, verdict: Verdict, data: Any) -> str | None:
    """The JSON text of `data` for this approval; None for a rejection, which has no data.

    Raises `InvalidDecision` naming each field that does not fit, or that was changed though it is read-only, or for
    more data than a payload may have.
    """
    if verdict is Verdict.REJECT:
        return None
    schema, original = json.loads(approval.schema), json.loads(approval.data)
    problems = [*validate(schema, data), *locked_changes(schema, original, data)]
    if problems:
        errors = [FieldProblem(one.pointer, one.found, one.wanted) for one in problems]
        raise InvalidDecision(approval_id=approval.id, errors=errors)
    text = json_text(data)
    size = len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
    if size > LIMIT:
        too_large = FieldProblem("", f"{size:,} bytes of JSON", f"{LIMIT:,} at most")
        raise InvalidDecision(approval_id=approval.id, errors=[too_large])
    return text
