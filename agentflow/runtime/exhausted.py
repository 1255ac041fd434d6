"""A run whose attempts are spent: with `on_exhausted="ask"` a person says whether it is tried again, or what it gives.

The question is an ordinary approval under the key `exhausted#n`, beside the task's own operations and not among them. A
replay fails as it did, comes here again and finds the answer; to try again is to end the turn as a failed attempt does.
"""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta
from itertools import chain, count, repeat
from typing import TYPE_CHECKING, Any, Final

from agentflow import approvals
from agentflow.errors import Fatal, PayloadError
from agentflow.failures import Failure
from agentflow.ids import APPROVAL, new_id
from agentflow.payloads import from_json, json_text, record
from agentflow.requests import Completed, Failed, NewApproval, OpenWait, TryAgain
from agentflow.runtime.parallel.branches import Waiting
from agentflow.states import Verdict, WaitKind

if TYPE_CHECKING:
    from agentflow.records import Entry
    from agentflow.requests import Outcome
    from agentflow.runtime.turn import Turn

RETRY, VALUE, FAIL = "retry", "value", "fail"
NOTHING: Final = {"type": "null"}
_NOT_GIVEN: Final = {"properties": {"choice": {"const": VALUE}, "value": NOTHING}}
_LONGEST = 4_000
_CHOICES = """\
- **retry** tries it once more, from the operation that failed; what is recorded stays recorded.
- **value** completes the run with the result you give, checked against the task's type.
- **fail**, or rejecting this, fails the run.
"""


async def decided(turn: Turn, error: Exception, outcome: Outcome) -> Outcome:
    """The outcome of a failed attempt: where it was the last and the task says "ask", what a person makes of it.

    Raises `Suspend` while nobody has decided. `Fatal` is no question: it fails the run as the code meant it to.
    """
    if turn.task.on_exhausted != "ask" or not isinstance(outcome, Failed) or isinstance(error, Fatal) or turn.is_over:
        return outcome
    await turn.catch_up()
    refused = ""
    for known in chain(tuple(turn.index.asks), repeat(None)):
        if known is not None and known.resolved is not None:
            answer = known.resolved
        elif known is not None:
            answer = await _answer(turn, known.key, None)
        else:
            opening = _opening(turn, error, outcome, refused)
            answer = await _answer(turn, opening.key, opening)
        try:
            return _as_decided(turn, error, outcome, answer)
        except PayloadError as problem:  # it fits the type's schema, but not its code: ask again, saying so
            refused = str(problem)
    raise AssertionError("unreachable")


async def _answer(turn: Turn, key: str, opening: OpenWait | None) -> Entry:
    future = asyncio.get_running_loop().create_future()
    answer: Entry = await turn.waits.wait(turn.waits.root, Waiting(key, future, to_open=opening))
    return answer


def _as_decided(turn: Turn, error: Exception, outcome: Failed, answer: Entry) -> Outcome:
    said = {"choice": FAIL} if answer.output is None else json.loads(answer.output)
    if said["choice"] == RETRY:
        return TryAgain(outcome.error, timedelta(0), turn.key_of(error))
    if said["choice"] == FAIL:
        return outcome
    result = turn.task.signature.result
    value = from_json(approvals.settable(_result_schema(result) or {}, said.get("value")), result)
    return Completed(record(value, result, of=turn.task.id)[0])


# -- the question


def _opening(turn: Turn, error: Exception, outcome: Failed, refused: str) -> OpenWait:
    key = next(key for key in (f"exhausted#{n}" for n in count(1)) if key not in turn.index.by_key)
    proposed, schema = _question(turn.task.signature.result)
    digest = approvals.approval_digest(task=turn.task.id, key=key, value=proposed, schema=schema)
    tries = "1 attempt" if turn.run.attempt == 1 else f"{turn.run.attempt} attempts"
    new = NewApproval(
        id=new_id(APPROVAL, turn.clock.now()),
        title=f"{turn.task.id} failed after {tries}",
        summary=_line(error),
        body=_body(turn.key_of(error), _recorded(turn, error) or Failure.from_json(outcome.error), refused),
        reason="attempts_exhausted",
        risk="",
        priority=0,
        confidence=None,
        field_confidence="{}",
        evidence="{}",
        tags=json_text({"kind": "exhausted"}),
        allow=(Verdict.APPROVE, Verdict.CORRECT, Verdict.REJECT),
        data=json_text(proposed),
        schema=json_text(schema),
        digest=digest,
        timeout=None,
        on_timeout="reject",
        default=None,
    )
    detail = json.dumps({"approval": new.id, "digest": digest, "exhausted": True})
    return OpenWait(key=key, kind=WaitKind.APPROVAL, subject=new.id, approval=new, detail=detail)


def _question(result: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is proposed, and the schema of what may be answered: a choice, and the result where that is one."""
    value = _result_schema(result)
    choices = [RETRY, FAIL] if value is None else [RETRY, VALUE, FAIL]
    properties: dict[str, Any] = {"choice": {"enum": choices}}
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": ["choice"]}
    if value is None or value == NOTHING:
        return {"choice": RETRY}, schema | {"additionalProperties": NOTHING}
    schema |= {"required": ["choice", "value"], "additionalProperties": False}
    if approvals.validate(value, None):  # null is no result, and stands for none given
        schema |= {"description": "to choose value, give a value that is not null", "not": _NOT_GIVEN}
    if "$defs" in value:
        schema["$defs"] = value.pop("$defs")
    properties["value"] = {"anyOf": [value, NOTHING]}
    return {"choice": RETRY, "value": None}, schema


def _result_schema(result: Any) -> dict[str, Any] | None:
    """The schema of the task's result; None for a type that has none, which nobody can be asked to give."""
    try:
        return dict(approvals.schema_of(result))
    except Exception:  # noqa: BLE001  whatever keeps the type from having a schema, the other choices are there
        return None


def _recorded(turn: Turn, error: Exception) -> Failure | None:
    """The failure as the operation recorded it, with the traceback of the call and not of a replay."""
    known = turn.index.by_key.get(turn.key_of(error) or "")
    final = None if known is None else known.final
    return None if final is None or final.error is None else Failure.from_json(final.error)


def _body(key: str | None, failure: Failure, refused: str) -> str:
    """Markdown: what failed, how, and what the choices do."""
    parts = ["The result given before was refused:", _fenced(refused)] if refused else []
    parts += [f"Operation `{key}` failed:" if key else "The task's own code failed:"]
    parts += [_fenced(failure.traceback or f"{failure.type}: {failure.message}"), _CHOICES]
    return "\n\n".join(parts)


def _fenced(text: str) -> str:
    """The text as a block of code, whatever is in it."""
    shown = text if len(text) <= _LONGEST else f"…\n{text[-_LONGEST:]}"
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", shown)), 0)
    return f"{fence}\n{shown}\n{fence}"


def _line(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= 200 else f"{text[:200]}…"  # noqa: PLR2004  a line of the inbox
