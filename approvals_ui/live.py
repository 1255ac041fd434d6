"""The route of the live stream."""

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Stream

from approvals_ui.desk import Desk
from approvals_ui.problems import Refused
from approvals_ui.streams import stream
from approvals_ui.views import Asked


@get("/events", include_in_schema=False)
async def events(request: Asked, desk: NamedDependency[Desk], after: FromQuery[int | None] = None) -> Stream:
    """The stream of changes, from `after`, from the browser's Last-Event-ID, or from now on."""
    resumed = request.headers.get("last-event-id", "")
    if resumed and not (resumed.isascii() and resumed.isdigit()):
        raise Refused(400, "Last-Event-ID is no id of this stream; leave it out to follow from now on")
    start = int(resumed) if resumed else after
    if start is None:
        start = await desk.client.head()
    headers = {"x-accel-buffering": "no"}
    return Stream(stream(desk.client, desk.streams, after=start), media_type="text/event-stream", headers=headers)
