"""The verbs about deliveries, each as one call of `write`, `read` or `glance`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.store.receiving import deliveries, listing
from agentflow.store.ways import Ways

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow import records as r
    from agentflow import requests as q
    from agentflow.states import DeliveryOutcome


class DeliveryVerbs(Ways):
    """What `Deliveries` promises."""

    async def receive_delivery(self, request: q.ReceiveDelivery) -> r.Receipt:
        return await self.write(deliveries.receive_delivery, request)

    async def redeliver(self, request: q.ReceiveDelivery) -> r.Delivery:
        return await self.write(deliveries.redeliver, request)

    async def first_delivery(self, webhook: str, delivery_id: str) -> r.Delivery | None:
        return await self.glance(deliveries.first, webhook, delivery_id)

    async def delivery(self, id: str) -> r.Delivery:
        return await self.read(deliveries.get, id)

    async def deliveries(self, which: q.DeliveryFilter) -> r.Page[r.Delivery]:
        return await self.read(listing.listed, which)

    async def deliveries_of(self, delivery_id: str, *, webhook: str | None = None) -> Sequence[r.Delivery]:
        return await self.read(listing.same_id, delivery_id, webhook)

    async def latest_outcomes(self, webhook: str, *, limit: int = 100) -> Mapping[DeliveryOutcome, int]:
        return await self.read(listing.latest_outcomes, webhook, limit)
