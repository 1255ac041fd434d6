"""Where other systems deliver: verified first, answered only when the run is recorded."""

from collections.abc import Sequence
from typing import Any, Final

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from agentflow.errors import InvalidSetting, WebhookNotFound
from approvals_ui.desk import Desk
from approvals_ui.problems import Refused
from approvals_ui.views import Asked

LARGEST_BODY: Final = 1024 * 1024


@post("/hooks/{path:path}", status_code=202, request_max_body_size=LARGEST_BODY, tags=["webhooks"])
async def deliver(request: Asked, desk: NamedDependency[Desk], path: FromPath[str]) -> Response[dict[str, Any]]:
    """Start the run of this delivery. The same delivery again names the run it started the first time.

    Raises `WebhookNotFound`, `NotAuthentic`, `InvalidInput` or `IdempotencyMismatch`; no run was made then.
    """
    webhook = desk.webhooks.get(path)
    if webhook is None:
        raise WebhookNotFound(f"no webhook listens on {path!r}; nothing was stored")
    headers = _headers(request)
    body = await request.body()
    try:
        verified = webhook.verify(headers, body, desk.client.now())
    except InvalidSetting as error:  # ours, not the sender's: the log says which secret, the answer does not
        raise RuntimeError(f"webhook {path} cannot verify what it gets") from error
    delivery = await desk.client.deliver(
        webhook.path, webhook.task, verified.input, delivery_id=verified.delivery_id, digest=verified.digest
    )
    return Response({"delivery": delivery.delivery_id, "run": delivery.run_id}, status_code=202)


def _headers(request: Asked) -> Sequence[tuple[str, str]]:
    """Every header line as sent: a second signature header must not hide behind the first."""
    try:
        return [(name.decode("ascii"), value.decode("latin-1")) for name, value in request.scope["headers"]]
    except UnicodeDecodeError as error:
        raise Refused(400, "A header's name is not ASCII; nothing was stored.") from error
