"""Where other systems deliver: size, signature and rate first, and answered only when what became of it is stored.

What is not authentic is answered 401, with a reason, and counted; nothing of it is stored. What is authentic is kept,
whatever becomes of it: its sender is told a reason, and the delivery's page tells people the details.
"""

import asyncio
import logging
import math
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from litestar import HttpMethod, MediaType, Response, post, route
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.params import FromPath

from agentflow.durations import describe
from agentflow.errors import DeliveryMismatch, InvalidSetting, NotAuthentic, WebhookNotFound
from agentflow.records import Delivery
from agentflow.states import DeliveryOutcome
from agentflow.tasks.deliveries import Delivered, judge
from agentflow.tasks.webhook import Webhook
from agentflow.verifiers import Sent
from approvals_ui.access import OPEN, needs
from approvals_ui.desk import Desk
from approvals_ui.problems import ProblemDocument, Refused, as_json, kind_of
from approvals_ui.views import Asked

log = logging.getLogger("approvals_ui.hooks")
LONGEST_READING: Final = timedelta(seconds=30)
MOST_HEADERS: Final = 100
ONCE: Final = ("host", "content-type", "content-length", "content-encoding", "transfer-encoding", "authorization")
OF_A_PAGE: Final = ("origin", "sec-fetch-site")
PATH: Final = "/hooks/{path:path}"
STATUS: Final = {DeliveryOutcome.STARTED: 202, DeliveryOutcome.IGNORED: 200}


@post(PATH, status_code=202, request_max_body_size=None, tags=["webhooks"], opt=needs(OPEN))
async def deliver(request: Asked, desk: NamedDependency[Desk], path: FromPath[str]) -> Response[Any]:
    """Start the run of this delivery. The same delivery again names the run it started the first time.

    It answers 202 with the run when both are stored, and 200 if the webhook ignores such a delivery. No run was made
    if it is not authentic (401), if its id came before with another body (409), or if it is authentic and unfit (422).
    """
    webhook = _webhook(desk, path)
    body = await _body(request, webhook.max_body)
    sent = Sent(_headers(request, webhook), body, desk.client.now())
    delivery_id = _verified(desk, webhook, sent)
    _require_room(desk, webhook)  # only now: whoever proves nothing must not use up what others may send
    if (challenge := webhook.verifier.challenge(sent)) is not None:
        return Response(challenge, status_code=200, media_type=MediaType.TEXT)
    return await _receive(desk, webhook, sent, delivery_id)


@route(PATH, http_method=[HttpMethod.GET, HttpMethod.HEAD], include_in_schema=False, opt=needs(OPEN))
async def shake_hands(request: Asked, desk: NamedDependency[Desk], path: FromPath[str]) -> Response[str]:
    """Answer a sender that asks, before its first delivery, whether this address is ours."""
    webhook = _webhook(desk, path)
    query = {name: request.query_params.getall(name) for name in request.query_params}
    try:
        challenge = webhook.verifier.handshake(query) if request.method == HttpMethod.GET else None
    except NotAuthentic as error:
        desk.arrivals.proved_nothing(webhook.path, str(error))
        raise
    if challenge is None:
        raise Refused(405, "Deliveries are sent by POST. Nothing was stored.", headers={"allow": "POST"})
    return Response(challenge, status_code=200, media_type=MediaType.TEXT)


def require_ready(webhooks: Iterable[Webhook], *, dev: bool) -> None:
    """Say loudly which of them verify nothing. Raises `InvalidSetting` for one that cannot be served."""
    for webhook in webhooks:
        webhook.require_ready(dev=dev)
        if webhook.caution:
            log.warning("%s", webhook.caution)


def _webhook(desk: Desk, path: str) -> Webhook:
    found = desk.webhooks.get(path)
    if found is None:
        raise WebhookNotFound(f"no webhook listens on {path[:200]!r}; nothing was stored")
    return found


async def _body(request: Asked, most: int) -> bytes:
    """The body byte for byte. One that is too large is never in memory, whatever length was announced."""
    too_large = Refused(413, f"The body is larger than the {most:,} bytes this address takes. Nothing was stored.")
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or len(announced) > 18 or int(announced) > most:  # noqa: PLR2004  no length has so many
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(LONGEST_READING.total_seconds()):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise too_large
                parts.append(part)
    except TimeoutError:
        span = describe(LONGEST_READING)
        raise Refused(408, f"The body did not come within {span}. Nothing was stored; send it again.") from None
    except HTTPException as error:
        if isinstance(error, Refused):
            raise
        raise Refused(400, "The request ended before its body did. Nothing was stored.") from error
    return b"".join(parts)


def _headers(request: Asked, webhook: Webhook) -> list[tuple[str, str]]:
    """Every header line as sent: a second signature header must not hide behind the first."""
    lines = list(request.scope["headers"])
    if len(lines) > MOST_HEADERS:
        raise Refused(431, f"The request has {len(lines)} headers; wanted {MOST_HEADERS} at most. Nothing was stored.")
    try:
        found = [(name.decode("ascii"), value.decode("latin-1")) for name, value in lines]
    except UnicodeDecodeError as error:
        raise Refused(400, "A header's name is not ASCII; nothing was stored.") from error
    names = [name.lower() for name, _ in found]
    for name in ONCE:
        if names.count(name) > 1:
            raise Refused(400, f"The {name} header occurs {names.count(name)} times; wanted once. Nothing was stored.")
    if {"content-length", "transfer-encoding"} <= set(names):
        raise Refused(400, "The request says its length in two ways that may differ. Nothing was stored.")
    _require_plain(dict(found), webhook)
    return found


def _require_plain(headers: dict[str, str], webhook: Webhook) -> None:
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refused(
            415,
            "The body is compressed; send it as it is. Nothing was stored.",
            kind="content-encoding",
            headers={"accept-encoding": "identity"},
        )
    if webhook.verifier.is_open and any(name in headers for name in OF_A_PAGE):
        # Any page a person looks at could start runs here otherwise, from behind whatever guards the network.
        raise Refused(403, "A page in a browser sent this, and nothing proves who made it. Nothing was stored.")


def _require_room(desk: Desk, webhook: Webhook) -> None:
    if (wait := desk.arrivals.wait(webhook.path, desk.client.now())) is not None:
        raise Refused(
            429,
            f"This address takes {webhook.rate} and no more. Nothing was stored; send it again.",
            headers={"retry-after": str(max(1, math.ceil(wait.total_seconds())))},
        )


def _verified(desk: Desk, webhook: Webhook, sent: Sent) -> str:
    try:
        return webhook.verifier.verify(sent)
    except NotAuthentic as error:
        desk.arrivals.proved_nothing(webhook.path, str(error))
        raise
    except InvalidSetting as error:  # ours, not the sender's: the log says which secret, the answer does not
        raise RuntimeError(f"webhook {webhook.path} cannot verify what it gets") from error


async def _receive(desk: Desk, webhook: Webhook, sent: Sent, delivery_id: str) -> Response[Any]:
    """Answer what is stored of the delivery, which one that was done with before is not judged again."""
    deliveries = desk.client.deliveries
    known = await deliveries.first(webhook.path, delivery_id)
    if known is not None and known.digest == sent.digest and known.outcome in STATUS:
        return _answer(known)
    delivered = Delivered(id=delivery_id, headers=sent.headers, body=sent.body, received_at=sent.at)
    judged = await judge(webhook, desk.client.catalog.task(webhook.task), delivered)
    try:
        receipt = await deliveries.receive(judged)
    except DeliveryMismatch as error:
        return _problem(409, "Delivery mismatch", str(error), error.kept_as)
    return _answer(receipt.delivery)


def _answer(delivery: Delivery) -> Response[Any]:
    if delivery.outcome not in STATUS:
        return _problem(422, "Delivery refused", delivery.reason or "", delivery.id)
    content = {"delivery": delivery.id, "run": delivery.run_id}
    return Response(content, status_code=STATUS[delivery.outcome], media_type=MediaType.JSON)


def _problem(status: int, title: str, text: str, delivery_id: str) -> Response[Any]:
    detail = f"{text[:1].upper()}{text[1:].rstrip('.')}. No run was made."
    facts = {"delivery": delivery_id}
    return as_json(ProblemDocument(type=kind_of(title), title=title, status=status, detail=detail, facts=facts))
