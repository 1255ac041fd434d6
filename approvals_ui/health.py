"""For whoever watches the process: is it alive, and can it serve?"""

from litestar import Response, get
from litestar.di import NamedDependency

from approvals_ui.access import OPEN, needs
from approvals_ui.desk import Desk


async def _alive() -> dict[str, str]:
    """The process answers. Nothing else is looked at, so a slow database does not get it restarted."""
    return {"status": "alive"}


async def _ready(desk: NamedDependency[Desk]) -> Response[dict[str, str]]:
    """The database answers, and nothing keeps this program from serving; else a 503 that says what does."""
    if desk.trouble is not None and (said := await desk.trouble()):
        return Response({"status": "not ready", "why": said}, status_code=503, headers={"retry-after": "1"})
    await desk.client.head()
    return Response({"status": "ready"})


health = get("/health", tags=["health"], operation_id="health", opt=needs(OPEN))(_alive)
ready = get("/ready", tags=["health"], operation_id="ready", opt=needs(OPEN))(_ready)
health_live = get("/health/live", tags=["health"], operation_id="health_live", opt=needs(OPEN))(_alive)
health_ready = get("/health/ready", tags=["health"], operation_id="health_ready", opt=needs(OPEN))(_ready)
