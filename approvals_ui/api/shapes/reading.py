"""From records to what the API shows of them."""

import json
from typing import Any

from agentflow.payloads import readable
from approvals_ui.api.fields import Text, Told
from approvals_ui.timeline import failure_of


class FailureView(Told):
    """Why a run or an operation failed."""

    type: Text
    message: Text
    traceback: str


def same(view: type[Told], record: object, *but: str) -> dict[str, Any]:
    """The fields that are shown as they are recorded."""
    return {name: getattr(record, name) for name in view.__struct_fields__ if name not in but}


def plain(text: str | None) -> Any:
    """A stored payload as plain JSON."""
    return None if text is None else readable(text)


def parsed(text: str | None) -> Any:
    """What is stored as JSON without tags."""
    return None if text is None else json.loads(text)


def failure(text: str | None) -> FailureView | None:
    """A stored failure."""
    found = failure_of(text)
    if found is None:
        return None
    return FailureView(type=found.type, message=found.message, traceback=found.traceback)
