"""Exceptions in and out of the journal.

An exception is stored as its type's name, its text, its traceback and what of its attributes is data. Rebuilding finds
the class only in a module that is already imported and never runs its `__init__`, so a stored name cannot run code.
"""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentflow.errors import OperationFailed, UndecodablePayload
from agentflow.payloads import decode, encode
from agentflow.payloads.decoding import restore
from agentflow.payloads.shapes import shape_of

if TYPE_CHECKING:
    from types import TracebackType

_PACKAGE = str(Path(__file__).resolve().parent) + "/"
_LONGEST = 16_384
_LARGEST_ATTRIBUTE = 65_536
_MOST_CAUSES = 8
_MOST_FRAMES = 200
"""An exception that is raised again and again grows by each, and its text would be cut anyway."""
_MOST_MEMBERS = 32


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception as it is stored: `type` is `module:QualName`, `attributes` JSON text of what it carried."""

    type: str
    message: str
    traceback: str
    attributes: str
    cause: Failure | None = None

    @classmethod
    def of(cls, exc: BaseException) -> Failure:
        """What is worth keeping of an exception. Never raises, whatever the exception's own code does."""
        return _failure(exc, ())

    def to_exception(self) -> Exception:
        """The exception again: of the same class where that is an imported `Exception`, else an `OperationFailed`."""
        rebuilt = _rebuilt(self) or OperationFailed(self)
        if self.cause is not None:
            rebuilt.__cause__ = self.cause.to_exception()
        return rebuilt

    def to_json(self) -> str:
        """The text to store; `from_json` reads it."""
        return encode(_tree(self))

    @classmethod
    def from_json(cls, text: str) -> Failure:
        """The failure that `to_json` wrote. Raises `UndecodablePayload` for any other text."""
        return _from_tree(decode(text, dict[str, Any]))


def same_in_replay(failure: Failure, exc: BaseException) -> Exception:
    """What a replay will raise for `exc`, with `exc` as its cause: what a task catches live is what it catches then."""
    rebuilt = failure.to_exception()
    rebuilt.__cause__ = exc
    return rebuilt


def _failure(exc: BaseException, within: tuple[int, ...]) -> Failure:
    if isinstance(exc, OperationFailed) and isinstance(exc.failure, Failure):
        return exc.failure  # already a stored failure: keep the name it had
    name = f"{type(exc).__module__}:{type(exc).__qualname__}"
    message = _message(exc)
    inner = (*within, id(exc))
    cause = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    kept = cause if cause is not None and id(cause) not in inner and len(inner) <= _MOST_CAUSES else None
    return Failure(
        type=_clean(name),
        message=message,
        traceback=_traceback(exc, message),
        attributes=_attributes(exc, message, inner),
        cause=_failure(kept, inner) if kept is not None else None,
    )


def _message(exc: BaseException) -> str:
    try:
        text = str.__str__(str(exc))
    except Exception:  # noqa: BLE001 - an exception whose text cannot be made still has a type
        return "(the exception raised another when asked for its text)"
    return _cut(text)


def _cut(text: str) -> str:
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}… ({len(text):,} characters)"
    return _clean(text)


def _clean(text: str) -> str:
    """Text that any database takes: no lone surrogates, no NUL."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def _traceback(exc: BaseException, message: str) -> str:
    """The frames from the first one outside agentflow on: what the reader wrote, not what called it."""
    try:
        frames = traceback.extract_tb(_first_of_theirs(exc.__traceback__), limit=-_MOST_FRAMES)
        lines = ["Traceback (most recent call last):\n", *traceback.format_list(frames)] if frames else []
        notes = [f"\n{note}" for note in getattr(exc, "__notes__", [])]
        text = "".join([*lines, f"{type(exc).__qualname__}: {message}", *notes])
    except Exception:  # noqa: BLE001 - a traceback is a convenience; the failure is stored without one
        return ""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 4]}\n  …\n{text[-3 * _LONGEST // 4 :]}"
    return _clean(text)


def _first_of_theirs(found: TracebackType | None) -> TracebackType | None:
    frame = found
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.tb_next
    return frame or found


def _attributes(exc: BaseException, message: str, within: tuple[int, ...]) -> str:
    """JSON text of an exception's arguments and of those of its attributes that are data."""
    classes = _neighbours(type(exc))
    parts: dict[str, Any] = {"args": _arguments(exc, message, classes), "attributes": {}}
    for name, value in list(getattr(exc, "__dict__", {}).items()):
        if isinstance(name, str) and (text := _stored_text(value, classes)) is not None:
            parts["attributes"][name] = text
    if isinstance(exc, BaseExceptionGroup):
        fresh = [member for member in exc.exceptions[:_MOST_MEMBERS] if id(member) not in within]
        parts["members"] = [_tree(_failure(member, within)) for member in fresh if len(within) <= _MOST_CAUSES]
    return json.dumps(parts)


def _arguments(exc: BaseException, message: str, classes: tuple[type, ...]) -> list[str]:
    given = exc.args
    if isinstance(exc, OSError) and len(given) == 2 and exc.filename is not None:  # noqa: PLR2004 - errno and text
        given = (*given, exc.filename)
    if isinstance(exc, BaseExceptionGroup):
        given = (exc.message,)
    texts = [_stored_text(value, classes) for value in given]
    kept = [text for text in texts if text is not None]
    return kept if len(kept) == len(texts) else [encode(message)]


def _stored_text(value: Any, classes: tuple[type, ...]) -> str | None:
    """The stored text of a value, or None when it could not be read back."""
    try:
        text = encode(value, limit=_LARGEST_ATTRIBUTE)
        return None if restore(text, classes).unresolved else text
    except Exception:  # noqa: BLE001 - a value's own code may do anything; the failure is stored without it
        return None


def _rebuilt(failure: Failure) -> Exception | None:
    """An exception of the failure's own class, made without running its code; None where that cannot be."""
    cls = _imported(failure.type)
    if cls is None:
        return None
    classes = _neighbours(cls)
    base: Any = next(parent for parent in cls.__mro__ if parent.__module__ == "builtins")
    try:
        parts = json.loads(failure.attributes)
        args = tuple(restore(text, classes).value for text in parts["args"])
        own = {name: restore(text, classes).value for name, text in parts["attributes"].items()}
        if "members" in parts:
            args = (*args, [_from_tree(member).to_exception() for member in parts["members"]])
        made: Exception = base.__new__(cls, *args)
        if not issubclass(cls, ExceptionGroup):
            base.__init__(made, *args)
        vars(made).update(own)
    except Exception:  # noqa: BLE001 - it was written by another version, or its class changed: it is still a failure
        return None
    return made


def _imported(name: str) -> type[Exception] | None:
    """The exception class of this name, if its module is imported."""
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = vars(found).get(part) if found is not None and hasattr(found, "__dict__") else None
    return found if isinstance(found, type) and issubclass(found, Exception) else None


def _neighbours(cls: type) -> tuple[type, ...]:
    """The classes in sight of an exception's class: those its attributes may be made of."""
    seen = vars(sys.modules.get(cls.__module__, sys)).values() if cls.__module__ != "builtins" else ()
    return tuple(item for item in list(seen) if isinstance(item, type) and (issubclass(item, Enum) or shape_of(item)))


def _tree(failure: Failure) -> dict[str, Any]:
    return {
        "type": failure.type,
        "message": failure.message,
        "traceback": failure.traceback,
        "attributes": failure.attributes,
        "cause": failure.cause and _tree(failure.cause),
    }


def _from_tree(tree: Any) -> Failure:
    try:
        texts = {name: str(tree[name]) for name in ("type", "message", "traceback", "attributes")}
        return Failure(**texts, cause=None if tree["cause"] is None else _from_tree(tree["cause"]))
    except (KeyError, TypeError) as error:
        raise UndecodablePayload(f"the stored failure cannot be read: it has no {error}") from error
