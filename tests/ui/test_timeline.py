"""A journal as rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from agentflow.failures import Failure
from agentflow.records import Entry
from agentflow.states import EntryKind
from approvals_ui.timeline import failure_of, rows_of

START = datetime(2026, 11, 22, tzinfo=UTC)


def journal(*entries: tuple[EntryKind, str | None, dict[str, Any]]) -> list[Entry]:
    blank = dict.fromkeys(("took", "input", "output", "error", "detail", "operation"))
    made = []
    for seq, (kind, key, more) in enumerate(entries, start=1):
        values = blank | {"epoch": 1, "attempt": 1} | more
        made.append(
            Entry(id=seq, run_id="run_1", seq=seq, kind=kind, key=key, at=START + timedelta(seconds=seq), **values)
        )
    return made


def test_an_operation_is_one_row_with_its_attempts() -> None:
    error = Failure.of(ValueError("no")).to_json()
    rows = rows_of(
        journal(
            (EntryKind.TRIGGERED, None, {"epoch": 0}),
            (EntryKind.ATTEMPT_FAILED, "fetch#1", {"error": error}),
            (EntryKind.WAIT_OPENED, "fetch#1", {"operation": "retry"}),
            (EntryKind.WAIT_RESOLVED, "fetch#1", {"operation": "retry", "epoch": 2}),
            (EntryKind.SUCCEEDED, "fetch#1", {"output": "1", "took": timedelta(seconds=2), "epoch": 2, "attempt": 2}),
        ),
        {},
    )
    assert [row.title for row in rows] == ["Triggered", "fetch#1"]
    assert rows[1].status == "succeeded"
    assert [attempt.error.message for attempt in rows[1].attempts if attempt.error] == ["no"]
    assert rows[1].took == timedelta(seconds=2)


def test_a_step_that_is_tried_again_is_not_done() -> None:
    opened = (EntryKind.WAIT_OPENED, "fetch#1", {"operation": "retry"})
    failed = (EntryKind.ATTEMPT_FAILED, "fetch#1", {})
    resolved = (EntryKind.WAIT_RESOLVED, "fetch#1", {"operation": "retry"})
    assert rows_of(journal(failed, opened), {})[0].status == "retrying"
    assert rows_of(journal(failed, opened, resolved), {})[0].status == "running"


def test_a_step_that_has_only_started_is_running_and_one_in_a_scope_is_deeper() -> None:
    rows = rows_of(journal((EntryKind.STARTED, "a#1/b#1", {"operation": "step"})), {})
    assert rows[0].status == "running"
    assert rows[0].depth == 1
    assert rows[0].title == "b#1"


def test_an_unreadable_failure_is_shown_as_it_is() -> None:
    found = failure_of("not json")
    assert found is not None
    assert found.message == "not json"
    assert failure_of(None) is None
