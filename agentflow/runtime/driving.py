"""Driving a task's coroutine, and noticing where it suspends without being recorded."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

    from agentflow.runtime.scope import Scope

logger = logging.getLogger("agentflow.run")
_reported: set[tuple[str, str]] = set()


class drive:  # noqa: N801  reads as the verb it is: `await drive(coroutine, scope)`
    """Await a coroutine of the user's; a suspension that belongs to no operation is reported, once, with its line."""

    __slots__ = ("_coroutine", "_scope")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], scope: Scope) -> None:
        self._coroutine = coroutine
        self._scope = scope

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine, scope = self._coroutine, self._scope
        send, value, error = coroutine.send, None, None
        while True:
            try:
                pending = send(value) if error is None else coroutine.throw(error)
            except StopIteration as stop:
                return stop.value
            if scope.is_idle:
                report(scope, coroutine)
            error = None
            try:
                value = yield pending
            except BaseException as thrown:  # noqa: BLE001  it is handed to the coroutine, whose it is
                error = thrown


def report(scope: Scope, coroutine: Any) -> None:
    """Say, once for each line, that the task waits there for something that is not recorded."""
    task = scope.turn.task.id
    place = _place(coroutine, scope.turn.task.body.__code__.co_filename)
    if (task, place) in _reported:
        return
    _reported.add((task, place))
    logger.warning(
        "task %s waits at %s for something that is no recorded operation; after a crash it is waited for again. "
        "Move it into a function that is awaited, or a @step.",
        task,
        place,
    )


def _place(coroutine: Any, filename: str) -> str:
    """File and line of the innermost frame that is in the task's own file."""
    found, line = filename, 0
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "ag_frame", None)
        if frame is not None and frame.f_code.co_filename == filename:
            line = frame.f_lineno
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "ag_await", None)
    return f"{found}:{line}"
