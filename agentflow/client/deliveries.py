"""Deliveries: what webhooks received, what became of it, and doing it again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agentflow.client.bodies import headers_of
from agentflow.client.holder import Holder
from agentflow.errors import BodyNotKept
from agentflow.ids import DELIVERY, new_id
from agentflow.later import later
from agentflow.requests import DeliveryFilter
from agentflow.states import DeliveryOutcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow.records import Delivery, Page, Receipt
    from agentflow.requests import ReceiveDelivery
    from agentflow.tasks import deliveries as judging
else:  # most programs receive nothing
    judging = later("agentflow.tasks.deliveries")

LATEST = 100


class Deliveries(Holder):
    """The deliveries of a client: `client.deliveries`."""

    async def all(
        self,
        *,
        webhook: str | None = None,
        outcome: DeliveryOutcome | str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Delivery]:
        """Deliveries, newest first, `limit` at a time and without their bodies: of one webhook or outcome, or all."""
        found = None if outcome is None else DeliveryOutcome(outcome)
        return await self._store.deliveries(DeliveryFilter(webhook=webhook, outcome=found, cursor=cursor, limit=limit))

    async def one(self, id: str) -> Delivery:
        """The delivery with this id of ours, body and all. Raises `DeliveryNotFound`."""
        return await self._store.delivery(id)

    async def of_id(self, delivery_id: str, *, webhook: str | None = None) -> Sequence[Delivery]:
        """Every delivery with this id of the sender's, newest first, without their bodies.

        That is the one that counts, of each webhook or of one, and up to a hundred conflicts and redeliveries.
        """
        return await self._store.deliveries_of(delivery_id, webhook=webhook)

    async def first(self, webhook: str, delivery_id: str) -> Delivery | None:
        """The delivery of this id that counts, None if there has been none. Ask before you judge."""
        return await self._store.first_delivery(webhook, delivery_id)

    async def latest_outcomes(self, webhook: str, *, limit: int = LATEST) -> Mapping[DeliveryOutcome, int]:
        """How many of the webhook's latest deliveries had each outcome."""
        return await self._store.latest_outcomes(webhook, limit=limit)

    async def receive(self, request: ReceiveDelivery) -> Receipt:
        """The delivery, with the one run its id ever starts; committed when this returns. The caller has verified it.

        The same id and body again give the delivery of before, `repeated`, unless that was refused: then this one's
        judgement counts. Raises `DeliveryMismatch` for the same id with another body, which is kept as a conflict, and
        `QueueFull`, of which nothing is kept; no run was made then.
        """
        return await self._store.receive_delivery(request)

    def new_id(self) -> str:
        """A fresh id for a redelivery, to be given to `redeliver` as often as it is tried."""
        return new_id(DELIVERY, self.now())

    async def redeliver(self, id: str, *, by: str, as_id: str | None = None) -> Delivery:
        """A new delivery of what this one brought, judged by the webhook as it is declared now, with a run of its own.

        With `as_id`, its id, it is made once, however often it is asked for. It may be ignored or refused, as its
        outcome says. Raises `DeliveryNotFound`, `WebhookNotFound` where the catalog has no such webhook, and
        `BodyNotKept`; nothing was stored then.
        """
        kept = await self._store.delivery(id)
        webhook = self.catalog.webhook(kept.webhook)
        if kept.body is None:
            raise BodyNotKept(delivery_id=id)
        delivered = judging.Delivered(
            id=kept.delivery_id,
            headers=headers_of(kept),
            body=judging.body_of(kept.body, kept.encoding),
            received_at=kept.received_at,
        )
        judged = await judging.judge(webhook, self.catalog.task(webhook.task), delivered)
        return await self._store.redeliver(replace(judged, redelivery_of=kept.id, requested_by=by, id=as_id))
