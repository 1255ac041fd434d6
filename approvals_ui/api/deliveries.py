"""/api/v1/webhooks and /deliveries: where other systems deliver, and what became of it."""

from functools import partial

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from agentflow.errors import BodyNotKept, DeliveryNotFound, InvalidSetting, QueueFull, WebhookNotFound
from approvals_ui.api.endpoint import endpoint, reply
from approvals_ui.api.reading import query_of
from approvals_ui.api.shapes.deliveries import (
    DeliveriesQuery,
    DeliveryPage,
    DeliveryView,
    WebhookList,
    delivery_view,
    summary_of,
    webhook_view,
)
from approvals_ui.caller import Caller
from approvals_ui.desk import Desk
from approvals_ui.views import Asked

about = partial(endpoint, tag="webhooks")


class DeliveryEndpoints(Controller):
    """Webhooks and deliveries."""

    @get("/webhooks", opt=about("listWebhooks", "List webhooks", scope="webhooks:read", gives=WebhookList))
    async def webhooks(self, desk: NamedDependency[Desk]) -> Response[bytes]:
        """Every webhook that this server serves, by path. How it verifies is not shown."""
        return reply(WebhookList(items=[webhook_view(desk.webhooks[path]) for path in sorted(desk.webhooks)]))

    @get(
        "/deliveries",
        opt=about(
            "listDeliveries",
            "List deliveries",
            scope="webhooks:read",
            query=DeliveriesQuery,
            gives=DeliveryPage,
            raises=(InvalidSetting,),
        ),
    )
    async def listing(self, request: Asked, desk: NamedDependency[Desk]) -> Response[bytes]:
        """Authentic requests and what became of them, newest first."""
        asked = query_of(request, DeliveriesQuery)
        found = await desk.client.deliveries.all(
            webhook=asked.webhook, outcome=asked.outcome, cursor=asked.cursor, limit=asked.limit
        )
        return reply(DeliveryPage(items=[summary_of(one) for one in found.items], next_cursor=found.next_cursor))

    @get(
        "/deliveries/{delivery_id:str}",
        opt=about(
            "getDelivery", "Get a delivery", scope="webhooks:read", gives=DeliveryView, raises=(DeliveryNotFound,)
        ),
    )
    async def one(self, desk: NamedDependency[Desk], delivery_id: FromPath[str]) -> Response[bytes]:
        """One delivery with its headers and body; secrets are left out."""
        return reply(delivery_view(await desk.client.deliveries.one(delivery_id)))

    @post(
        "/deliveries/{delivery_id:str}/redeliver",
        opt=about(
            "redeliver",
            "Deliver again",
            scope="webhooks:write",
            gives={201: DeliveryView},
            said={201: "The new delivery; `outcome` says what became of it."},
            raises=(DeliveryNotFound, WebhookNotFound, BodyNotKept, QueueFull),
        ),
    )
    async def redeliver(
        self, desk: NamedDependency[Desk], caller: NamedDependency[Caller], delivery_id: FromPath[str]
    ) -> Response[bytes]:
        """Judge what this one brought anew, by the webhook as it is declared now; it may start a run of its own."""
        made = await desk.client.deliveries.redeliver(delivery_id, by=caller.name)
        return reply(delivery_view(made), status=201, location=f"/deliveries/{made.id}")
