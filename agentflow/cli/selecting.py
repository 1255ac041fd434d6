"""Which runs a command is about: one by its id, or all that fit what the options say."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from agentflow.cli.exits import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.cli.terminal import Terminal
    from agentflow.requests import RunFilter

FORMS: Final = 'a span such as "2h" (that long ago), or a date and time such as 2026-01-31T18:00'


Body = Callable[..., int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A run, or what the runs have in common that are meant."""

    run: str | None
    task: str | None = None
    status: Sequence[str] = ()
    queue: str | None = None
    version: str | None = None
    after: str | None = None
    before: str | None = None
    dry_run: bool = False

    def require_one_or_many(self) -> None:
        """Raise `Refused` unless either a run or at least one option says what is meant."""
        given = any((self.task, self.status, self.queue, self.version, self.after, self.before))
        if self.run is not None and given:
            raise Refused(f"found both the run {self.run} and options that name several; wanted one or the other")
        if self.run is not None and self.dry_run:
            raise Refused("--dry-run is for several runs; `agentflow why RUN` says where one is")
        if self.run is None and not given:
            raise Refused(
                "wanted a run's id, or at least one of --task, --status, --queue, --version, --after, --before"
            )

    def filter(self, now: datetime) -> RunFilter:
        """What the store is asked for. Raises `Refused` for a status or time that is none."""
        from agentflow.requests import RunFilter

        return RunFilter(
            statuses=tuple(status_of(text) for text in self.status),
            task=self.task,
            queue=self.queue,
            version=self.version,
            created_from=_instant("--after", self.after, now),
            created_until=_instant("--before", self.before, now),
        )


def _selection(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run's id, or a beginning of it; or name several by options.")
    ] = None,
    *,
    task: Annotated[str | None, typer.Option("--task", metavar="TASK", help="Every run of this task.")] = None,
    status: Annotated[
        list[str] | None, typer.Option("--status", metavar="STATUS", help="Every run in it; may be repeated.")
    ] = None,
    queue: Annotated[str | None, typer.Option("--queue", metavar="QUEUE", help="Every run of this queue.")] = None,
    version: Annotated[
        str | None, typer.Option("--version", metavar="VERSION", help="Every run of this version of its task.")
    ] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="TIME", help='Created since then: "2h" ago, or a date and time.')
    ] = None,
    before: Annotated[str | None, typer.Option("--before", metavar="TIME", help="Created before then.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which runs it would be, and change nothing.")] = False,
) -> Selection:
    return Selection(
        run=run, task=task, status=status or (), queue=queue, version=version, after=after, before=before,
        dry_run=dry_run,
    )  # fmt: skip


_SELECTION = inspect.signature(_selection, eval_str=True).parameters


def selects(body: Body) -> Body:
    """Give a command the options that say which runs it is about; it is called with them as a `Selection`."""

    @functools.wraps(body)
    def run(terminal: Terminal, /, **options: Any) -> int | None:
        which = _selection(**{name: options.pop(name) for name in _SELECTION})
        which.require_one_or_many()
        return body(terminal, which, **options)

    terminal, _, *own = inspect.signature(body, eval_str=True).parameters.values()
    first, *others = (one.replace(kind=one.KEYWORD_ONLY) for one in _SELECTION.values())
    taken = [terminal.replace(kind=terminal.POSITIONAL_ONLY), first, *own, *others]
    run.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined]
    return run


def status_of(text: str) -> Any:
    """The status of this name. Raises `Refused` naming the nearest."""
    from difflib import get_close_matches

    from agentflow.states import RunStatus

    try:
        return RunStatus(text)
    except ValueError:
        near = get_close_matches(text, list(RunStatus), n=1)
        remedy = f"; did you mean {near[0]}?" if near else ""
        raise Refused(f"--status: found {text!r}; wanted one of {', '.join(RunStatus)}{remedy}") from None


def _instant(option: str, text: str | None, now: datetime) -> datetime | None:
    from agentflow.durations import duration
    from agentflow.errors import InvalidDuration

    if text is None:
        return None
    try:
        return now - duration(text)
    except InvalidDuration:
        pass
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise Refused(f"{option}: found {text!r}; wanted {FORMS}") from None
