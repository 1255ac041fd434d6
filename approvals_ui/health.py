"""For whoever watches the process: is it alive, and can it serve?"""

from litestar import get
from litestar.di import NamedDependency

from approvals_ui.desk import Desk


@get("/health", tags=["health"], operation_id="health")
async def health() -> dict[str, str]:
    """The process answers. Nothing else is looked at, so a slow database does not get it restarted."""
    return {"status": "alive"}


@get("/ready", tags=["health"], operation_id="ready")
async def ready(desk: NamedDependency[Desk]) -> dict[str, str]:
    """The database answers. Raises `StoreUnavailable`, a 503, when it does not."""
    await desk.client.head()
    return {"status": "ready"}
