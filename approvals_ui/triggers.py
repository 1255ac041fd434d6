"""The pages of schedules and webhooks: what starts runs by itself, and what it started lately."""

from typing import Final

from litestar import Controller, Response, get
from litestar.di import NamedDependency

from approvals_ui.desk import Desk
from approvals_ui.views import Asked, page

RECENT: Final = 5
DELIVERIES: Final = 50


class TriggerPages(Controller):
    """`/schedules` and `/webhooks`."""

    include_in_schema = False

    @get("/schedules")
    async def schedules(self, request: Asked, desk: NamedDependency[Desk]) -> Response[str]:
        """Every schedule with its next and its latest occurrences."""
        listed = [
            (schedule, await desk.client.occurrences(schedule.id, limit=RECENT))
            for schedule in await desk.client.schedules()
        ]
        return await page(request, desk, "schedules.html", schedules=listed)

    @get("/webhooks")
    async def webhooks(self, request: Asked, desk: NamedDependency[Desk]) -> Response[str]:
        """Every endpoint and the latest authentic deliveries."""
        deliveries = await desk.client.deliveries(limit=DELIVERIES)
        return await page(request, desk, "webhooks.html", webhooks=sorted(desk.webhooks.items()), deliveries=deliveries)
