"""The pages of webhooks: what listens, and who may send; what was received, what became of it, and doing it again."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from agentflow.client.bodies import Body, headers_of, read_body
from agentflow.errors import DeliveryNotFound, RunNotFound
from agentflow.records import Delivery, Page, Run
from agentflow.states import DeliveryOutcome
from agentflow.tasks.webhook import Webhook
from approvals_ui.access import needs
from approvals_ui.caller import Caller
from approvals_ui.desk import Desk
from approvals_ui.forms import first, submission_of
from approvals_ui.problems import Refused
from approvals_ui.text import plain, pretty_json
from approvals_ui.views import Asked, fragment, page

PAGE_SIZE: Final = 50
LATEST: Final = 100
LONGEST_BODY: Final = 60_000
LONGEST_RAW: Final = 20_000
OUR_IDS: Final = "dlv_"
OUR_ID: Final = re.compile(rf"{OUR_IDS}[0-9a-z]{{18}}")
MIB: Final = 1024 * 1024
KIB: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A webhook of this program, and what its latest requests became."""

    webhook: Webhook
    outcomes: Mapping[DeliveryOutcome, int]
    latest: Delivery | None

    @property
    def limits(self) -> list[str]:
        """What its requests have to keep within."""
        rate = [] if self.webhook.rate is None else [f"{self.webhook.rate} requests"]
        return [*rate, f"{bytes_in_words(self.webhook.max_body)} a body", f"{self.webhook.max_depth} levels deep"]

    @property
    def keys(self) -> str:
        """Which secrets its requests are verified with, by name or as a mark, never by what they are."""
        return ", ".join(map(repr, self.webhook.verifier.secrets))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownBody:
    """A body as the page lays it out; `raw` is how it came, where that looks different."""

    body: Body
    text: str
    is_cut: bool
    raw: str
    size: str


class DeliveryPages(Controller):
    """`/webhooks` and `/deliveries`."""

    include_in_schema = False
    opt = needs("webhooks:read")

    @get("/webhooks")
    async def webhooks(self, request: Asked, desk: NamedDependency[Desk]) -> Response[str]:
        """Every endpoint: its address, the task, how requests are verified, and what the latest became."""
        endpoints = [await _endpoint(desk, webhook) for _, webhook in sorted(desk.webhooks.items())]
        cautions = [one.webhook.caution for one in endpoints if one.webhook.caution]
        return await page(request, desk, "webhooks.html", endpoints=endpoints, cautions=cautions, most=LATEST)

    @get("/deliveries")
    async def deliveries(
        self,
        request: Asked,
        desk: NamedDependency[Desk],
        *,
        webhook: FromQuery[str] = "",
        outcome: FromQuery[DeliveryOutcome | None] = None,
        q: FromQuery[str] = "",
        cursor: FromQuery[str | None] = None,
    ) -> Response[Any]:
        """What was received, newest first; or all that came under one id."""
        sought = q.strip()
        if sought.startswith(OUR_IDS):
            return Response("", status_code=303, headers={"location": f"/deliveries/{(await _known(desk, sought)).id}"})
        if sought:
            found = Page(await desk.client.deliveries.of_id(sought, webhook=webhook or None))
        else:
            found = await desk.client.deliveries.all(
                webhook=webhook or None, outcome=outcome, cursor=cursor, limit=PAGE_SIZE
            )
        paths = sorted({*desk.webhooks, *([webhook] if webhook else [])})
        shown: dict[str, Any] = {"found": found, "webhook": webhook, "outcome": outcome, "q": sought, "paths": paths}
        shown |= {"cursor": cursor, "outcomes": list(DeliveryOutcome)}
        if request.query_params.get("fragment"):
            return fragment(request, desk, "delivery_rows.html", counts=await desk.client.counts(), **shown)
        return await page(request, desk, "deliveries.html", **shown)

    @get("/deliveries/{delivery_id:str}")
    async def one(self, request: Asked, desk: NamedDependency[Desk], delivery_id: FromPath[str]) -> Response[str]:
        """One delivery: what came, what became of it and why, and what else came under its id."""
        delivery = await desk.client.deliveries.one(delivery_id)
        same = await desk.client.deliveries.of_id(delivery.delivery_id, webhook=delivery.webhook)
        shown: dict[str, Any] = {
            "delivery": delivery,
            "run": await _run(desk, delivery),
            "headers": headers_of(delivery),
            "body": shown_body(delivery),
            "others": [one for one in same if one.id != delivery.id],
            "is_served": delivery.webhook in desk.webhooks,
        }
        return await page(request, desk, "delivery.html", **shown)

    @get("/deliveries/{delivery_id:str}/redeliver", opt=needs("webhooks:write"))
    async def confirm(self, request: Asked, desk: NamedDependency[Desk], delivery_id: FromPath[str]) -> Response[str]:
        """What delivering it again would do, with the button that does it."""
        delivery = await desk.client.deliveries.one(delivery_id)
        _require_served(desk, delivery)
        same = await desk.client.deliveries.of_id(delivery.delivery_id, webhook=delivery.webhook)
        shown: dict[str, Any] = {"delivery": delivery, "task": desk.webhooks[delivery.webhook].task}
        shown |= {"started": _started(same), "as_id": desk.client.deliveries.new_id()}
        return await page(request, desk, "delivery_confirm.html", **shown)

    @post("/deliveries/{delivery_id:str}/redeliver", opt=needs("webhooks:write"))
    async def redeliver(
        self,
        request: Asked,
        desk: NamedDependency[Desk],
        caller: NamedDependency[Caller],
        delivery_id: FromPath[str],
    ) -> Redirect:
        """Have it judged by the webhook as it is now, as a new delivery with a run of its own: one, however clicked."""
        as_id = first(await submission_of(request), "as_id")
        if not OUR_ID.fullmatch(as_id):
            raise Refused(400, "The form is not as it was rendered. Nothing was changed. Go back and send it again.")
        made = await desk.client.deliveries.redeliver(delivery_id, by=caller.name, as_id=as_id)
        return Redirect(f"/deliveries/{made.id}", status_code=303)


async def _endpoint(desk: Desk, webhook: Webhook) -> Endpoint:
    deliveries = desk.client.deliveries
    latest = await deliveries.all(webhook=webhook.path, limit=1)
    outcomes = await deliveries.latest_outcomes(webhook.path, limit=LATEST)
    return Endpoint(webhook=webhook, outcomes=outcomes, latest=next(iter(latest.items), None))


async def _known(desk: Desk, delivery_id: str) -> Delivery:
    """The delivery, which was looked for by our id. Raises `DeliveryNotFound`, with what else may be looked for."""
    try:
        return await desk.client.deliveries.one(delivery_id)
    except DeliveryNotFound as error:
        raise DeliveryNotFound(f"{error}; the id that its sender gave it finds it, too") from error


async def _run(desk: Desk, delivery: Delivery) -> Run | None:
    """The run it started, None if there is none, or none any more."""
    if delivery.run_id is None:
        return None
    try:
        return await desk.client.run(delivery.run_id)
    except RunNotFound:
        return None


def _require_served(desk: Desk, delivery: Delivery) -> None:
    if delivery.webhook not in desk.webhooks:
        raise Refused(
            409,
            f"This program has no webhook on {delivery.webhook} (any more), so nothing says what the delivery would "
            "start. Nothing was changed. Serve the code that has it, or use `agentflow deliveries redeliver`.",
        )


def _started(same: Sequence[Delivery]) -> list[Delivery]:
    """Those that have started a run: somebody who delivers it again should know that it was done before."""
    return [one for one in same if one.run_id is not None]


def shown_body(delivery: Delivery) -> ShownBody | None:
    """The body laid out and cut to what a person reads; None if none is kept."""
    body = read_body(delivery)
    if body is None:
        return None
    is_laid_out = body.kind in ("JSON", "form")
    text = pretty_json(body.value) if is_laid_out else body.text
    cut = text[:LONGEST_BODY]
    return ShownBody(
        body=body,
        text=cut if is_laid_out else plain(cut),
        is_cut=len(text) > LONGEST_BODY,
        raw=plain(body.text[:LONGEST_RAW]) if is_laid_out else "",
        size=bytes_in_words(body.size),
    )


def bytes_in_words(size: int) -> str:
    """A size as people say it: "512 bytes", "14 KiB", "1.5 MiB"."""
    if size < KIB:
        return f"{size} byte{'' if size == 1 else 's'}"
    number, unit = (size / MIB, "MiB") if size >= MIB else (size / KIB, "KiB")
    return f"{number:.1f}".removesuffix(".0") + f" {unit}"
