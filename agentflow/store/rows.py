"""Rows become records here, at the edge of the store, and nowhere else."""

from __future__ import annotations

from dataclasses import MISSING, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from agentflow import records
from agentflow.clock import from_micros
from agentflow.errors import StoreUnusable
from agentflow.states import (
    ApprovalStatus,
    CallbackStatus,
    DeliveryOutcome,
    DispatchStatus,
    EntryKind,
    MatchStatus,
    OccurrenceKind,
    OccurrenceOutcome,
    Overlap,
    ParentClose,
    RunStatus,
    WaitKind,
)
from agentflow.store import brevity, tables
from agentflow.store.statements import columns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sqlalchemy import Table

    from agentflow.store.transaction import Row

R = TypeVar("R")


def table_of(row: type[tables.Base]) -> Table:
    """The SQLAlchemy table of a row class."""
    table: Table = row.__table__  # type: ignore[attr-defined]
    return table


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _span(micros: int | None) -> timedelta | None:
    return None if micros is None else timedelta(microseconds=micros)


def _converter(record: type[R], row: type[tables.Base], converts: Mapping[str, Any]) -> Callable[[Row], R]:
    """A function from a full row of the table to the record; columns the record lacks are dropped."""
    wanted = set(record.__dataclass_fields__)  # type: ignore[attr-defined]
    plan: list[tuple[int, str, Any]] = [
        (index, name, converts.get(name)) for index, name in enumerate(columns(table_of(row))) if name in wanted
    ]
    missing = {one.name for one in fields(record) if one.default is MISSING} - {name for _, name, _ in plan}  # type: ignore[arg-type]
    if missing:
        raise AssertionError(f"{record.__name__} has fields that {row.__name__} does not store: {missing}")

    def convert(values: Row) -> R:
        try:
            return record(**{name: values[i] if to is None else to(values[i]) for i, name, to in plan})
        except (ValueError, OverflowError) as error:
            raise StoreUnusable(
                f"{record.__name__} {values[0]!r} cannot be read ({error}): a newer agentflow wrote it, "
                "or the database is damaged"
            ) from error

    return convert


def status(text: str) -> RunStatus:
    """The status of this name. Raises `StoreUnusable` for what is none."""
    try:
        return RunStatus(text)
    except ValueError as error:
        raise StoreUnusable(f"{error}: a newer agentflow wrote it, or the database is damaged") from error


_run = _converter(
    records.Run,
    tables.RunRow,
    {"status": RunStatus, "on_parent_close": ParentClose}
    | dict.fromkeys(("available_at", "deadline_at", "created_at", "started_at", "finished_at"), _instant)
    | dict.fromkeys(("expires_at", "pruned_at"), _instant),
)
_ROOT = columns(table_of(tables.RunRow)).index("root_id")


def run(values: Row) -> records.Run:
    """The run of a full row. One that is its own root does not say its id twice."""
    return _run(values if values[_ROOT] else (*values[:_ROOT], values[0], *values[_ROOT + 1 :]))


_entry = _converter(records.Entry, tables.EntryRow, {"kind": EntryKind, "at": from_micros, "took": _span})
_KIND, _DETAIL = (columns(table_of(tables.EntryRow)).index(name) for name in ("kind", "detail"))


def entry(values: Row) -> records.Entry:
    """The entry of a full row. Of an approval that is asked for, its detail is stored in few letters."""
    detail = values[_DETAIL]
    if detail is None or values[_KIND] != EntryKind.WAIT_OPENED.value:
        return _entry(values)
    return _entry((*values[:_DETAIL], brevity.long_asked(detail), *values[_DETAIL + 1 :]))


log_line = _converter(records.LogLine, tables.LogRow, {"at": from_micros})
wait = _converter(records.Wait, tables.WaitRow, {"kind": WaitKind, "opened_at": from_micros, "due_at": _instant})
event = _converter(records.Event, tables.EventRow, {"sent_at": from_micros})
callback = _converter(
    records.Callback,
    tables.CallbackRow,
    {"status": CallbackStatus} | dict.fromkeys(("due_at", "lapses_at", "created_at", "resolved_at"), _instant),
)
approval = _converter(
    records.Approval,
    tables.ApprovalRow,
    {"status": ApprovalStatus, "allow": brevity.long_allow, "digest": brevity.long_digest}
    | dict.fromkeys(("field_confidence", "evidence", "tags"), brevity.long_object)
    | dict.fromkeys(("created_at", "deadline_at", "decided_at"), _instant),
)
thread_part = _converter(records.ThreadPart, tables.ThreadPartRow, {"at": from_micros})
chunk = _converter(records.Chunk, tables.ChunkRow, {})
standing = _converter(
    records.Standing,
    tables.StandingRow,
    dict.fromkeys(("created_at", "expires_at", "revoked_at"), _instant),
)
worker = _converter(
    records.Worker,
    tables.WorkerRow,
    dict.fromkeys(("started_at", "lease_until"), from_micros) | {"draining_at": _instant},
)
schedule = _converter(
    records.Schedule,
    tables.ScheduleRow,
    {"spread": _span, "overlap": Overlap}
    | dict.fromkeys(("next_fire_at", "last_fire_at", "created_at", "start_at", "end_at", "plan_from"), _instant)
    | dict.fromkeys(("paused_at", "changed_at"), _instant),
)
occurrence = _converter(
    records.Occurrence,
    tables.OccurrenceRow,
    {"kind": OccurrenceKind, "outcome": OccurrenceOutcome} | dict.fromkeys(("fire_at", "created_at"), from_micros),
)
backfill = _converter(
    records.Backfill,
    tables.BackfillRow,
    {"overlap": Overlap}
    | dict.fromkeys(("since", "until", "cursor", "created_at"), from_micros)
    | {"finished_at": _instant},
)
schedule_change = _converter(records.ScheduleChange, tables.ScheduleChangeRow, {"at": from_micros})
delivery = _converter(records.Delivery, tables.DeliveryRow, {"outcome": DeliveryOutcome, "received_at": from_micros})
subscription = _converter(
    records.Subscription,
    tables.SubscriptionRow,
    dict.fromkeys(("previous_until", "created_at", "disabled_at"), _instant),
)
dispatch = _converter(
    records.Dispatch,
    tables.DispatchRow,
    {"status": DispatchStatus} | dict.fromkeys(("next_at", "created_at", "delivered_at"), _instant),
)
listener = _converter(records.Listener, tables.ListenerRow, dict.fromkeys(("created_at", "declared_at"), from_micros))
match = _converter(
    records.Match, tables.MatchRow, {"status": MatchStatus} | dict.fromkeys(("created_at", "settled_at"), _instant)
)
api_token = _converter(
    records.ApiToken,
    tables.ApiTokenRow,
    dict.fromkeys(("created_at", "expires_at", "revoked_at", "last_used_at"), _instant),
)
session = _converter(records.Session, tables.SessionRow, {"created_at": from_micros, "seen_at": from_micros})
