"""What the wires of blocks and items do alike with JSON: read an event, count tokens, keep ids in the usual letters."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final

from agentflow.agents.messages import ToolCall
from agentflow.agents.models.chat_answers import arguments_of
from agentflow.errors import ModelAnswerCutOff

if TYPE_CHECKING:
    from collections.abc import Mapping

USUAL_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def object_in(data: str, *, name: str) -> dict[str, Any]:
    """The JSON object in an event's data. Raises `ModelAnswerCutOff` for anything else."""
    said = value_in(data, name=name)
    if not isinstance(said, dict):
        raise ModelAnswerCutOff(f"{name} sent an event that is no JSON object; nothing was used", model=name)
    return said


def value_in(text: str, *, name: str) -> Any:
    """What a text of JSON says. Raises `ModelAnswerCutOff` for what is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelAnswerCutOff(f"{name} sent what is no JSON; nothing was used", model=name) from error


def count(said: Any, *path: str) -> int:
    """The number of tokens at a path, 0 where there is none."""
    for key in path:
        said = said.get(key) if isinstance(said, dict) else None
    return said if isinstance(said, int) and not isinstance(said, bool) and said > 0 else 0


def call_of(said: Mapping[str, Any], id_key: str, arguments: Any) -> ToolCall:
    """The tool call in a block or item that is whole. Raises `ValueError` for one without a name or an id."""
    call_id, name = said.get(id_key), said.get("name")
    if not (isinstance(call_id, str) and call_id and isinstance(name, str) and name):
        raise ValueError
    return ToolCall(id=call_id, name=name, arguments=arguments_of(arguments).strip() or "{}")


def usual_id(call_id: str) -> str:
    """The call's id, or one made of it where it would be refused: it may have come from elsewhere."""
    return call_id if USUAL_ID.fullmatch(call_id) else hashlib.sha256(call_id.encode()).hexdigest()[:16]
