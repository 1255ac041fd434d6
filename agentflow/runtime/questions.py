"""Questions the engine itself asks people: a choice, and a result where that is one of the choices."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from agentflow import approvals
from agentflow.payloads import from_json, json_text
from agentflow.requests import NewApproval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow.states import Verdict

NOTHING: Final = {"type": "null"}
_LONGEST: Final = 4_000
_LINE: Final = 200


def question(
    choices: Sequence[str], proposed: str, *, result: Any, choice: str, field: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is proposed, and the schema of what may be answered: one of the choices, and the result that `choice` takes.

    Where the type of the result has no schema, nobody can be asked to give one and `choice` is left out.
    """
    value = result_schema(result)
    offered = [one for one in choices if one != choice or value is not None]
    properties: dict[str, Any] = {"choice": {"enum": offered}}
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": ["choice"]}
    if value is None or value == NOTHING:
        return {"choice": proposed}, schema | {"additionalProperties": NOTHING}
    schema |= {"required": ["choice", field], "additionalProperties": False}
    if approvals.validate(value, None):  # null is no result, and stands for none given
        schema |= {
            "description": f"to choose {choice}, give a {field} that is not null",
            "not": {"properties": {"choice": {"const": choice}, field: NOTHING}},
        }
    if "$defs" in value:
        schema["$defs"] = value.pop("$defs")
    properties[field] = {"anyOf": [value, NOTHING]}
    return {"choice": proposed, field: None}, schema


def result_schema(result: Any) -> dict[str, Any] | None:
    """The schema of a result's type; None for a type that has none, which nobody can be asked to give."""
    try:
        return dict(approvals.schema_of(result))
    except Exception:  # noqa: BLE001  whatever keeps the type from having a schema, the other choices are there
        return None


def given_result(result: Any, given: Any) -> Any:
    """The result a person gave, of its type. Raises `PayloadError` for one that fits the schema and not the code."""
    return from_json(approvals.settable(result_schema(result) or {}, given), result)


def asked_by_us(
    approval_id: str,
    *,
    digest: str,
    proposed: Any,
    schema: Any,
    allow: Sequence[Verdict],
    tags: Mapping[str, str],
    title: str,
    summary: str,
    body: str,
    reason: str,
    risk: str = "",
) -> NewApproval:
    """The approval by which it is asked. Nothing answers it but a person."""
    return NewApproval(
        id=approval_id,
        title=title,
        summary=summary,
        body=body,
        reason=reason,
        risk=risk,
        priority=0,
        confidence=None,
        field_confidence="{}",
        evidence="{}",
        tags=json_text(dict(tags)),
        allow=tuple(allow),
        data=json_text(proposed),
        schema=json_text(schema),
        digest=digest,
        timeout=None,
        on_timeout="reject",
        default=None,
    )


def fenced(text: str) -> str:
    """The text as a block of code in Markdown, whatever is in it."""
    shown = text if len(text) <= _LONGEST else f"…\n{text[-_LONGEST:]}"
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", shown)), 0)
    return f"{fence}\n{shown}\n{fence}"


def one_line(text: str) -> str:
    """The text as a line of the inbox."""
    line = " ".join(text.split())
    return line if len(line) <= _LINE else f"{line[:_LINE]}…"
