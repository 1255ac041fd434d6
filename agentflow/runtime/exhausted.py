"""A run whose attempts are spent: with `on_exhausted="ask"` a person says whether it is tried again, or what it gives.

The question is an ordinary approval under the key `exhausted#n`, beside the task's own operations and not among them. A
replay fails as it did, comes here again and finds the answer; to try again is to end the turn as a failed attempt does.
"""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from itertools import chain, count, repeat
from typing import TYPE_CHECKING

from agentflow import approvals
from agentflow.errors import Fatal, PayloadError
from agentflow.failures import Failure
from agentflow.ids import APPROVAL, new_id
from agentflow.payloads import record
from agentflow.requests import Completed, Failed, OpenWait, TryAgain
from agentflow.runtime.parallel.branches import Waiting
from agentflow.runtime.questions import asked_by_us, fenced, given_result, one_line, question
from agentflow.states import Verdict, WaitKind

if TYPE_CHECKING:
    from agentflow.records import Entry
    from agentflow.requests import Outcome
    from agentflow.runtime.turn import Turn

RETRY, VALUE, FAIL = "retry", "value", "fail"
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
    value = given_result(result, said.get("value"))
    return Completed(record(value, result, of=turn.task.id)[0])


# -- the question


def _opening(turn: Turn, error: Exception, outcome: Failed, refused: str) -> OpenWait:
    key = next(key for key in (f"exhausted#{n}" for n in count(1)) if key not in turn.index.by_key)
    result = turn.task.signature.result
    proposed, schema = question((RETRY, VALUE, FAIL), RETRY, result=result, choice=VALUE, field="value")
    tries = "1 attempt" if turn.run.attempt == 1 else f"{turn.run.attempt} attempts"
    new = asked_by_us(
        new_id(APPROVAL, turn.clock.now()),
        digest=approvals.approval_digest(task=turn.task.id, key=key, value=proposed, schema=schema),
        proposed=proposed,
        schema=schema,
        allow=(Verdict.APPROVE, Verdict.CORRECT, Verdict.REJECT),
        tags={"kind": "exhausted"},
        title=f"{turn.task.id} failed after {tries}",
        summary=one_line(f"{type(error).__name__}: {error}"),
        body=_body(turn.key_of(error), _recorded(turn, error) or Failure.from_json(outcome.error), refused),
        reason="attempts_exhausted",
    )
    detail = json.dumps({"approval": new.id, "digest": new.digest, "exhausted": True})
    return OpenWait(key=key, kind=WaitKind.APPROVAL, subject=new.id, approval=new, detail=detail)


def _recorded(turn: Turn, error: Exception) -> Failure | None:
    """The failure as the operation recorded it, with the traceback of the call and not of a replay."""
    known = turn.index.by_key.get(turn.key_of(error) or "")
    final = None if known is None else known.final
    return None if final is None or final.error is None else Failure.from_json(final.error)


def _body(key: str | None, failure: Failure, refused: str) -> str:
    """Markdown: what failed, how, and what the choices do."""
    parts = ["The result given before was refused:", fenced(refused)] if refused else []
    parts += [f"Operation `{key}` failed:" if key else "The task's own code failed:"]
    parts += [fenced(failure.traceback or f"{failure.type}: {failure.message}"), _CHOICES]
    return "\n\n".join(parts)
