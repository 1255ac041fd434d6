"""Subscriptions: URLs that are told what happens to runs and approvals, and what is on its way to them."""

from __future__ import annotations

import base64
import json
import logging
import re
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from agentflow.client.holder import Holder
from agentflow.durations import duration
from agentflow.egress import Egress
from agentflow.errors import EgressRefused, InvalidSetting
from agentflow.ids import DISPATCH, SUBSCRIPTION, new_id
from agentflow.requests import (
    ChangeSubscription,
    DispatchFilter,
    EventType,
    NewSubscription,
    Ping,
    RotateSecret,
    event_body,
    is_among,
)
from agentflow.requests.patterns import event_pattern
from agentflow.states import DispatchStatus
from agentflow.verifiers.signing import SECRET_PREFIX, key_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import Dispatch, Page, Subscription

logger = logging.getLogger(__name__)
SECRET_BYTES: Final = 32
MOST_SECRET_BYTES: Final = 64
LONGEST_URL: Final = 2000
LONGEST_TEXT: Final = 500
MOST_PATTERNS: Final = 50
MOST_SUBSCRIPTIONS: Final = 1000
LONGEST_OVERLAP: Final = timedelta(days=7)
AT_ONCE: Final = 1000
ENVIRONMENT: Final = "env:"
_VARIABLE: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")
_FORM: Final = Egress()
_OF_FORM: Final = {"spelling", "scheme", "userinfo"}


class Subscriptions(Holder):
    """The subscriptions of a client: `client.subscriptions`.

    Only what `add` and `rotate_secret` return is meant to have its secret shown, once; a secret that is held by an
    environment variable ("env:NAME") of the programs that send is never seen here.
    """

    async def add(
        self,
        url: str,
        *,
        events: Sequence[str],
        tasks: Sequence[str] = (),
        description: str = "",
        secret: str | None = None,
        by: str,
    ) -> Subscription:
        """A new subscription, told of what happens from now on; without a `secret` one is made.

        `events` are types or patterns of them such as "run.*"; without `tasks` those of every task. Raises
        `InvalidSetting` or `InvalidName`; nothing was stored then.
        """
        if len(await self.all()) >= MOST_SUBSCRIPTIONS:
            raise InvalidSetting(f"there are {MOST_SUBSCRIPTIONS} subscriptions, which is the most; remove one first")
        new = NewSubscription(
            id=new_id(SUBSCRIPTION, self.now()),
            url=_url(url),
            events=_events(events),
            tasks=_patterns("tasks", tasks),
            description=_text(description),
            secret=_secret(secret),
            by=by,
        )
        return await self._store.add_subscription(new)

    async def all(self) -> Sequence[Subscription]:
        """Every subscription, the oldest first."""
        return await self._store.subscriptions()

    async def one(self, id: str) -> Subscription:
        """The subscription. Raises `SubscriptionNotFound`."""
        return await self._store.subscription(id)

    async def change(
        self,
        id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        tasks: Sequence[str] | None = None,
        description: str | None = None,
        by: str,
    ) -> Subscription:
        """The subscription, changed; what is on its way already goes to the new URL, too.

        Raises `SubscriptionNotFound`, `InvalidSetting` or `InvalidName`; nothing was changed then.
        """
        change = ChangeSubscription(
            id=id,
            url=None if url is None else _url(url),
            events=None if events is None else _events(events),
            tasks=None if tasks is None else _patterns("tasks", tasks),
            description=None if description is None else _text(description),
        )
        changed = await self._store.change_subscription(change)
        logger.info("subscription %s was changed by %s", id, by)
        return changed

    async def disable(self, id: str, *, by: str, reason: str = "") -> Subscription:
        """The subscription, told nothing more; what waits to be sent is discarded. Raises `SubscriptionNotFound`."""
        return await self._store.disable_subscription(id, by=by, reason=_text(reason))

    async def enable(self, id: str, *, by: str) -> Subscription:
        """The subscription, told of what happens from now on. Raises `SubscriptionNotFound`."""
        enabled = await self._store.enable_subscription(id)
        logger.info("subscription %s was enabled by %s", id, by)
        return enabled

    async def rotate_secret(
        self,
        id: str,
        *,
        by: str,
        secret: str | None = None,
        keep_for: str | float | timedelta = "24h",
    ) -> Subscription:
        """The subscription with a new secret; for `keep_for` events are signed with the one before, too.

        Raises `SubscriptionNotFound`, `InvalidDuration` or `InvalidSetting`; nothing was changed then.
        """
        span = duration(keep_for)
        if span > LONGEST_OVERLAP:
            raise InvalidSetting(f"keep_for is {keep_for}: wanted {LONGEST_OVERLAP.days} days at most")
        rotated = await self._store.rotate_secret(RotateSecret(id=id, secret=_secret(secret), keep_for=span))
        logger.info("the secret of subscription %s was replaced by %s", id, by)
        return rotated

    async def remove(self, id: str, *, by: str) -> None:
        """Remove the subscription and all that was sent to it. Raises `SubscriptionNotFound`."""
        while not await self._store.remove_subscription(id, limit=AT_ONCE):
            pass
        logger.info("subscription %s was removed by %s", id, by)

    async def ping(self, id: str, *, by: str) -> Dispatch:
        """An event that says nothing, on its way. Raises `SubscriptionNotFound` or `SubscriptionDisabled`."""
        now = self.now()
        body = event_body(EventType.PING, now, 0, {"subscription": id, "requested_by": by})
        return await self._store.ping(Ping(id=new_id(DISPATCH, now), subscription_id=id, payload=body, by=by))

    # -- what is on its way

    async def dispatches(
        self,
        *,
        subscription_id: str | None = None,
        status: DispatchStatus | str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Dispatch]:
        """Dispatches, newest first, `limit` at a time and without large bodies. Raises `InvalidSetting`."""
        try:
            found = None if status is None else DispatchStatus(status)
        except ValueError:
            raise InvalidSetting(f"status {status!r}: wanted one of {', '.join(DispatchStatus)}") from None
        which = DispatchFilter(subscription_id=subscription_id, status=found, cursor=cursor, limit=limit)
        return await self._store.dispatches(which)

    async def dispatch(self, id: str) -> Dispatch:
        """The dispatch, body and all. Raises `DispatchNotFound`."""
        return await self._store.dispatch(id)

    async def resend(self, id: str, *, by: str) -> Dispatch:
        """The dispatch, sent again as soon as may be, with the same id and body, whatever became of it.

        Raises `DispatchNotFound` or `SubscriptionDisabled`; nothing was changed then.
        """
        return await self._store.resend(id, by=by)


def _url(url: str) -> str:
    """The URL, if it can be called at all. Whether its host may be, who sends says: networks differ."""
    if len(url) > LONGEST_URL:
        raise InvalidSetting(f"the URL has {len(url)} characters; wanted {LONGEST_URL} at most")
    try:
        _FORM.check(url)
    except EgressRefused as error:
        if error.rule in _OF_FORM:
            raise InvalidSetting(f"the URL cannot be called: {str(error).partition(': ')[2]}") from None
    return url


def _events(patterns: Sequence[str]) -> str:
    if not patterns:
        raise InvalidSetting('events: found none; wanted types such as "run.failed", or patterns such as "run.*"')
    made = _patterns("events", patterns)
    for one in patterns:
        if not any(is_among([one], known) for known in EventType):
            raise InvalidSetting(f"events: {one!r} is no type of event; there are {', '.join(EventType)}")
    return made


def _patterns(what: str, patterns: Sequence[str]) -> str:
    if isinstance(patterns, str) or len(patterns) > MOST_PATTERNS:
        raise InvalidSetting(f"{what}: wanted a list of {MOST_PATTERNS} patterns at most")
    return json.dumps([event_pattern(one, of=what) for one in dict.fromkeys(patterns)], ensure_ascii=False)


def _text(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise InvalidSetting(f"the text has {len(text)} characters; wanted {LONGEST_TEXT} at most")
    return text.strip()


def _secret(given: str | None) -> str:
    """The secret to keep. Raises `InvalidSetting`, without showing it."""
    if given is None or not given.strip():
        return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    text = given.strip()
    if text.startswith(ENVIRONMENT):
        if not _VARIABLE.fullmatch(text):
            raise InvalidSetting('secret: after "env:" wanted the name of an environment variable')
        return text
    if len(key_of(text)) > MOST_SECRET_BYTES:
        raise InvalidSetting(f"a Standard Webhooks secret has at most {MOST_SECRET_BYTES} bytes; this one has more")
    return text
