"""Promises about telling subscribers what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agentflow.records import Approval, Dispatch, Page, Subscriber, Subscription, Unread
    from agentflow.requests import (
        ChangeSubscription,
        ClaimDispatches,
        DispatchFilter,
        NewSubscription,
        Ping,
        RotateSecret,
        SettleDispatch,
        Tell,
    )


class Telling(Protocol):
    """Subscriptions and what is sent to them. The journal is the outbox: each subscription has its place in it."""

    async def add_subscription(self, request: NewSubscription) -> Subscription:
        """The subscription, told of what happens from now on; the one of this id if it was made before."""
        ...

    async def change_subscription(self, request: ChangeSubscription) -> Subscription:
        """The subscription, changed for what happens from now on. Raises `SubscriptionNotFound`."""
        ...

    async def rotate_secret(self, request: RotateSecret) -> Subscription:
        """The subscription with a new secret, the one before kept for a while. Raises `SubscriptionNotFound`."""
        ...

    async def disable_subscription(self, subscription_id: str, *, by: str, reason: str) -> Subscription:
        """The subscription, told nothing more; what waited to be sent is discarded.

        Disabled already it stays as it is. Raises `SubscriptionNotFound`.
        """
        ...

    async def enable_subscription(self, subscription_id: str) -> Subscription:
        """The subscription, told of what happens from now on. Raises `SubscriptionNotFound`."""
        ...

    async def remove_subscription(self, subscription_id: str, *, limit: int = 1000) -> bool:
        """Remove up to so many of its dispatches and, with the last, the subscription: whether all is gone.

        From the first call on nothing more is sent. Raises `SubscriptionNotFound`.
        """
        ...

    async def subscription(self, subscription_id: str) -> Subscription:
        """The subscription. Raises `SubscriptionNotFound`."""
        ...

    async def subscriptions(self) -> Sequence[Subscription]:
        """Every subscription, the oldest first."""
        ...

    async def subscribers(self) -> Sequence[Subscriber]:
        """Every subscription that is enabled, each with when the next of its dispatches is due."""
        ...

    async def unread(self, *, after: int, limit: int) -> Unread:
        """What happened after this place in the journal of all runs that subscribers may be told of, in order.

        An entry that a transaction still under way will put in between is waited for.
        """
        ...

    async def approvals_at(self, run_id: str, at: datetime) -> Sequence[Approval]:
        """The run's approvals that were opened or resolved at this very moment."""
        ...

    async def tell(self, request: Tell) -> bool:
        """Move a subscription's cursor and store what is to be sent, in one transaction.

        False, and nothing is stored, if the cursor was elsewhere (somebody else told it) or it is disabled.
        """
        ...

    async def claim_dispatches(self, request: ClaimDispatches) -> Sequence[Dispatch]:
        """Due dispatches in the order of what happened. Nobody else gets them before `next_at`, which ends the hold."""
        ...

    async def settle_dispatch(self, request: SettleDispatch) -> bool:
        """Keep how an attempt went; False, and nothing is kept, if the hold is no longer this attempt's."""
        ...

    async def resend(self, dispatch_id: str, *, by: str) -> Dispatch:
        """The dispatch, due now, with all its attempts before it, whatever became of it.

        Raises `DispatchNotFound`, or `SubscriptionDisabled`; nothing was changed then.
        """
        ...

    async def ping(self, request: Ping) -> Dispatch:
        """A dispatch of an event that says nothing, due now.

        Raises `SubscriptionNotFound`, or `SubscriptionDisabled`; nothing was stored then.
        """
        ...

    async def dispatch(self, dispatch_id: str) -> Dispatch:
        """The dispatch. Raises `DispatchNotFound`."""
        ...

    async def dispatches(self, which: DispatchFilter) -> Page[Dispatch]:
        """Dispatches, newest first, without bodies that are large."""
        ...
