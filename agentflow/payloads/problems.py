"""What pydantic found wrong, in the words agentflow uses for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow.errors import FieldProblem

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_SHOWN = 80


def problems(error: ValidationError, *, under: str = "") -> list[FieldProblem]:
    """One `FieldProblem` for each thing wrong; `under` is the JSON Pointer of the value that was checked."""
    return [_problem(found, under) for found in error.errors(include_url=False, include_context=False)]


def pointer(*segments: object) -> str:
    """A JSON Pointer (RFC 6901) of these segments."""
    return "".join("/" + str(segment).replace("~", "~0").replace("/", "~1") for segment in segments)


def shown(value: Any) -> str:
    """A short account of a value: what it is and its type."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a value that cannot be shown still has a type
        text = "a value"
    if len(text) > _SHOWN:
        text = text[:_SHOWN] + "…"
    return text if value is None else f"{text} ({type(value).__name__})"


def _problem(found: ErrorDetails, under: str) -> FieldProblem:
    kind = found["type"]
    field = under + pointer(*found["loc"])
    if kind in {"missing", "missing_argument"}:
        return FieldProblem(field=field, found="nothing", wanted="a value")
    wanted = found["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    if kind == "extra_forbidden":
        wanted = "no such field"
    return FieldProblem(field=field, found=shown(found["input"]), wanted=wanted)
