"""Steering many runs at once: those a filter shows, each by itself, with a report of what became of each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from agentflow.client.steering import Steering
from agentflow.errors import Conflict, IllegalTransition
from agentflow.states import RunStatus, Transition

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from agentflow.records import Run
    from agentflow.requests import RunFilter

PAGE: Final = 200
PASSIVE: Final = {
    Transition.CANCEL: "be cancelled",
    Transition.PAUSE: "be paused",
    Transition.RESUME: "be resumed",
    Transition.RETRY: "be retried",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkReport:
    """The ids of the runs that were steered, or with `dry_run` would be, and why each of the others was not."""

    dry_run: bool
    done: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


class Bulk(Steering):
    """The verbs of `Steering` for many runs.

    A filter that names no status stands for those that the verb can move. Its `cursor` and `limit` do not count: every
    run is meant that the filter fits when its turn comes, the newest first. Runs are steered one by one, so that a run
    which has moved on meanwhile is refused and the others are not.
    """

    async def cancel_many(self, which: RunFilter, *, by: str, reason: str = "", dry_run: bool = False) -> BulkReport:
        """Cancel every run the filter shows."""
        return await self._steer(
            which, Transition.CANCEL, lambda one: self.cancel(one, by=by, reason=reason), dry_run=dry_run
        )

    async def pause_many(self, which: RunFilter, *, by: str, reason: str = "", dry_run: bool = False) -> BulkReport:
        """Pause every run the filter shows."""
        return await self._steer(
            which, Transition.PAUSE, lambda one: self.pause(one, by=by, reason=reason), dry_run=dry_run
        )

    async def resume_many(self, which: RunFilter, *, by: str, dry_run: bool = False) -> BulkReport:
        """Resume every run the filter shows: those that are paused and, if it says so, those that need attention."""
        return await self._steer(which, Transition.RESUME, lambda one: self.resume(one, by=by), dry_run=dry_run)

    async def retry_many(self, which: RunFilter, *, by: str, reason: str = "", dry_run: bool = False) -> BulkReport:
        """Have every run the filter shows tried again."""
        return await self._steer(
            which, Transition.RETRY, lambda one: self.retry(one, by=by, reason=reason), dry_run=dry_run
        )

    async def _steer(
        self, which: RunFilter, how: Transition, steer: Callable[[str], Awaitable[Run]], *, dry_run: bool
    ) -> BulkReport:
        done: list[str] = []
        refused: dict[str, str] = {}
        asked = replace(which, statuses=which.statuses or _movable(how), cursor=None, limit=PAGE)
        while True:
            page = await self._store.runs(asked)
            for one in page.items:
                said = _refusal(one, how) if dry_run else await _refused(steer, one.id)
                if said is None:
                    done.append(one.id)
                else:
                    refused[one.id] = said
            if page.next_cursor is None:
                return BulkReport(dry_run=dry_run, done=tuple(done), refused=refused)
            asked = replace(asked, cursor=page.next_cursor)


def _movable(how: Transition) -> Sequence[RunStatus]:
    """The statuses meant by a filter that names none; a run that needs attention is resumed only by name."""
    sources = how.sources - {RunStatus.NEEDS_ATTENTION} if how is Transition.RESUME else how.sources
    return tuple(sorted(sources))


def _refusal(one: Run, how: Transition) -> str | None:
    """Why the verb would be refused, by what is known of the run now."""
    if one.status not in how.sources:
        return str(IllegalTransition(run_id=one.id, verb=PASSIVE[how], status=one.status))
    if how is Transition.RETRY and one.ending is not None:
        return f"run {one.id} has undone its steps; fork it instead"
    return None


async def _refused(steer: Callable[[str], Awaitable[Run]], run_id: str) -> str | None:
    """Steer the run; why it was refused, None if it was not."""
    try:
        await steer(run_id)
    except (IllegalTransition, Conflict) as error:
        return str(error)
    return None
