"""What `wait_for_approval` is given, checked and put into the form in which the store keeps it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from agentflow import approvals
from agentflow.approvals.calls import words
from agentflow.durations import duration
from agentflow.errors import DefinitionError, FieldProblem, InvalidDecision, PayloadTooLarge
from agentflow.payloads import LIMIT, json_text
from agentflow.states import Verdict
from agentflow.tasks.options import MOST_PRIORITY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow.approvals import Problem

RISKS = ("", "low", "medium", "high", "critical")
ON_TIMEOUT = ("reject", "raise", "default", "approve")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Where a value was found: a document, a page in it, the words, or an address."""

    document: str = ""
    page: int | None = None
    quote: str = ""
    url: str = ""


@dataclass(slots=True)
class Asked:
    """What is asked about: the object, its JSON, the schema of that, and the tool that is to be called with it."""

    data: Any
    value: Any
    schema: Any
    key: str
    tool: str = ""
    texts: tuple[str, str] = field(init=False)

    @classmethod
    def about(cls, data: Any, *, key: str, schema: Mapping[str, Any] | None = None, tool: str = "") -> Asked:
        """What is asked about this data, which is to fit the schema where one is given.

        Raises `NotRecordable`, `PayloadTooLarge` or `DefinitionError`.
        """
        try:
            described = approvals.describe(data)
        except PayloadTooLarge as error:
            raise error.said_of(f"what {key} asks about") from None
        if schema is None:
            return cls(data, described.value, described.schema, key, tool)
        _require_fit(described.value, schema)
        return cls(described.value, described.value, dict(schema), key, tool)

    def __post_init__(self) -> None:
        self.texts = json_text(self.value), json_text(self.schema)
        size = len(self.texts[0].encode())
        if size > LIMIT:
            raise PayloadTooLarge(size=size, limit=LIMIT, what=f"what {self.key} asks about")


def _require_fit(value: Any, schema: Mapping[str, Any]) -> None:
    problems = approvals.schema_problems(dict(schema))
    if problems:
        raise DefinitionError(f"wait_for_approval(schema=…): {_problems(problems)}")
    problems = approvals.validate(dict(schema), value)
    if problems:
        raise DefinitionError(f"wait_for_approval(schema=…): the data does not fit it: {_problems(problems)}")


def _problems(problems: Sequence[Problem]) -> str:
    return "; ".join(f"{one.pointer or 'it'} {one.message}" for one in problems)


def arguments(asked: Asked, now: datetime, given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a new approval. Raises `DefinitionError` for what cannot be used."""
    _check(given["allow"], given["on_timeout"], given["risk"], auto=given["allow_auto_approve"])
    plain = {name: given[name] for name in ("summary", "body", "reason", "risk", "on_timeout")}
    evidence: Mapping[str, Evidence] = given["evidence"] or {}
    return plain | {
        "title": given["title"] or _title(asked),
        "tool": asked.tool,
        "said": words(given["said"]),
        "priority": _priority(given["priority"]),
        "confidence": _share("confidence", given["confidence"]),
        "field_confidence": _shares(given["field_confidence"] or {}),
        "evidence": _text({pointer: asdict(one) for pointer, one in evidence.items()}),
        "tags": _text({str(name): str(value) for name, value in (given["tags"] or {}).items()}),
        "allow": tuple(Verdict(verdict) for verdict in given["allow"]),
        "timeout": _timeout(given["timeout"], now),
        "default": _default(asked, given["default"]) if given["on_timeout"] == "default" else None,
    }


def _title(asked: Asked) -> str:
    """By default a call is named by its tool and arguments, anything else by its key."""
    if asked.tool:
        return approvals.call_title(asked.tool, asked.value)
    return asked.key.replace("_", " ").capitalize()


def _check(allow: Sequence[str], on_timeout: str, risk: str, *, auto: bool) -> None:
    verdicts = [verdict.value for verdict in Verdict]
    if isinstance(allow, str) or not allow or not set(allow) <= set(verdicts):
        raise DefinitionError(f"wait_for_approval(allow={allow!r}): wanted some of {', '.join(verdicts)}")
    if on_timeout not in ON_TIMEOUT:
        raise DefinitionError(f"wait_for_approval(on_timeout={on_timeout!r}): wanted one of {', '.join(ON_TIMEOUT)}")
    if risk not in RISKS:
        raise DefinitionError(f"wait_for_approval(risk={risk!r}): wanted one of {', '.join(RISKS[1:])}, or nothing")
    if on_timeout == "approve" and not (auto and risk not in RISKS[3:]):
        raise DefinitionError(
            "wait_for_approval(on_timeout='approve') approves what nobody looked at: it needs allow_auto_approve=True, "
            "and a risk below high"
        )


def _priority(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MOST_PRIORITY:
        raise DefinitionError(
            f"wait_for_approval(priority={str(value)[:40]}): wanted a whole number, at most {MOST_PRIORITY:,}"
        )
    return value


def _default(asked: Asked, default: Any) -> str:
    """The data to go on with if nobody answers, checked now and not when it is needed."""
    if default is None:
        raise DefinitionError("wait_for_approval(on_timeout='default') needs default=, the data to go on with")
    value = approvals.describe(default).value
    problems = approvals.validate(asked.schema, value)
    if problems:
        errors = [FieldProblem(one.pointer, one.found, one.wanted) for one in problems]
        raise DefinitionError(
            f"wait_for_approval(default=…): {InvalidDecision(approval_id='not opened', errors=errors)}"
        )
    return json_text(value)


def _timeout(timeout: str | float | timedelta | datetime | None, now: datetime) -> timedelta | None:
    if timeout is None:
        return None
    if isinstance(timeout, datetime):
        if timeout.tzinfo is None:
            raise DefinitionError(
                f"wait_for_approval(timeout={timeout!r}): wanted an aware datetime (with a time zone)"
            )
        return max(timeout - now, timedelta(0))
    return duration(timeout)


def _share(name: str, value: float | None) -> float | None:
    if value is not None and not 0.0 <= value <= 1.0:
        raise DefinitionError(f"wait_for_approval({name}={value!r}): wanted a share from 0 to 1")
    return None if value is None else float(value)


def _shares(given: Mapping[str, float]) -> str:
    return _text({pointer: _share(f"field_confidence[{pointer!r}]", value) for pointer, value in given.items()})


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
