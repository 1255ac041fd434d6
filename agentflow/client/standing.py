"""Standing approvals: made with an end and a reason, tried on what people decided before, listed, revoked."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from agentflow.client.holder import Holder
from agentflow.durations import duration
from agentflow.errors import InvalidSetting
from agentflow.ids import STANDING, new_id
from agentflow.later import later
from agentflow.records import BackTest
from agentflow.requests import NewStanding
from agentflow.states import ApprovalStatus, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.approvals import terms as ruling
    from agentflow.approvals.terms import Term
    from agentflow.records import Approval, Standing
else:  # it brings the validator of JSON Schema, which few programs need
    ruling = later("agentflow.approvals.terms")

LONGEST_HOLD: Final = timedelta(days=30)
LONGEST_REASON: Final = 500
LONGEST_TERMS: Final = 20_000
LOOKED_AT: Final = 200
ASKED_EACH_TIME: Final = "critical"
_ID: Final = re.compile(rf"{STANDING}_[0-9a-z]{{10,40}}")


class Standings(Holder):
    """Decisions made ahead."""

    async def standings(self, *, holding: bool = False, limit: int = 200) -> Sequence[Standing]:
        """Standing approvals, the newest first; with `holding` only those that may decide now."""
        return await self._store.standings(holding=holding, limit=limit)

    async def standing(self, standing_id: str) -> Standing:
        """The standing approval. Raises `StandingNotFound`."""
        return await self._store.standing(standing_id)

    def new_standing_id(self) -> str:
        """An id for a standing approval yet to be made: with it, asking twice makes one."""
        return new_id(STANDING, self.now())

    async def add_standing(
        self,
        task: str,
        tool: str,
        terms: Sequence[Term],
        *,
        by: str,
        reason: str,
        hold_for: str | float | timedelta,
        most_uses: int | None = None,
        approval_id: str | None = None,
        id: str | None = None,
    ) -> Standing:
        """The standing approval: calls of `tool` in runs of `task` whose arguments meet the terms ask nobody.

        It holds for `hold_for`, 30 days at most, and `most_uses` times; each use is recorded in the approval it
        decides. A call with an argument no term is about asks as before, and so does one of critical risk. With
        `approval_id`, the request it is made from, it must be about that tool. The same `id` again is the same one.
        Raises `InvalidSetting`, `InvalidDuration` or `ApprovalNotFound`; nothing was made then.
        """
        text = _text(terms)
        request = NewStanding(
            id=self.new_standing_id() if id is None else _id(id),
            task=_name("task", task),
            tool=_name("tool", tool),
            terms=text,
            made_by=by,
            reason=_reason(reason),
            hold_for=_span(hold_for),
            most_uses=_uses(most_uses),
            approval_id=approval_id,
        )
        if approval_id is not None:
            _require_about(await self._store.approval(approval_id), request)
        return await self._store.add_standing(request)

    async def revoke_standing(self, standing_id: str, *, by: str) -> Standing:
        """It decides nothing more; what it has decided stands. Raises `StandingNotFound`."""
        return await self._store.revoke_standing(standing_id, by=by)

    async def backtest(self, task: str, tool: str, terms: Sequence[Term], *, limit: int = LOOKED_AT) -> BackTest:
        """What the terms would have approved of what people decided last about such calls. Raises `InvalidSetting`."""
        schema = ruling.terms_schema(terms)
        decided = await self._store.decided_calls(task, tool, limit=limit)
        covered = [one for one in decided if ruling.covers(schema, json.loads(one.data))]
        said = Counter(one.status for one in covered)
        return BackTest(
            looked_at=len(decided),
            covered=len(covered),
            approved=said[ApprovalStatus.APPROVED],
            corrected=said[ApprovalStatus.CORRECTED],
            rejected=said[ApprovalStatus.REJECTED],
        )


def may_make(approval: Approval) -> bool:
    """Whether a standing approval may be made from this request."""
    return bool(approval.tool) and approval.risk != ASKED_EACH_TIME and Verdict.APPROVE in approval.allowed


def _require_about(approval: Approval, request: NewStanding) -> None:
    if (approval.task, approval.tool) != (request.task, request.tool):
        raise InvalidSetting(
            f"approval {approval.id} is about {approval.tool or 'no tool'} in {approval.task}, not about "
            f"{request.tool} in {request.task}. Nothing was made"
        )
    if not may_make(approval):
        raise InvalidSetting(
            f"approval {approval.id} is of critical risk, or may not be approved as it is: such calls ask each time. "
            "Nothing was made"
        )


def _text(terms: Sequence[Term]) -> str:
    text = json.dumps(ruling.terms_schema(terms))
    if len(text) > LONGEST_TERMS:
        raise InvalidSetting(f"the terms are {len(text):,} characters long; wanted {LONGEST_TERMS:,} at most")
    return text


def _id(given: str) -> str:
    if not _ID.fullmatch(given):
        raise InvalidSetting(f"{given[:40]!r} is no id of a standing approval; take one from new_standing_id()")
    return given


def _name(what: str, name: str) -> str:
    if not name.strip():
        raise InvalidSetting(f"the {what} of a standing approval is empty; say whose calls it is about")
    return name


def _reason(reason: str) -> str:
    text = reason.strip().replace("\0", "\ufffd")
    if not 0 < len(text) <= LONGEST_REASON:
        raise InvalidSetting(f"a standing approval needs a reason of 1 to {LONGEST_REASON} characters")
    return text


def _span(hold_for: str | float | timedelta) -> timedelta:
    span = duration(hold_for)
    if not timedelta(0) < span <= LONGEST_HOLD:
        raise InvalidSetting(f"a standing approval holds for up to {LONGEST_HOLD.days} days, not for {span}")
    return span


def _uses(most_uses: int | None) -> int | None:
    if most_uses is not None and not 1 <= most_uses < 2**31:
        raise InvalidSetting(f"most_uses={most_uses!r}: wanted 1 or more, or None for no limit")
    return most_uses
