"""What a delivery brought, for people to look at: the JSON or the form that it is, or the text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from agentflow.later import later

if TYPE_CHECKING:
    from agentflow.records import Delivery
    from agentflow.tasks import deliveries
    from agentflow.tasks.deliveries import reading
else:  # only who looks at a delivery needs them
    deliveries = later("agentflow.tasks.deliveries")
    reading = later("agentflow.tasks.deliveries.reading")

DEEPEST: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A body that was received. `value` is what a JSON document or a form says; None for a text and for bytes.

    `text` is the body as it came, of bytes what can be read in them; `size` is in bytes.
    """

    kind: Literal["JSON", "form", "text", "bytes"]
    value: Any
    text: str
    size: int


def read_body(delivery: Delivery) -> Body | None:
    """What the delivery brought, None if that is not kept."""
    if delivery.body is None:
        return None
    content = deliveries.body_of(delivery.body, delivery.encoding)
    if delivery.encoding == "base64":
        text = content.decode(errors="backslashreplace")
        return Body(kind="bytes", value=None, text=text, size=len(content))
    content_type = _content_type(delivery.headers)
    kind: Literal["JSON", "form"] = "form" if content_type.startswith(reading.FORM) else "JSON"
    try:
        value = reading.payload_of(content, content_type=content_type, max_depth=DEEPEST)
    except reading.Unfit:
        return Body(kind="text", value=None, text=delivery.body, size=len(content))
    return Body(kind=kind, value=value, text=delivery.body, size=len(content))


def headers_of(delivery: Delivery) -> list[tuple[str, str]]:
    """The headers that are kept, in the order they came, doubles included."""
    return [(name, value) for name, value in json.loads(delivery.headers)]


def _content_type(headers: str) -> str:
    return next((value for name, value in json.loads(headers) if name == "content-type"), "").strip().lower()
