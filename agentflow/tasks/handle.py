"""Handles: what a trigger gives back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from agentflow.errors import RunCancelled, RunFailed
from agentflow.failures import Failure
from agentflow.payloads import decode
from agentflow.states import RunStatus
from agentflow.tasks.calling import current_caller, durable, starter

if TYPE_CHECKING:
    from collections.abc import Generator

    from agentflow.tasks.task import Task

R = TypeVar("R")


class RunHandle(Generic[R]):
    """A run that was started: `id`, and its result when awaited."""

    __agentflow_durable__ = True
    __slots__ = ("_task", "id")

    def __init__(self, task: Task[..., R], run_id: str) -> None:
        self._task = task
        self.id = run_id

    def __await__(self) -> Generator[Any, None, R]:
        return self.result().__await__()

    @durable
    async def result(self) -> R:
        """What the run returned; inside a run this waits durably. Raises `RunFailed` or `RunCancelled`."""
        caller = current_caller.get()
        if caller is not None:
            return cast("R", await caller.result(self._task, self.id))
        run = await starter(f"the result of run {self.id}").ended(self.id)
        return cast("R", outcome(self._task, self.id, run.status, run.output, run.error))

    def __repr__(self) -> str:
        return f"<run {self.id} of {self._task.id}>"


def outcome(task: Task[..., Any], run_id: str, status: str, output: str | None, error: str | None) -> Any:
    """The decoded result of an ended run. Raises `RunFailed` (its cause is the run's failure) or `RunCancelled`."""
    match RunStatus(status):
        case RunStatus.COMPLETED if output is not None:
            return decode(output, task.signature.result)
        case RunStatus.CANCELLED:
            raise RunCancelled(f"run {run_id} of {task.id} was cancelled")
        case _:
            failure = None if error is None else Failure.from_json(error)
            said = status if failure is None else f"failed: {failure.type.rpartition(':')[2]}: {failure.message}"
            raise RunFailed(f"run {run_id} of {task.id} {said}") from (failure.to_exception() if failure else None)
