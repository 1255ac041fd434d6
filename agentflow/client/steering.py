"""Steering runs: decide, cancel, resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow.approvals.decisions import accepted_text
from agentflow.client.holder import Holder
from agentflow.ids import DECISION, new_id
from agentflow.requests import Decide
from agentflow.states import Verdict

UNCHANGED: Any = object()

if TYPE_CHECKING:
    from agentflow.records import Decision, Run


class Steering(Holder):
    """What people do to runs."""

    async def decide(
        self,
        approval_id: str,
        verdict: Verdict | str,
        *,
        by: str,
        channel: str = "api",
        comment: str = "",
        data: Any = UNCHANGED,
        decision_id: str | None = None,
        expected_version: int | None = None,
    ) -> Decision:
        """The receipt of this decision; its run goes on at once.

        `data` is the final data as JSON; whether that is a correction is computed from it, so `approve` with other
        data is recorded as `corrected`. The same `decision_id` again returns the first receipt. Raises what
        `Approvals.decide` of the store raises; nothing of this decision was recorded then.
        """
        approval = await self._store.approval(approval_id)
        final = None if data is UNCHANGED else accepted_text(approval, Verdict(verdict), data)
        return await self._store.decide(
            Decide(
                id=decision_id or new_id(DECISION, self.now()),
                approval_id=approval_id,
                verdict=Verdict(verdict),
                decided_by=by,
                channel=channel,
                comment=comment,
                final=final,
                expected_version=expected_version,
            )
        )

    async def cancel(self, run_id: str, *, by: str, reason: str = "") -> Run:
        """The run, cancelled together with its approvals and children. Raises `RunNotFound`, `IllegalTransition`."""
        return await self._store.cancel(run_id, by=by, reason=reason)

    async def resume(self, run_id: str, *, by: str) -> Run:
        """The run, queued again after it needed attention. Raises `RunNotFound`, `IllegalTransition`."""
        return await self._store.resume(run_id, by=by)
