"""One attempt to send an event: signed, under the policy, its answer judged by the status alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Final

from agentflow._version import __version__
from agentflow.egress import fetch
from agentflow.errors import AnswerLost, AnswerTooLarge, EgressRefused, HostUnreachable, InvalidSetting
from agentflow.requests import SettleDispatch
from agentflow.states import DispatchStatus
from agentflow.telling.patience import again_in
from agentflow.verifiers.secret import Secret
from agentflow.verifiers.signing import sign

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agentflow.egress import Egress
    from agentflow.records import Dispatch, Subscription

GONE: Final = 410
LONGEST: Final = 500
"""Characters of an answer, or of an error, that are kept."""
ENVIRONMENT: Final = "env:"


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back: a status, or why there is none."""

    status: int | None
    error: str

    @property
    def is_taken(self) -> bool:
        """Whether the subscriber has the event."""
        return self.status is not None and self.status // 100 == 2  # noqa: PLR2004  every 2xx

    @property
    def is_gone(self) -> bool:
        """Whether the subscriber wants no more, ever."""
        return self.status == GONE


async def attempt(policy: Egress, subscription: Subscription, dispatch: Dispatch, now: datetime) -> SettleDispatch:
    """How sending it went. Never raises for what a subscriber, a network or a setting does."""
    began = perf_counter()
    heard = await _sent(policy, subscription, dispatch, now)
    assert dispatch.next_at is not None
    outcome, again = DispatchStatus.DELIVERED, None
    if heard.is_gone:
        outcome = DispatchStatus.DISCARDED
    elif not heard.is_taken:
        again = again_in(dispatch.id, dispatch.attempts)
        outcome = DispatchStatus.FAILED if again is None else DispatchStatus.PENDING
    return SettleDispatch(
        id=dispatch.id,
        held_until=dispatch.next_at,
        outcome=outcome,
        took=timedelta(seconds=perf_counter() - began),
        status=heard.status,
        error=heard.error[:LONGEST],
        again_in=again,
        is_gone=heard.is_gone,
    )


async def _sent(policy: Egress, subscription: Subscription, dispatch: Dispatch, now: datetime) -> Heard:
    body = dispatch.payload.encode()
    try:
        headers = sign(secrets_of(subscription, now), dispatch.id, now, body)
        fixed = {"content-type": "application/json", "user-agent": f"agentflow/{__version__}"}
        answer = await fetch(policy, "POST", subscription.url, headers={**headers, **fixed}, content=body)
    except AnswerTooLarge as error:
        return Heard(error.status, str(error))
    except (EgressRefused, HostUnreachable, AnswerLost, InvalidSetting) as error:
        return Heard(None, str(error))
    if answer.status // 100 == 2:  # noqa: PLR2004  every 2xx
        return Heard(answer.status, "")
    if answer.status // 100 == 3:  # noqa: PLR2004  every 3xx
        return Heard(answer.status, f"answered {answer.status}, a redirect, which is not followed: give the URL itself")
    said = f": {answer.text[:LONGEST]}" if answer.content else ""
    return Heard(answer.status, f"answered {answer.status}{said}")


def secrets_of(subscription: Subscription, now: datetime) -> Sequence[str]:
    """The secrets to sign with: two while one is being replaced. Raises `InvalidSetting`, naming a variable only."""
    found = [_revealed(subscription.secret)]
    until = subscription.previous_until
    if subscription.previous_secret and until is not None and now < until:
        found.append(_revealed(subscription.previous_secret))
    return found


def _revealed(text: str) -> str:
    if text.startswith(ENVIRONMENT):
        return Secret.env(text.removeprefix(ENVIRONMENT)).reveal()
    return text
