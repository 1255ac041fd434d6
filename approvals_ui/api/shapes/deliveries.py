"""Webhooks, and what was delivered to them."""

from typing import Annotated, Any

from msgspec import Meta

from agentflow.records import Delivery
from agentflow.states import DeliveryOutcome
from agentflow.tasks.webhook import Webhook
from approvals_ui.api.fields import Asked, Count, Cursor, DeliveryId, Digest, Instant, Limit, RunId, TaskId, Told, Who
from approvals_ui.api.shapes.reading import parsed, same

WebhookPath = Annotated[str, Meta(min_length=1, max_length=200, examples=["/github"], description="Its path.")]
SendersId = Annotated[str, Meta(max_length=1000, examples=["msg_2b8f"], description="The sender's id of it.")]


class DeliveriesQuery(Asked):
    """Which deliveries: of one webhook, of one outcome, or all."""

    webhook: WebhookPath | None = None
    outcome: DeliveryOutcome | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


class WebhookView(Told):
    """A webhook: where it listens, what it starts, and what is to be said of its safety, "" for nothing."""

    path: WebhookPath
    address: Annotated[str, Meta(examples=["/hooks/github"])]
    task: TaskId
    caution: str
    max_body: Count
    max_depth: Count
    rate: Annotated[str, Meta(examples=["50/s"])] | None


class WebhookList(Told):
    """Every webhook that this server serves, by path."""

    items: list[WebhookView]


class DeliverySummary(Told):
    """One authentic request and what became of it. `reason` was told the sender, `detail` is for operators."""

    id: DeliveryId
    webhook: WebhookPath
    delivery_id: SendersId
    digest: Digest
    run_id: RunId | None
    received_at: Instant
    outcome: DeliveryOutcome
    reason: str | None
    detail: str | None
    redelivery_of: DeliveryId | None
    requested_by: Who | None


class DeliveryView(DeliverySummary):
    """A delivery with its headers, secrets left out, and its body, which is base64 where `encoding` says so."""

    headers: Annotated[list[list[str]], Meta(examples=[[["content-type", "application/json"]]])]
    body: Annotated[str, Meta(examples=['{"number": 4}'])] | None
    encoding: Annotated[str, Meta(examples=["utf-8"])]


class DeliveryPage(Told):
    """Some deliveries, newest first; `next_cursor` fetches what follows."""

    items: list[DeliverySummary]
    next_cursor: Cursor | None


def webhook_view(webhook: Webhook) -> WebhookView:
    """The webhook as the API shows it; its verifier is a secret."""
    rate = None if webhook.rate is None else webhook.rate.text
    shown: dict[str, Any] = {name: getattr(webhook, name) for name in ("path", "task", "max_body", "max_depth")}
    return WebhookView(**shown, address=f"/hooks{webhook.path}", caution=webhook.caution or "", rate=rate)


def summary_of(delivery: Delivery) -> DeliverySummary:
    """The delivery as listings show it."""
    return DeliverySummary(**same(DeliverySummary, delivery))


def delivery_view(delivery: Delivery) -> DeliveryView:
    """The delivery as the API shows it."""
    return DeliveryView(**same(DeliveryView, delivery, "headers"), headers=parsed(delivery.headers))
