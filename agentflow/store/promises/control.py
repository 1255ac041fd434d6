"""Promises about what people do to runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from agentflow.records import Run


class Control(Protocol):
    """What people do to runs. Each raises `RunNotFound`, or `IllegalTransition` where the run is in no state for it."""

    async def cancel(self, run_id: str, *, by: str, reason: str) -> Run:
        """The run, cancelled, with its approvals withdrawn and its open children cancelled too."""
        ...

    async def resume(self, run_id: str, *, by: str) -> Run:
        """The run, queued again after it needed attention."""
        ...
