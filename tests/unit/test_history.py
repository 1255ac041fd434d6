"""From journal to history: every kind of entry has its event, and what was told is never told otherwise."""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agentflow import events
from agentflow.clock import to_micros
from agentflow.events import READINGS, Event, WaitEvent, history, type_of
from agentflow.failures import Failure
from agentflow.payloads import encode
from agentflow.records import Entry
from agentflow.states import EntryKind, RunStatus, WaitKind

PAGE = Path(__file__).parents[2] / "docs" / "history.md"
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
ERROR = Failure.of(ValueError("no account")).to_json()


def entry(seq: int, kind: EntryKind, **given: Any) -> Entry:
    empty = dict.fromkeys(("key", "operation", "took", "input", "output", "error", "detail"))
    return Entry(
        **empty | {"epoch": 1, "attempt": 1} | given,
        id=seq,
        run_id="run_1",
        seq=seq,
        kind=kind,
        at=START + timedelta(seconds=seq),
    )


def journal(*told: tuple[EntryKind, dict[str, Any]]) -> list[Entry]:
    return [entry(seq, kind, **given) for seq, (kind, given) in enumerate(told, start=1)]


def of(kind: EntryKind, **given: Any) -> tuple[EntryKind, dict[str, Any]]:
    return kind, given


def only(kind: EntryKind, **given: Any) -> Any:
    [event] = history([entry(1, kind, **given)])
    return event


STEP = {"key": "charge#1", "operation": "step"}
NEXT = START + timedelta(minutes=10)

A_LONG_STORY = journal(
    of(EntryKind.TRIGGERED, detail="api", epoch=0),
    of(EntryKind.ATTEMPT_FAILED, **STEP, error=ERROR, detail=json.dumps({"next_at": to_micros(NEXT)})),
    of(EntryKind.WAIT_OPENED, key="charge#1", operation="retry"),
    of(EntryKind.PARKED, detail="charge#1"),
    of(EntryKind.SUCCEEDED, **STEP, attempt=2, took=timedelta(seconds=2), input="[5]", output=encode(START), epoch=2),
    of(EntryKind.WAIT_OPENED, key="sleep#1", operation="timer", detail=str(to_micros(NEXT)), epoch=2),
    of(EntryKind.SUCCEEDED, key="sleep#1", operation="timer", output="null", epoch=3),
    of(EntryKind.SUCCEEDED, key="sleep#2", operation="timer", output="null", epoch=3),
    of(EntryKind.SUCCEEDED, key="helper#1/gather#1[0]/add#1", operation="step", output="1", epoch=3),
    of(EntryKind.FAILED, key="helper#1/gather#1", operation="gather", error=ERROR, detail=json.dumps({"retry": "x#1"})),
    of(EntryKind.SUCCEEDED, key="helper#1", operation="await", output="1", epoch=3),
    of(EntryKind.RUN_ATTEMPT_FAILED, error=ERROR, detail="charge#1", epoch=3),
    of(EntryKind.SUCCEEDED, key="pay.trigger#1", operation="trigger", output='["run_2", "run_3"]', epoch=4),
    of(EntryKind.WAIT_OPENED, key="pay.result#1", operation="child", detail="run_2", epoch=4),
    of(EntryKind.WAIT_RESOLVED, key="pay.result#1", operation="child", detail="failed", error=ERROR, epoch=0),
    of(EntryKind.RUN_CANCELLED, detail="cancelled by mia: late", epoch=4),
    of(EntryKind.RETRIED, detail="retried by mia", epoch=4),
    of(EntryKind.RUN_COMPLETED, output=encode({"paid": True}), epoch=5),
)


def told(event: Event, *but: str) -> dict[str, Any]:
    common = {"run_id", "seq", "at", "epoch", "attempt", *but}
    return {one.name: getattr(event, one.name) for one in fields(event) if one.name not in common}


def test_every_kind_of_entry_has_its_events() -> None:
    assert set(READINGS) == set(EntryKind)
    assert all(reading.events for reading in READINGS.values())


def test_every_event_comes_from_some_entry_and_is_exported() -> None:
    made = {event for reading in READINGS.values() for event in reading.events}
    values = [getattr(events, name) for name in events.__all__]
    exported = {one for one in values if isinstance(one, type) and issubclass(one, Event)}
    common = {Event, events.OperationEvent, WaitEvent, events.RunSteered}
    assert exported - common == made
    assert all(is_dataclass(one) for one in exported)


def test_the_page_lists_every_kind_and_every_event_with_its_fields() -> None:
    page = PAGE.read_text(encoding="utf-8")
    kinds = re.findall(r"^\| `(\w+)` \| (.+?) \|$", page.partition("<!-- kinds:begin -->")[2], re.MULTILINE)
    wanted = {kind.value: [type_of(event) for event in READINGS[kind].events] for kind in EntryKind}
    assert {kind: re.findall(r"`(\w+)`", named) for kind, named in kinds} == wanted
    shapes = re.findall(r"^\| `(\w+)` \| (.*?) \| .+ \|$", page.partition("<!-- events:begin -->")[2], re.MULTILINE)
    common = {one.name for one in fields(Event)}
    shown = {
        type_of(event): [one.name for one in fields(event) if one.name not in common]
        for reading in READINGS.values()
        for event in reading.events
    }
    assert {name: re.findall(r"`(\w+)`", own) for name, own in shapes} == shown
    assert f"`HISTORY_VERSION` is {events.HISTORY_VERSION}" in page


def test_a_history_has_one_event_for_each_entry_in_order() -> None:
    found = list(history(A_LONG_STORY))
    assert [event.seq for event in found] == list(range(1, len(A_LONG_STORY) + 1))
    assert [event.at for event in found] == [one.at for one in A_LONG_STORY]
    assert [event.type for event in found[:5]] == [
        "run_triggered",
        "operation_failed",
        "wait_opened",
        "turn_ended",
        "operation_succeeded",
    ]


def test_what_is_told_of_a_beginning_does_not_depend_on_what_comes_later() -> None:
    whole = list(history(A_LONG_STORY))
    for end in range(len(whole) + 1):
        assert list(history(A_LONG_STORY[:end])) == whole[:end]


def test_a_failed_attempt_says_when_the_next_one_is_due() -> None:
    failed, opened = list(history(A_LONG_STORY))[1:3]
    assert isinstance(failed, events.OperationFailed)
    assert (failed.is_final, failed.next_at, failed.delay) == (False, NEXT, timedelta(minutes=9, seconds=58))
    assert failed.error is not None
    assert (failed.error.type, failed.error.message) == ("builtins:ValueError", "no account")
    assert isinstance(opened, events.WaitOpened)
    assert (opened.kind, opened.due_at, opened.timeout) == (WaitKind.RETRY, NEXT, timedelta(minutes=9, seconds=57))


def test_the_attempt_is_the_operation_s_or_else_the_run_s() -> None:
    found = list(history(A_LONG_STORY))
    assert found[4].attempt == 2, "of the step"
    assert [one.attempt for one in found if not isinstance(one, events.OperationEvent)] == [1] * 6 + [2] * 4 + [3]


def test_a_timer_that_was_waited_for_fires_and_a_short_pause_is_an_operation() -> None:
    found = list(history(A_LONG_STORY))
    assert told(found[6]) == {
        "key": "sleep#1",
        "kind": WaitKind.TIMER,
        "subject": None,
        "outcome": "fired",
        "by": None,
        "answer": None,
        "error": None,
    }
    assert type(found[7]) is events.OperationSucceeded


def test_an_operation_with_operations_inside_is_a_scope() -> None:
    inner, failed, helper = list(history(A_LONG_STORY))[8:11]
    assert type(inner) is events.OperationSucceeded
    assert isinstance(failed, events.ScopeFailed)
    assert (failed.operations, failed.is_final, failed.retry_key) == (1, True, "x#1")
    assert isinstance(helper, events.ScopeSucceeded)
    assert helper.operations == 2


def test_children_are_told_by_their_runs_and_how_they_ended() -> None:
    made, opened, ended = list(history(A_LONG_STORY))[12:15]
    assert isinstance(made, events.ChildTriggered)
    assert made.run_ids == ("run_2", "run_3")
    assert isinstance(opened, events.WaitOpened)
    assert (opened.kind, opened.subject, opened.due_at, opened.timeout) == (WaitKind.CHILD, "run_2", None, None)
    assert isinstance(ended, events.WaitSatisfied)
    assert (ended.outcome, ended.subject, ended.epoch) == ("failed", "run_2", 0)
    assert ended.error is not None


APPROVAL = {"key": "gate#1", "operation": "approval"}


def test_a_decision_says_who_and_what() -> None:
    asked = journal(
        of(EntryKind.WAIT_OPENED, **APPROVAL, detail=json.dumps({"approval": "apr_1", "digest": "d"})),
        of(
            EntryKind.WAIT_RESOLVED,
            **APPROVAL,
            output='{"x": 1}',
            detail=json.dumps({"approval": "apr_1", "outcome": "corrected", "decided_by": "mia"}),
        ),
    )
    due_at = START + timedelta(days=1)
    opened, decided = history(asked, {"apr_1": due_at})
    assert isinstance(opened, events.WaitOpened)
    assert (opened.subject, opened.due_at, opened.timeout) == (
        "apr_1",
        due_at,
        timedelta(days=1) - timedelta(seconds=1),
    )
    assert isinstance(decided, events.WaitSatisfied)
    assert (decided.subject, decided.outcome, decided.by, decided.answer) == ("apr_1", "corrected", "mia", '{"x": 1}')
    assert history(asked).__next__().to_json()["due_at"] is None


@pytest.mark.parametrize(
    ("operation", "detail"),
    [
        ("approval", json.dumps({"approval": "apr_1", "outcome": "timed_out", "decided_by": "timeout"})),
        ("event", json.dumps({"outcome": "timed_out"})),
        ("callback", json.dumps({"outcome": "timed_out", "callback": "cbk_1"})),
    ],
)
def test_an_answer_that_did_not_come_in_time_is_an_event_of_its_own(operation: str, detail: str) -> None:
    event = only(EntryKind.WAIT_RESOLVED, key="w#1", operation=operation, detail=detail, output="1")
    assert isinstance(event, events.WaitTimedOut)
    assert (event.kind, event.answer) == (operation, "1")


def test_an_event_that_is_waited_for_says_which_and_until_when() -> None:
    detail = json.dumps({"event": "paid:A-17", "due_at": to_micros(NEXT), "since": 0})
    opened = only(EntryKind.WAIT_OPENED, key="event.paid#1", operation="event", detail=detail)
    assert (opened.subject, opened.due_at) == ("paid:A-17", NEXT)


def test_how_a_turn_ended() -> None:
    parked = only(EntryKind.PARKED, detail="a#1,b#1")
    assert (parked.how, parked.keys) == ("parked", ("a#1", "b#1"))
    assert only(EntryKind.PARKED, detail="a#1,b#1,…980 more").keys == ("a#1", "b#1")
    assert only(EntryKind.REQUEUED, detail="the worker stopped").how == events.TurnEnd.HANDED_BACK
    assert only(EntryKind.RECOVERED, detail="worker wrk_1 was lost").reason == "worker wrk_1 was lost"


def test_what_stops_a_run_says_why() -> None:
    detail = json.dumps({"recorded": "step a#1", "asked": "step b#1", "key": "a#1"})
    diverged = only(EntryKind.DIVERGED, detail=detail, error=ERROR)
    assert (diverged.recorded, diverged.asked, diverged.key) == ("step a#1", "step b#1", "a#1")
    assert only(EntryKind.QUARANTINED, detail="6 workers were lost", error=ERROR).reason == "6 workers were lost"


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        (EntryKind.PAUSED, events.RunPaused),
        (EntryKind.RESUMED, events.RunResumed),
        (EntryKind.RETRIED, events.RunRetried),
        (EntryKind.FORKED, events.RunForked),
        (EntryKind.UNDOING, events.RunUndoing),
    ],
)
def test_whoever_steered_the_run_is_named(kind: EntryKind, event: type[events.RunSteered]) -> None:
    assert told(only(kind, detail="by mia"), "corrections", "error") == {"reason": "by mia"}
    assert type(only(kind, detail="by mia")) is event


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (EntryKind.RUN_COMPLETED, RunStatus.COMPLETED),
        (EntryKind.RUN_FAILED, RunStatus.FAILED),
        (EntryKind.RUN_CANCELLED, RunStatus.CANCELLED),
        (EntryKind.RUN_EXPIRED, RunStatus.EXPIRED),
    ],
)
def test_the_end_says_which_it_was(kind: EntryKind, status: RunStatus) -> None:
    assert only(kind, output="1").status is status
    assert only(kind, detail='{"retry": "charge#1"}').retry_key == "charge#1"
    assert only(kind, detail="cancelled by mia").reason == "cancelled by mia"


def test_as_json_an_event_is_plain() -> None:
    found = list(history(A_LONG_STORY))
    for event in found:
        assert json.loads(json.dumps(event.to_json())) == event.to_json()
    assert found[4].to_json() == {
        "type": "operation_succeeded",
        "run_id": "run_1",
        "seq": 5,
        "at": "2026-01-05T09:00:05+00:00",
        "epoch": 2,
        "attempt": 2,
        "key": "charge#1",
        "operation": "step",
        "took": 2.0,
        "input": [5],
        "result": "2026-01-05T09:00:00+00:00",
    }
    assert found[1].to_json()["error"]["message"] == "no account"
    assert found[3].to_json()["keys"] == ["charge#1"]


def test_a_failure_that_cannot_be_read_is_shown_as_it_is() -> None:
    event = only(EntryKind.FAILED, **STEP, error="broken")
    assert (event.error.type, event.error.message) == ("unreadable", "broken")


def test_a_document_says_its_version() -> None:
    document = events.document("run_1", history(A_LONG_STORY[:1]))
    assert (document["version"], document["run_id"], len(document["events"])) == (1, "run_1", 1)
