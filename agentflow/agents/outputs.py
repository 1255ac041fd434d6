"""What an agent's last answer is to be: a text, or data of a type, checked and asked for again with what is wrong."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Final

from agentflow.agents.messages import OutputSpec
from agentflow.approvals import schema_of, settable
from agentflow.errors import DefinitionError, NotRecordable, UndecodablePayload
from agentflow.payloads import from_json

_FENCED: Final = re.compile(r"\A\s*```[a-zA-Z0-9_-]*\s*\n(?P<inside>.*?)\n?\s*```\s*\Z", re.DOTALL)
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")
WRAPPED: Final = "value"


@dataclass(frozen=True, slots=True)
class Output:
    """The type of an agent's answer. `spec` is None for a plain text; what is no object is wrapped in one."""

    annotation: Any
    spec: OutputSpec | None
    is_wrapped: bool = False

    @classmethod
    def of(cls, agent: str, annotation: Any) -> Output:
        """The output of this type. Raises `DefinitionError` for a type that has no JSON Schema."""
        if annotation is str:
            return cls(str, None)
        schema = _schema(agent, annotation)
        is_wrapped = schema.get("type") != "object"
        if is_wrapped:
            shared = {"$defs": schema.pop("$defs")} if "$defs" in schema else {}
            schema = {
                "type": "object",
                "properties": {WRAPPED: schema},
                "required": [WRAPPED],
                "additionalProperties": False,
                **shared,
            }
        name = _NOT_IN_A_NAME.sub("_", getattr(annotation, "__name__", "") or "answer")[:64]
        return cls(annotation, OutputSpec(name=name, schema=schema), is_wrapped)

    def read(self, text: str) -> tuple[Any, str]:
        """The answer as a value and "", or None and what is wrong with it, for the model."""
        if self.spec is None:
            return text, ""
        fenced = _FENCED.match(text)
        try:
            value = json.loads(fenced["inside"] if fenced else text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            return None, f"it is no JSON: {error}"
        if self.is_wrapped:
            if not isinstance(value, dict) or set(value) != {WRAPPED}:
                return None, f'wanted an object with the one member "{WRAPPED}"'
            value = value[WRAPPED]
        try:
            return from_json(settable(schema_of(self.annotation), value), self.annotation), ""
        except (UndecodablePayload, NotRecordable) as error:
            return None, str(error)


def _schema(agent: str, annotation: Any) -> dict[str, Any]:
    """The schema of the type. Raises `DefinitionError`."""
    why: object = "it is no type"
    if not isinstance(annotation, FunctionType | str):
        try:
            return dict(schema_of(annotation))
        except Exception as error:  # noqa: BLE001  whatever keeps the type from having a schema, it is no output type
            why = error
    raise DefinitionError(
        f"agent {agent!r}: output_type={annotation!r} has no JSON Schema ({why}); give a Pydantic model, a dataclass, "
        "str, int, list[…] or the like"
    )


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
