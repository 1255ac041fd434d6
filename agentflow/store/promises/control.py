"""Promises about what people do to runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from agentflow.records import Run
    from agentflow.requests import ForkRun


class Control(Protocol):
    """What people do to runs. Each raises `RunNotFound`, or `IllegalTransition` where the run is in no state for it."""

    async def cancel(self, run_id: str, *, by: str, reason: str) -> Run:
        """The run, cancelled, with its approvals withdrawn and its open children cancelled too.

        A run with steps to undo is queued to undo them first (`Run.ending` says so), and cancelled when that is done.
        """
        ...

    async def pause(self, run_id: str, *, by: str, reason: str) -> Run:
        """The run, paused; one that is being executed is paused at its next checkpoint. Its approvals stay open."""
        ...

    async def resume(self, run_id: str, *, by: str, output: str | None = None) -> Run:
        """The run, queued again after it was paused or needed attention.

        `output` is the encoded result of the operation whose end was not known; without it that operation runs again.
        """
        ...

    async def retry(self, run_id: str, *, by: str, reason: str) -> Run:
        """The run, queued to be tried again from the operation that failed it.

        Raises `IllegalTransition` too if its steps have been undone.
        """
        ...

    async def fork(self, request: ForkRun) -> Run:
        """A new run that goes on from a point of another one's journal. Raises `KeyNotRecorded` for a key not in it."""
        ...
