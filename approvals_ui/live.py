"""The route of the live stream."""

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Stream

from approvals_ui.access import needs, streamed
from approvals_ui.desk import Desk
from approvals_ui.resuming import last_read
from approvals_ui.streams import follow
from approvals_ui.views import Asked


@get("/live", include_in_schema=False, opt=needs("approvals:read", "runs:read"))
async def events(request: Asked, desk: NamedDependency[Desk], after: FromQuery[int | None] = None) -> Stream:
    """The stream of changes, from `after`, from the browser's Last-Event-ID, or from now on."""
    start = last_read(request, after=after, otherwise="follow from now on")
    if start is None:
        start = await desk.client.head()
    headers = {"x-accel-buffering": "no"}
    events_from = follow(desk.client, desk.streams, after=start)
    return Stream(streamed(request, desk, events_from), media_type="text/event-stream", headers=headers)
