"""What an operation gave, as the journal tells it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from agentflow.cli.documents import failure, payload, plain
from agentflow.runtime.scope import SCOPES
from agentflow.states import EntryKind

if TYPE_CHECKING:
    from agentflow.records import Entry
    from agentflow.runtime.dry.rehearsal import Asked

LONGEST: Final = 100


def given(asked: Asked) -> tuple[dict[str, Any], str]:
    """The parts of it for a program, and the whole for a person."""
    recorded = asked.recorded
    if recorded is None:
        return {"state": "not recorded"}, "" if asked.operation in SCOPES else "is not recorded"
    if recorded.final is not None:
        return _final(recorded.final)
    if recorded.resolved is not None:
        return _answer(recorded.resolved)
    if recorded.failures:
        error, text = _error(recorded.failures[-1])
        return {"state": "failing", "error": error}, f"failed {len(recorded.failures)} times, last with {text}"
    if recorded.opened is not None:
        return {"state": "waiting"}, "waits"
    return {"state": "begun"}, "is begun"


def _final(entry: Entry) -> tuple[dict[str, Any], str]:
    if entry.kind is EntryKind.FAILED:
        error, text = _error(entry)
        return {"state": "failed", "error": error}, f"raised {text}"
    output = payload(entry.output)
    return {"state": "succeeded", "output": output}, f"gave {_short(output)}"


def _answer(entry: Entry) -> tuple[dict[str, Any], str]:
    """What a wait was answered with: the data of an approval, how a child run ended."""
    output, detail = payload(entry.output), plain(entry.detail)
    outcome = detail.get("outcome", "answered") if isinstance(detail, dict) else detail or "answered"
    if entry.error is not None:
        error, text = _error(entry)
        return {"state": "answered", "outcome": outcome, "error": error}, f"was {outcome}: {text}"
    said = f"was {outcome}" + ("" if output is None else f": {_short(output)}")
    return {"state": "answered", "outcome": outcome, "output": output}, said


def _error(entry: Entry) -> tuple[dict[str, Any], str]:
    error = failure(entry.error) or {}
    return error, f"{str(error.get('type')).rpartition(':')[2]}: {error.get('message')}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"
