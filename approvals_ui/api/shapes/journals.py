"""What is recorded of a run: its journal, its history and its log."""

from typing import Annotated, Any

from msgspec import Meta

from agentflow.records import Entry, LogLine
from agentflow.states import EntryKind
from approvals_ui.api.fields import Count, Instant, Json, Key, RunId, Seconds, Seq, Text, Told
from approvals_ui.api.shapes.reading import FailureView, failure, plain, same


class EntryView(Told):
    """One thing that happened to a run; `took` is in seconds."""

    seq: Seq
    kind: EntryKind
    key: Key | None
    operation: Annotated[str, Meta(examples=["step"], description="What kind of operation the key names.")] | None
    epoch: Count
    attempt: Count
    at: Instant
    took: Seconds | None
    input: Json
    output: Json
    error: FailureView | None
    detail: str | None


class JournalPage(Told):
    """Some entries in order; ask again with `after=` the last `seq` while there are `more`."""

    items: list[EntryView]
    more: bool


class History(Told):
    """What happened to a run as typed events, in order; `version` is that of the events."""

    version: Annotated[int, Meta(ge=1, examples=[1])]
    run_id: RunId
    events: Annotated[
        list[dict[str, Any]],
        Meta(
            description="Each has `type`, `run_id`, `seq`, `at`, `epoch`, `attempt`, and fields of its type.",
            examples=[[{"type": "run_triggered", "seq": 1, "origin": "api"}]],
        ),
    ]
    more: bool


class LogView(Told):
    """A line a run logged."""

    at: Instant
    level: Annotated[str, Meta(examples=["INFO"])]
    logger: Annotated[str, Meta(examples=["billing"])]
    message: Text
    key: Key | None


class LogLines(Told):
    """What a run logged, oldest first."""

    items: list[LogView]


def entry_view(entry: Entry) -> EntryView:
    """The journal entry as the API shows it."""
    return EntryView(
        **same(EntryView, entry, "input", "output", "error", "took"),
        took=entry.took.total_seconds() if entry.took is not None else None,
        input=plain(entry.input),
        output=plain(entry.output),
        error=failure(entry.error),
    )


def log_view(line: LogLine) -> LogView:
    """The log line as the API shows it."""
    return LogView(**same(LogView, line))
