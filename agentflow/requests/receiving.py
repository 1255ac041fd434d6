"""Deliveries of webhooks to be kept, and to be listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentflow.states import DeliveryOutcome

if TYPE_CHECKING:
    from agentflow.requests.runs import TriggerRun


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveDelivery:
    """An authentic webhook request as it was judged; `digest` is of its raw body.

    `headers` is a JSON list of pairs, without those that hold secrets; `body` is base64 where `encoding` is "base64".
    `run` is given with the outcome STARTED, and with no other. `reason` may be told the sender, `detail` may not. One
    with `redelivery_of` is a person's, `requested_by`, of a delivery that is kept; an `id` chosen beforehand makes one
    only, however often it is asked for.
    """

    webhook: str
    delivery_id: str
    digest: str
    headers: str
    body: str
    encoding: str = "utf-8"
    outcome: DeliveryOutcome = DeliveryOutcome.STARTED
    reason: str | None = None
    detail: str | None = None
    run: TriggerRun | None = None
    redelivery_of: str | None = None
    requested_by: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries to list, newest first: those of a webhook, of an outcome, or all."""

    webhook: str | None = None
    outcome: DeliveryOutcome | None = None
    cursor: str | None = None
    limit: int = 50
