"""Promises about standing approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import Approval, Standing
    from agentflow.requests import NewStanding


class Standings(Protocol):
    """Decisions made ahead. One is used in the transaction that opens the approval it decides (`OpenWait.approval`)."""

    async def add_standing(self, request: NewStanding) -> Standing:
        """The standing approval, which holds from now on. The same id again is the same one."""
        ...

    async def revoke_standing(self, standing_id: str, *, by: str) -> Standing:
        """It decides nothing more; what it has decided stands, and so does an end before. Raises `StandingNotFound`."""
        ...

    async def standings(self, *, holding: bool = False, limit: int = 200) -> Sequence[Standing]:
        """Standing approvals, the newest first; with `holding` those only that may decide now."""
        ...

    async def standing(self, standing_id: str) -> Standing:
        """The standing approval. Raises `StandingNotFound`."""
        ...

    async def decided_calls(self, task: str, tool: str, *, limit: int) -> Sequence[Approval]:
        """What people decided last about calls of this tool in runs of this task, the newest first."""
        ...

    async def standings_for(self, task: str, tool: str) -> Sequence[Standing]:
        """Those that may decide now about calls of this tool in runs of this task, the oldest first."""
        ...
