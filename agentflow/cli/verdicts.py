"""What a dry replay found, for a person and for a program."""

from __future__ import annotations

from typing import Any, assert_never

from agentflow.cli.documents import failure, payload
from agentflow.requests import Completed, Failed, TryAgain
from agentflow.runtime.dry.replaying import Broken, Diverges, DryReplay, Fits


def word(found: DryReplay) -> str:
    """The one word for it."""
    match found:
        case Fits():
            return "fits"
        case Diverges():
            return "diverges"
        case Broken():
            return "breaks"
        case _:
            assert_never(found)


def sentence(found: DryReplay) -> str:
    """The whole of it in a line."""
    if not isinstance(found, Fits):
        return str(found)
    match found.outcome:
        case Completed():
            return "fits, and completes"
        case Failed() | TryAgain():
            error = failure(found.outcome.error) or {}
            return f"fits, and fails with {str(error.get('type')).rpartition(':')[2]}: {error.get('message')}"
        case None:
            return "fits"
        case _:
            assert_never(found.outcome)


def verdict_document(found: DryReplay) -> dict[str, Any]:
    """The same with its parts apart."""
    document: dict[str, Any] = {"verdict": word(found)}
    match found:
        case Fits(frontier, outcome):
            document |= {"frontier": list(frontier), "output": None, "error": None}
            if isinstance(outcome, Completed):
                document["output"] = payload(outcome.output)
            elif outcome is not None:
                document["error"] = failure(outcome.error)
        case Diverges(key, recorded, asked):
            document |= {"key": key, "recorded": recorded, "asked": asked}
        case Broken(error, key):
            document |= {"key": key, "error": {"type": type(error).__name__, "message": str(error)}}
        case _:
            assert_never(found)
    return document
