"""/api/v1/runs/{id}/history: what happened to a run, as typed events."""

from typing import Annotated, Any, Final

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from approvals_ui.desk import Desk

MOST_EVENTS: Final = 1000


class HistoryEndpoint(Controller):
    """A run's history."""

    path = "/runs"
    tags = ("runs",)

    @get("/{run_id:str}/history", operation_id="getHistory")
    async def history(
        self,
        desk: NamedDependency[Desk],
        run_id: FromPath[str],
        after: Annotated[int, QueryParameter(ge=0)] = 0,
        limit: Annotated[int, QueryParameter(ge=1, le=MOST_EVENTS)] = MOST_EVENTS,
    ) -> dict[str, Any]:
        """What happened to the run as typed events, in order and without gaps; `version` is that of the events.

        While there are `more`, ask again with `after=` the last `seq`.
        """
        return await desk.client.history_document(run_id, after=after, limit=limit)
