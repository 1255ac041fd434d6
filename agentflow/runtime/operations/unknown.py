"""A person settles a call that is made at most once and was cut off ("did it happen?"), and the run goes on.

The question is an approval inside the operation, under `<key>/unknown#n`. It is never asked twice about one start, and
a call that a person has made again, and that is cut off too, is asked about anew.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from agentflow import approvals
from agentflow.errors import OutcomeUnknown, PayloadError, UnsupportedAwait
from agentflow.ids import APPROVAL, new_id
from agentflow.payloads import readable
from agentflow.requests import OpenWait
from agentflow.runtime.parallel.branches import Waiting
from agentflow.runtime.questions import asked_by_us, fenced, given_result, question
from agentflow.runtime.signals import Ambiguous
from agentflow.runtime.waiting.waits import require_own_time
from agentflow.states import EntryKind, Verdict, WaitKind
from agentflow.tasks.lookup import NOT_DONE, Done

if TYPE_CHECKING:
    from agentflow.records import Entry
    from agentflow.runtime.operations.performing import Work
    from agentflow.runtime.scope import Scope
    from agentflow.tasks.lookup import Found

QUESTION = "unknown"
HAPPENED, DO_IT_NOW, STOP = "happened", "do it now", "stop"
UNDECIDED = ""
_CHOICES = f"""\
- **{HAPPENED}** goes on with the result you give, checked against the operation's type, and calls nothing.
- **{DO_IT_NOW}**: it has had no effect, and is called once more, now, with the same idempotency key.
- **{STOP}**, or rejecting this, calls nothing and fails the operation with `OutcomeUnknown`.

Look where it would have had its effect before you answer: nothing here can tell.
"""


async def ask_whether(work: Work, inner: Scope, started: Entry, because: str) -> Found:
    """What a person says it gave, or `NOT_DONE`: it is to be done now.

    Raises `Suspend` while nobody has said, and `OutcomeUnknown` if they say to stop.
    """
    turn = inner.turn
    try:
        require_own_time(f"{inner.path}/{QUESTION}")
    except UnsupportedAwait as error:  # the clock around it would stand still while the run is parked
        raise turn.stop(Ambiguous(key=inner.path, because=because)) from error
    refused = ""
    while True:
        answer = await _answer(work, inner, started, because, refused)
        said = {"choice": STOP} if answer.output is None else json.loads(answer.output)
        if said["choice"] == DO_IT_NOW:
            return NOT_DONE
        if said["choice"] != HAPPENED:
            by = json.loads(answer.detail or "{}").get("decided_by") or "nobody"
            raise OutcomeUnknown(f"{inner.path} was cut off, and {by} said to stop: it may have happened, or not")
        try:
            return Done(given_result(work.result, said.get("result")))
        except PayloadError as problem:  # it fits the type's schema, but not its code: ask again, saying so
            refused = str(problem)


async def _answer(work: Work, inner: Scope, started: Entry, because: str, refused: str) -> Entry:
    key, recorded = inner.ask(QUESTION, "approval")
    if recorded is not None and recorded.resolved is not None:
        return recorded.resolved
    opening = None
    if recorded is None or recorded.opened is None:
        opening = await _opening(work, inner, key, started, _Doubt(because, refused))
    future = asyncio.get_running_loop().create_future()
    answer: Entry = await inner.turn.waits.wait(inner.branch, Waiting(key, future, to_open=opening))
    return answer


# -- the question


class _Doubt:
    """Why it is not known, and what was wrong with the result given before."""

    def __init__(self, because: str, refused: str) -> None:
        self.because = because
        self.refused = refused


async def _opening(work: Work, inner: Scope, key: str, started: Entry, doubt: _Doubt) -> OpenWait:
    turn = inner.turn
    proposed, schema = question(
        (HAPPENED, DO_IT_NOW, STOP), UNDECIDED, result=work.result, choice=HAPPENED, field="result"
    )
    new = asked_by_us(
        new_id(APPROVAL, turn.clock.now()),
        digest=approvals.approval_digest(task=turn.task.id, key=key, value=proposed, schema=schema),
        proposed=proposed,
        schema=schema,
        allow=(Verdict.CORRECT, Verdict.REJECT),  # there is nothing to approve as it stands: who answers has to choose
        tags={"kind": "unknown", "operation": inner.path},
        title=f"Did {work.name} happen?",
        summary=f"It was started at {_instant(started)} and cut off; its end is not recorded.",
        body=await _body(inner, started, doubt),
        reason="outcome_unknown",
        risk="high",
    )
    detail = json.dumps({"approval": new.id, "digest": new.digest, "unknown": inner.path})
    return OpenWait(key=key, kind=WaitKind.APPROVAL, subject=new.id, approval=new, detail=detail)


async def _body(inner: Scope, started: Entry, doubt: _Doubt) -> str:
    """Markdown: what is known of the call, and what the choices do."""
    turn = inner.turn
    said = await turn.sure(turn.store.last_beat, turn.run.id, inner.path)
    facts = {
        "Operation": f"`{inner.path}`, attempt {started.attempt}",
        "Started at": f"{_instant(started)}, by worker `{await _worker(inner, started)}`",
        "Idempotency key": f"`{turn.run.id}:{inner.path}`",
    }
    parts = ["The result given before was refused:", fenced(doubt.refused)] if doubt.refused else []
    parts += ["\n".join(f"- {name}: {fact}" for name, fact in facts.items())]
    parts += ["Why its end is not known:", fenced(doubt.because or "its worker was lost before the end was recorded")]
    parts += ["It was called with exactly these arguments:", fenced(_pretty(started.input))]
    if said is not None:
        parts += ["It last said of its progress:", fenced(_pretty(said))]
    return "\n\n".join([*parts, _CHOICES])


async def _worker(inner: Scope, started: Entry) -> str:
    """Who held the run when it was started, as the loss of that worker was recorded; else whoever holds it now."""
    turn = inner.turn
    for entry in await turn.sure(lambda: turn.store.entries(turn.run.id, after=started.seq)):
        if entry.kind is EntryKind.RECOVERED and entry.detail:
            return str(entry.detail).removeprefix("worker ").removesuffix(" was lost")
    return str(turn.lease.worker_id)


def _instant(started: Entry) -> str:
    return f"{started.at:%Y-%m-%d %H:%M:%S} UTC"


def _pretty(text: str | None) -> str:
    return "no arguments" if text is None else json.dumps(readable(text), indent=2, ensure_ascii=False)
