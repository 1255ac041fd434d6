"""/api/v1/costs, /counts, /whoami: sums, and who asks."""

from datetime import timedelta
from functools import partial

from litestar import Controller, Response, get
from litestar.di import NamedDependency

from agentflow.errors import InvalidSetting
from approvals_ui.access import SIGNED_IN
from approvals_ui.api.endpoint import endpoint, reply
from approvals_ui.api.reading import query_of
from approvals_ui.api.shapes.spending import (
    CallerView,
    CostsList,
    CostsQuery,
    CountsView,
    costs_view,
    counts_view,
)
from approvals_ui.caller import Caller
from approvals_ui.desk import Desk
from approvals_ui.problems import Refused
from approvals_ui.views import Asked

about = partial(endpoint, tag="sums")


class SumEndpoints(Controller):
    """Sums, and who asks."""

    @get(
        "/costs",
        opt=about(
            "listCosts", "List costs", scope="costs:read", query=CostsQuery, gives=CostsList, raises=(InvalidSetting,)
        ),
    )
    async def costs(self, request: Asked, desk: NamedDependency[Desk]) -> Response[bytes]:
        """What language models cost, by day (UTC), task and model, the newest day first; also of runs that are gone."""
        asked = query_of(request, CostsQuery)
        since = asked.since or timedelta(days=asked.days)
        if asked.since and asked.until and asked.until < asked.since:
            raise Refused(400, "`until` is before `since`: there is no time between them.", kind="invalid-query")
        found = await desk.client.costs(since=since, until=asked.until, task=asked.task, model=asked.model)
        return reply(CostsList(items=[costs_view(row) for row in found]))

    @get("/counts", opt=about("getCounts", "Count runs and approvals", scope="runs:read", gives=CountsView))
    async def counts(self, desk: NamedDependency[Desk]) -> Response[bytes]:
        """How many runs are in each status, and how many requests want a decision."""
        return reply(counts_view(await desk.client.counts()))

    @get("/whoami", opt=about("whoAmI", "Say who asks", scope=SIGNED_IN, gives=CallerView))
    async def who(self, caller: NamedDependency[Caller]) -> Response[bytes]:
        """The name under which what this caller does is recorded, and its scopes."""
        return reply(CallerView(name=caller.name, scopes=list(caller.scopes)))
