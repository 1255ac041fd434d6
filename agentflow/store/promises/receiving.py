"""Promises about what webhooks receive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow.records import Delivery, Page, Receipt
    from agentflow.requests import DeliveryFilter, ReceiveDelivery
    from agentflow.states import DeliveryOutcome


class Deliveries(Protocol):
    """Authentic requests of webhooks, each kept once, with the one run it ever starts by itself."""

    async def receive_delivery(self, request: ReceiveDelivery) -> Receipt:
        """The delivery, kept and its run made, in one transaction; or the one of the same id and body before.

        One that was refused before is judged anew: it becomes what `request` says. A run that the task's singleton key
        met stands for the one to be made. Raises `DeliveryMismatch` where the first delivery of that id had another
        body: no run was made, and this one is kept as a conflict, once for each body. Of what `trigger` raises
        (`QueueFull`, `IdempotencyMismatch`) nothing is kept, so that the sender's next attempt counts.
        """
        ...

    async def redeliver(self, request: ReceiveDelivery) -> Delivery:
        """A new delivery made of a kept one by a person, with a run of its own if `request` has one.

        The same `id` again gives the one it made; `IdempotencyMismatch` if that is of another delivery. Raises
        `DeliveryNotFound` if the one it is of is gone, and what `trigger` raises; nothing was stored then.
        """
        ...

    async def first_delivery(self, webhook: str, delivery_id: str) -> Delivery | None:
        """The delivery of this id that counts, None if there has been none."""
        ...

    async def delivery(self, id: str) -> Delivery:
        """The delivery with this id of ours. Raises `DeliveryNotFound`."""
        ...

    async def deliveries(self, which: DeliveryFilter) -> Page[Delivery]:
        """Deliveries, newest first, without their bodies."""
        ...

    async def deliveries_of(self, delivery_id: str, *, webhook: str | None = None) -> Sequence[Delivery]:
        """The deliveries of a sender's id, newest first: what counts, conflicts, redeliveries; a hundred of each."""
        ...

    async def latest_outcomes(self, webhook: str, *, limit: int = 100) -> Mapping[DeliveryOutcome, int]:
        """How many of the webhook's latest deliveries had each outcome."""
        ...
