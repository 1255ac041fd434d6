"""Steering runs: decide, cancel, pause, resume, have them tried again, fork them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agentflow.client.holder import Holder
from agentflow.errors import ForkRefused
from agentflow.ids import DECISION, new_id
from agentflow.later import later
from agentflow.payloads import encode
from agentflow.requests import Decide, ForkRun, forked
from agentflow.states import Verdict
from agentflow.tasks.task import LONGEST_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow.approvals import decisions
    from agentflow.records import Decision, Run
else:  # it brings the validator of JSON Schema, which only a decision with data of its own needs
    decisions = later("agentflow.approvals.decisions")

UNCHANGED: Any = object()


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
        final = None
        if data is not UNCHANGED:
            final = decisions.accepted_text(await self._store.approval(approval_id), Verdict(verdict), data)
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

    async def pause(self, run_id: str, *, by: str, reason: str = "") -> Run:
        """The run, paused; one that is being executed stops at its next checkpoint.

        Its approvals stay open and its deadline counts on. Raises `RunNotFound`, `IllegalTransition`.
        """
        return await self._store.pause(run_id, by=by, reason=reason)

    async def resume(self, run_id: str, *, by: str, output: Any = UNCHANGED) -> Run:
        """The run, queued again after it was paused or needed attention.

        `output` is what the operation returned whose end is not known, which then does not run again. Raises
        `RunNotFound`, `IllegalTransition`, or `NotRecordable` for the output; nothing was changed then.
        """
        text = None if output is UNCHANGED else encode(output)
        return await self._store.resume(run_id, by=by, output=text)

    async def retry(self, run_id: str, *, by: str, reason: str = "") -> Run:
        """The run, which had failed, expired or been cancelled, queued to go on from the operation that failed.

        Raises `RunNotFound`, `SingletonTaken`, or `IllegalTransition`, also where its steps have been undone: fork it.
        """
        return await self._store.retry(run_id, by=by, reason=reason)

    async def fork(
        self,
        run_id: str,
        *,
        by: str,
        from_: str | None = None,
        patch: Mapping[str, Any] | None = None,
        version: str | None = None,
        reason: str = "",
        fork_id: str | None = None,
    ) -> Run:
        """A new run that goes on from before the operation `from_` of this one, or from all that it has recorded.

        What is recorded before is taken over, with other results where `patch` gives them by key, and is not done
        again; the run itself stays as it is. Raises `RunNotFound`, `KeyNotRecorded` (naming the nearest),
        `NotRecordable`, or `ForkRefused`, also for a patch that does not fit its type, as far as the task's code is at
        hand; no run was made then.
        """
        if version is not None and not 0 < len(version.strip()) <= LONGEST_VERSION:
            raise ForkRefused(f"version={version[:20]!r}: wanted 1 to {LONGEST_VERSION} characters. No run was made")
        texts = {key: encode(value) for key, value in (patch or {}).items()}
        request = ForkRun(run_id=run_id, by=by, reason=reason, from_key=from_, patch=texts, version=version, id=fork_id)
        await self._require_fit(request)
        return await self._store.fork(request)

    async def _require_fit(self, request: ForkRun) -> None:
        """Raise `ForkRefused` for a patch with which the task's code could not go on."""
        if self._misfit is None or not request.patch:
            return
        run = await self._store.run(request.run_id)
        found = self.catalog.task_for(replace(run, version=request.version or run.version))
        if found is None:
            return
        entries = forked(await self._store.entries(run.id), request)
        said = await self._misfit(run, entries, found)
        if said is not None:
            raise ForkRefused(f"run {run.id} cannot be forked with this patch: it {said}. No run was made")
