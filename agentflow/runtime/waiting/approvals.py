"""`wait_for_approval`: a run leaves memory until a person has decided, and goes on with what they approved."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence  # noqa: TC003  read when an Approval is stored as a helper's result
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from agentflow import approvals
from agentflow.approvals.diff import Change  # noqa: TC001  read when an Approval is stored as a helper's result
from agentflow.errors import (
    ApprovalSchemaMismatch,
    ApprovalTimedOut,
    UndecodablePayload,
    UnsupportedAwait,
)
from agentflow.ids import APPROVAL, new_id
from agentflow.payloads import from_json
from agentflow.requests import NewApproval, OpenWait
from agentflow.runtime.callers import InRun
from agentflow.runtime.dry.rehearsal import rehearsed
from agentflow.runtime.operations.leaf import InStep, refuse_in_step
from agentflow.runtime.parallel.branches import Waiting
from agentflow.runtime.signals import Divergence
from agentflow.runtime.waiting.asking import Asked, Evidence, arguments
from agentflow.runtime.waiting.standing import answered_ahead, may_stand
from agentflow.states import ApprovalStatus, WaitKind
from agentflow.tasks.calling import current_caller, durable
from agentflow.tasks.step import operation_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from agentflow.records import Entry
    from agentflow.runtime.index import Recorded
    from agentflow.runtime.scope import Scope

T = TypeVar("T")
PLAIN = frozenset({type(None), bool, int, float, str, list, dict})
MOST_CHANGES = 3
"""How often a gate may be asked anew because its data changed before the run needs attention instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval(Generic[T]):
    """What came of an approval. `data` is final and validated: as proposed, or as a person corrected it.

    `outcome` is `approved`, `corrected`, `rejected` or `timed_out`; `approved` says whether the run may go on with
    `data`, which is None if not. `receipt` is the id of the decision, and `digest` that of the data it was made about:
    `agentflow.approvals.require_decided` holds what is about to be used against it.
    """

    outcome: str
    approved: bool
    data: T
    original: T
    diff: Sequence[Change] = ()
    decided_by: str = ""
    comment: str = ""
    receipt: str = ""
    digest: str = ""

    @property
    def corrected_data(self) -> T:
        """Another name of `data`."""
        return self.data


@durable
async def wait_for_approval(
    data: T,
    *,
    title: str = "",
    summary: str = "",
    body: str = "",
    reason: str = "",
    key: str = "approval",
    allow: Sequence[str] = ("approve", "correct", "reject"),
    timeout: str | float | timedelta | datetime | None = None,
    on_timeout: str = "reject",
    default: T | None = None,
    allow_auto_approve: bool = False,
    risk: str = "",
    priority: int = 0,
    confidence: float | None = None,
    field_confidence: Mapping[str, float] | None = None,
    evidence: Mapping[str, Evidence] | None = None,
    tags: Mapping[str, str] | None = None,
    schema: Mapping[str, Any] | None = None,
    tool: str = "",
    said: str = "",
    standing: bool = True,
) -> Approval[T]:
    """What a person decided about `data`, which is what will be used if they approve.

    `data` is a Pydantic model, a dataclass or JSON; people see it as a form made from its schema and may correct it
    within that. `title` and `summary` are lines of text, `body` is Markdown, `reason` says why a person is asked.
    `timeout` counts by the store's clock from the moment the run waits; without an answer by then `on_timeout`
    decides: `reject`, `raise` (`ApprovalTimedOut`), `default` (goes on with `default`), or `approve`, which needs
    `allow_auto_approve=True`. `field_confidence` and `evidence` are keyed by JSON Pointer.

    `tool` names the tool that will be called with the data: people then see the call, apart from `said`, an agent's own
    words about it, and a standing approval for such calls decides it unless `standing` is False. `schema` is the JSON
    Schema of plain data. Raises `DefinitionError`, or `NotRecordable` for the data; nobody was asked then.
    """
    caller = _in_run()
    asked = Asked.about(data, key=operation_name(key), schema=schema, tool=tool)
    columns = arguments(asked, caller.turn.clock.now(), locals())
    return await rehearsed(caller.scope, _ask(caller.scope, asked, columns, standing=standing))


def _in_run() -> InRun:
    caller = current_caller.get()
    if isinstance(caller, InStep):
        refuse_in_step(caller, "wait_for_approval was called")
    if not isinstance(caller, InRun):
        raise UnsupportedAwait("wait_for_approval outside a run: there is nothing that could wait; trigger the task")
    return caller


# -- asking


async def _ask(scope: Scope, asked: Asked, given: dict[str, Any], *, standing: bool) -> Approval[Any]:
    turn = scope.turn
    key, recorded = scope.ask(asked.key, "approval")
    digest = approvals.approval_digest(
        task=turn.task.id, key=key, value=asked.value, schema=asked.schema, tool=asked.tool
    )
    known = json.loads(recorded.opened.detail or "{}") if recorded is not None and recorded.opened else {}
    is_same = known.get("digest") == digest
    scope.busy += 1
    try:
        resolved = recorded.resolved if recorded is not None and is_same else None
        if resolved is None:
            if known and not is_same and recorded is not None:
                _require_few_changes(scope, recorded, known, digest)
            opening = None if is_same else _opening(scope, key, digest, asked, given, replaces=known.get("approval"))
            resolved = await _answer(scope, asked, key, opening, standing=standing)
    finally:
        scope.busy -= 1
    try:
        return _result(asked, resolved, given["on_timeout"])
    except ApprovalTimedOut as error:
        turn.raised(error, key)
        raise


def _require_few_changes(scope: Scope, recorded: Recorded, known: dict[str, Any], digest: str) -> None:
    """Raise `Suspend`, the run needing attention, where the gate has other data at each replay."""
    if recorded.asked_again < MOST_CHANGES:
        return
    found = Divergence(
        key=recorded.key,
        recorded=f"approval {recorded.key} of {known['digest']}",
        asked=f"other data ({digest}), for the {recorded.asked_again + 1}th time: record what it is made of in a step, "
        "so that a replay asks about the same",
    )
    raise scope.turn.stop(found)


async def _answer(scope: Scope, asked: Asked, key: str, opening: OpenWait | None, *, standing: bool) -> Entry:
    """What was decided: ahead, by a standing approval, or by whoever is asked."""
    turn = scope.turn
    if opening is not None and opening.approval is not None and standing and may_stand(opening.approval):
        ahead = await answered_ahead(scope, asked, opening)
        if ahead is not None:
            return ahead
        known = turn.index.by_key.get(key)
        if known is not None and _concerns(known.opened, opening):
            opening = None  # it is open, and a person is asked
    waiting = Waiting(key, asyncio.get_running_loop().create_future(), to_open=opening)
    answer: Entry = await turn.waits.wait(scope.branch, waiting)
    return answer


def _concerns(opened: Entry | None, opening: OpenWait) -> bool:
    return opened is not None and opened.detail == opening.detail


def _opening(
    scope: Scope, key: str, digest: str, asked: Asked, given: dict[str, Any], *, replaces: str | None
) -> OpenWait:
    approval_id = new_id(APPROVAL, scope.turn.clock.now())
    new = NewApproval(id=approval_id, data=asked.texts[0], schema=asked.texts[1], digest=digest, **given)
    detail = json.dumps({"approval": approval_id, "digest": digest})
    return OpenWait(
        key=key, kind=WaitKind.APPROVAL, subject=approval_id, approval=new, replaces=replaces, detail=detail
    )


def _result(asked: Asked, resolved: Entry, on_timeout: str) -> Approval[Any]:
    said = json.loads(resolved.detail or "{}")
    outcome = ApprovalStatus(said["outcome"])
    if outcome is ApprovalStatus.TIMED_OUT and on_timeout == "raise":
        raise ApprovalTimedOut(f"approval {said['approval']} had no answer in time")
    final = None if resolved.output is None else json.loads(resolved.output)
    if resolved.output is not None:
        approvals.require_decided(final, said["digest"] or "", what=f"what approval {said['approval']} is about")
    return Approval(
        outcome=outcome.value,
        approved=resolved.output is not None,
        data=None if resolved.output is None else _typed(asked, final, said["approval"]),
        original=asked.data,
        diff=tuple(approvals.changes(asked.value, final)) if outcome is ApprovalStatus.CORRECTED else (),
        decided_by=said["decided_by"],
        comment=said["comment"],
        receipt=said["decision"],
        digest=said["digest"] or "",
    )


def _typed(asked: Asked, final: Any, approval_id: str) -> Any:
    """The final data as what the task asked with: the same class, validated by it."""
    try:
        return _like(asked.data, final)
    except UndecodablePayload as error:
        raise ApprovalSchemaMismatch(
            f"what was approved in {approval_id} is no {type(asked.data).__qualname__} any more: {error}"
        ) from error


def _like(asked: Any, final: Any) -> Any:
    """The final JSON in the types of what was asked about, also inside plain lists and objects."""
    match asked, final:
        case dict(), dict():
            return {name: _like(asked[name], value) if name in asked else value for name, value in final.items()}
        case [first, *rest], list() if type(asked) is list and all(type(one) is type(first) for one in rest):
            return [_like(first, value) for value in final]
        case _ if type(asked) in PLAIN:
            return final
        case _:
            return from_json(approvals.settable(approvals.schema_of(type(asked)), final), type(asked))
