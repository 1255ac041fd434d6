"""The decorator that makes tasks, and those that say what starts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, Unpack, overload

from agentflow.later import later
from agentflow.retry import ONCE, Retry
from agentflow.tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from datetime import timedelta

    from agentflow.tasks import listener, schedule, webhook
    from agentflow.tasks.options import Lining
    from agentflow.tasks.queue import Queue
    from agentflow.tasks.task import ChangedInput, Checkpoints, NewVersion, OnExhausted
else:  # most tasks are started by a call
    listener, schedule, webhook = (later(f"agentflow.tasks.{name}") for name in ("listener", "schedule", "webhook"))

P = ParamSpec("P")
R = TypeVar("R")
AnyTask = TypeVar("AnyTask", bound=Task[..., Any])


class TaskDecorator:
    """`@task`; and above it `@task.schedule(...)`, `@task.webhook(...)` and `@task.on(...)`, as often as wanted."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
    @overload
    def __call__(
        self,
        /,
        *,
        id: str | None = None,
        retry: Retry = ONCE,
        queue: Queue | str = "default",
        timeout: str | float | timedelta | None = None,
        max_duration: str | float | timedelta | None = None,
        on_exhausted: OnExhausted = "fail",
        version: str = "1",
        on_new_version: NewVersion = "carry",
        checkpoint: Checkpoints = "every",
        changed_input: ChangedInput = "note",
        log_prints: bool = False,
        needs: str | Iterable[str] = (),
        **lining: Unpack[Lining],
    ) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Task[P, R]]: ...
    def __call__(self, function: Any = None, /, **options: Any) -> Any:
        """Make an async function durable: each of its awaits becomes a checkpoint.

        `retry` tries a failed run again from the operation that failed; `timeout` bounds the time one attempt works
        (waiting for people or timers does not count), `max_duration` the whole run, waits included. With
        `on_exhausted="ask"` a run that would fail for good asks a person first: try again, give the result, or fail.
        Runs line up in `queue`, as `lining` says (see `Lining`). Several versions of a task may be served side by
        side; a run whose `version` is not served goes on with the newest, or with `on_new_version="pin"` waits for a
        worker that serves it. `checkpoint="explicit"` records only steps, tasks and waits and leaves other awaits as
        they are. `changed_input="stop"` stops a run whose recorded operation is asked for with other arguments, which
        is otherwise noted. With `log_prints` what the task prints is kept in the run's log. Its runs are taken by
        workers that have the labels it `needs` ("gpu", "region=eu"). Raises `DefinitionError`, or `SourceUnavailable`
        where the source cannot be read.
        """
        if function is not None:
            return Task(function, **options)
        return lambda inner: Task(inner, **options)

    def schedule(
        self, rule: str, *, id: str | None = None, **options: Unpack[schedule.ScheduleOptions]
    ) -> Callable[[AnyTask], AnyTask]:
        """The task it is put above, started whenever `rule` comes round; see `Schedule`."""
        return schedule.schedule(rule, id=id, **options)

    def webhook(self, path: str, **options: Unpack[webhook.WebhookOptions]) -> Callable[[AnyTask], AnyTask]:
        """The task it is put above, started by what is posted to `/hooks` and `path`; see `Webhook`."""
        return webhook.webhook(path, **options)

    def on(self, pattern: str, **options: Unpack[listener.ListenerOptions]) -> Callable[[AnyTask], AnyTask]:
        """The task it is put above, started by each event whose name fits `pattern`; see `Listener`."""
        return listener.on(pattern, **options)


task: Final = TaskDecorator()
