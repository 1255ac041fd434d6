"""Runs and approvals as a person reads them in a terminal."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from agentflow.cli.documents import failure, payload, plain
from agentflow.cli.terminal import STATUS_STYLES, pretty, write, write_table
from agentflow.cli.waiting import wait_line
from agentflow.durations import describe
from agentflow.states import EntryKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agentflow.records import Approval, Decision, Entry, LogLine, Run

_LONGEST_LINE = 100
_MARKS = {
    EntryKind.SUCCEEDED: "✓",
    EntryKind.RUN_COMPLETED: "✓",
    EntryKind.FAILED: "✗",
    EntryKind.ATTEMPT_FAILED: "✗",
    EntryKind.RUN_FAILED: "✗",
    EntryKind.WAIT_OPENED: "…",
    EntryKind.DIVERGED: "!",
    EntryKind.QUARANTINED: "!",
}
_STYLES = {"✓": "green", "✗": "red", "…": "yellow", "!": "bold magenta"}


def write_runs(runs: Sequence[Run], *, now: datetime) -> None:
    """A table of runs."""
    rows = [(run.id, run.task, str(run.status), age(run.created_at, now), lasted(run, now)) for run in runs]
    write_table(("id", "task", "status", "age", "took"), rows)


def write_approvals(approvals: Sequence[Approval], *, now: datetime) -> None:
    """A table of approvals."""
    rows = [
        (
            approval.id,
            str(approval.status),
            approval.title,
            approval.task,
            "" if approval.confidence is None else f"{approval.confidence:.0%}",
            age(approval.created_at, now),
            due(approval, now),
        )
        for approval in approvals
    ]
    write_table(("id", "status", "title", "task", "confidence", "age", "due in"), rows)


def write_approval(approval: Approval) -> None:
    """What is asked, why, about which data, and the decision once there is one."""
    write(f"{approval.id}  {approval.title}  {approval.status}", STATUS_STYLES.get(approval.status, ""))
    texts = {
        "summary": approval.summary,
        "reason": approval.reason,
        "risk": approval.risk,
        "sure": "" if approval.confidence is None else f"{approval.confidence:.0%}",
        "run": f"{approval.run_id} ({approval.task}, {approval.key})",
        "until": "" if approval.deadline_at is None else f"{approval.deadline_at.astimezone():%Y-%m-%d %H:%M %Z}",
        "may": ", ".join(approval.allowed),
    }
    for label, text in texts.items():
        if text:
            write(f"  {label:<8}{text}")
    for line in approval.body.splitlines():
        write(f"  {line}", "dim")
    evidence = plain(approval.evidence)
    if evidence:
        write_value("evidence", evidence)
    write_value("data", plain(approval.data))
    if approval.final is not None:
        write_value("final", plain(approval.final))
    if approval.decided_by:
        write(f"  decided by {approval.decided_by}: {approval.comment or 'no comment'}")


def write_run(run: Run, *, why: str, now: datetime) -> None:
    """What a run is and where it stands."""
    write(f"{run.id}  {run.task}  {run.status}", STATUS_STYLES.get(run.status, ""))
    write(f"  {why}")
    write(f"  triggered {age(run.created_at, now)} ago by {run.origin}; attempt {run.attempt}, turn {run.epoch}")
    if run.parent_id:
        write(f"  child of {run.parent_id}")
    if run.tags:
        write(f"  tagged {', '.join(json.loads(run.tags))}")
    if run.metadata:
        write_value("metadata", payload(run.metadata))
    write_value("input", payload(run.input))


def write_outcome(run: Run) -> None:
    """What a run returned, or how it failed."""
    if run.output is not None:
        write_value("output", payload(run.output))
    error = failure(run.error)
    if error:
        write(f"  error   {_class(error)}: {error['message']}", "red")
        for line in error["traceback"].splitlines():
            write(f"    {line}", "dim")


def write_value(label: str, value: Any) -> None:
    """A JSON value under its label: on one line if it is short."""
    text = json.dumps(value, ensure_ascii=False)
    if len(text) <= _LONGEST_LINE:
        write(f"  {label:<8}{text}")
        return
    write(f"  {label}")
    for line in pretty(value).splitlines():
        write(f"    {line}")


def write_entries(entries: Sequence[Entry], *, since: datetime) -> None:
    """Journal entries, one a line, timed from the run's beginning."""
    for entry in entries:
        mark = _MARKS.get(entry.kind, "·")
        took = "" if entry.took is None else describe(entry.took)
        times = f"+{describe(entry.at - since):<9} {took:>9}"
        write(f"  {entry.seq:>4} {times}  {mark} {_said(entry)}", _STYLES.get(mark, ""))


def write_logs(lines: Sequence[LogLine]) -> None:
    """What the run logged."""
    for line in lines:
        place = f"  [{line.key}]" if line.key else ""
        write(f"  {line.at:%H:%M:%S} {line.level:<7} {line.message}{place}")


def write_decision(decision: Decision, approval: Approval) -> None:
    """The receipt of a decision."""
    again = " already, by this very decision" if decision.repeated else ""
    style = STATUS_STYLES.get(decision.outcome, "")
    write(f"{decision.outcome}{again}: {approval.title} ({approval.id}), by {decision.decided_by}", style)
    write(f"run {decision.run_id} goes on; receipt {decision.id}")


def _said(entry: Entry) -> str:
    what = str(entry.kind).replace("_", " ")
    name = f"{entry.key}  {what}" if entry.key else what
    if entry.attempt > 1:
        name += f", attempt {entry.attempt}"
    error = failure(entry.error)
    if error:
        return f"{name}: {_class(error)}: {error['message']}"
    if entry.output is not None:
        return f"{name}: {_short(payload(entry.output))}"
    waits = wait_line(entry)
    if waits is not None:
        return f"{entry.key}  {waits}"
    return f"{name}: {_short(plain(entry.detail))}" if entry.detail else name


def _class(error: dict[str, Any]) -> str:
    """The name a person knows an exception's class by."""
    return str(error["type"]).rpartition(":")[2]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_LINE else text[:_LONGEST_LINE] + "…"


def age(at: datetime, now: datetime) -> str:
    """How long ago something was; never negative, whatever two clocks say."""
    span = max(now - at, timedelta())
    return describe(span if span < timedelta(seconds=1) else timedelta(seconds=int(span.total_seconds())))


def lasted(run: Run, now: datetime) -> str:
    """How long a run has taken, or took."""
    return "" if run.started_at is None else age(run.started_at, run.finished_at or now)


def due(approval: Approval, now: datetime) -> str:
    """How long there is to answer."""
    if approval.deadline_at is None or not approval.is_pending:
        return ""
    return age(now, approval.deadline_at) if approval.deadline_at > now else "overdue"
