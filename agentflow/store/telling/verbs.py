"""The verbs about telling subscribers, each as one call of `write`, `read` or `glance`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.store.telling import dispatches, reading, subscriptions
from agentflow.store.ways import Ways

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agentflow import records as r
    from agentflow import requests as q


class TellingVerbs(Ways):
    """What `Telling` promises."""

    async def add_subscription(self, request: q.NewSubscription) -> r.Subscription:
        return await self.write(subscriptions.add, request)

    async def change_subscription(self, request: q.ChangeSubscription) -> r.Subscription:
        return await self.write(subscriptions.change, request)

    async def rotate_secret(self, request: q.RotateSecret) -> r.Subscription:
        return await self.write(subscriptions.rotate_secret, request)

    async def disable_subscription(self, subscription_id: str, *, by: str, reason: str) -> r.Subscription:
        return await self.write(subscriptions.disable, subscription_id, by, reason)

    async def enable_subscription(self, subscription_id: str) -> r.Subscription:
        return await self.write(subscriptions.enable, subscription_id)

    async def remove_subscription(self, subscription_id: str, *, limit: int = 1000) -> bool:
        return await self.write(subscriptions.remove, subscription_id, limit)

    async def subscription(self, subscription_id: str) -> r.Subscription:
        return await self.read(subscriptions.get, subscription_id)

    async def subscriptions(self) -> Sequence[r.Subscription]:
        return await self.read(subscriptions.listed)

    async def subscribers(self) -> Sequence[r.Subscriber]:
        return await self.glance(subscriptions.enabled)

    async def unread(self, *, after: int, limit: int) -> r.Unread:
        return await self.read(reading.unread, after, limit)

    async def approvals_at(self, run_id: str, at: datetime) -> Sequence[r.Approval]:
        return await self.read(reading.approvals_at, run_id, at)

    async def tell(self, request: q.Tell) -> bool:
        return await self.write(dispatches.tell, request)

    async def claim_dispatches(self, request: q.ClaimDispatches) -> Sequence[r.Dispatch]:
        return await self.write(dispatches.claim_dispatches, request)

    async def settle_dispatch(self, request: q.SettleDispatch) -> bool:
        return await self.write(dispatches.settle_dispatch, request)

    async def resend(self, dispatch_id: str, *, by: str) -> r.Dispatch:
        return await self.write(dispatches.resend, dispatch_id, by)

    async def ping(self, request: q.Ping) -> r.Dispatch:
        return await self.write(dispatches.ping, request)

    async def dispatch(self, dispatch_id: str) -> r.Dispatch:
        return await self.read(dispatches.get, dispatch_id)

    async def dispatches(self, which: q.DispatchFilter) -> r.Page[r.Dispatch]:
        return await self.read(dispatches.listed, which)
