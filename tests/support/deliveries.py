"""Deliveries as a webhook would hand them to the store."""

from __future__ import annotations

import hashlib
from typing import Any

from agentflow.requests import ReceiveDelivery
from agentflow.states import DeliveryOutcome
from tests.support.stores import a_trigger


def a_delivery(delivery_id: str = "d1", body: str = '{"n":1}', **given: Any) -> ReceiveDelivery:
    """An authentic request that starts a run of task `build`, unless another outcome is given."""
    outcome = given.setdefault("outcome", DeliveryOutcome.STARTED)
    values: dict[str, Any] = {
        "webhook": "/github",
        "digest": f"sha256:{hashlib.sha256(str(body).encode()).hexdigest()}",
        "headers": '[["x-github-event","push"]]',
        "run": a_trigger("build", origin="webhook /github") if outcome is DeliveryOutcome.STARTED else None,
    }
    return ReceiveDelivery(delivery_id=delivery_id, body=body, **values | given)


def a_refused(delivery_id: str = "d1", body: str = '{"n":1}', **given: Any) -> ReceiveDelivery:
    """One that is authentic and no input for the task."""
    told = {"reason": "the body is no order", "detail": "at /n: found 1, wanted a text"}
    return a_delivery(delivery_id, body, **told | {"outcome": DeliveryOutcome.REFUSED} | given)


def an_ignored(delivery_id: str = "d1", body: str = '{"n":1}', **given: Any) -> ReceiveDelivery:
    """One that the webhook's filter passes over."""
    return a_delivery(delivery_id, body, outcome=DeliveryOutcome.IGNORED, **given)
