"""Every statement the store runs finds its rows by an index: none reads a table that grows from end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow.states import MatchStatus
from agentflow.store import (
    access,
    blobs,
    claiming,
    decisions,
    journal,
    liveness,
    maintenance,
    outcomes,
    reads,
    runs,
    standings,
    triggering,
)
from agentflow.store.listening import listeners, matches, settling
from agentflow.store.queueing import admitting, collecting, governing, lines, queues, spending, standing
from agentflow.store.receiving import deliveries, listing
from agentflow.store.scheduling import backfills, declaring, firing, needs, occurrences, stored
from agentflow.store.spending import budgets, chunks, costs, outlook, rates, threads, usage
from agentflow.store.sqlite.store import SqliteStore
from agentflow.store.statements import Statement
from agentflow.store.steering import alarms, control, ending, forking
from agentflow.store.telling import dispatches, reading, subscriptions
from agentflow.store.waiting import callbacks, events, expiring, streams, waits
from tests.support.stores import a_gated_run

if TYPE_CHECKING:
    from sqlite3 import Connection

MODULES = (
    access,
    admitting,
    alarms,
    backfills,
    blobs,
    budgets,
    callbacks,
    chunks,
    claiming,
    collecting,
    control,
    decisions,
    declaring,
    deliveries,
    dispatches,
    ending,
    events,
    expiring,
    firing,
    forking,
    governing,
    journal,
    lines,
    listeners,
    listing,
    liveness,
    maintenance,
    matches,
    needs,
    occurrences,
    outcomes,
    queues,
    rates,
    reading,
    reads,
    runs,
    settling,
    spending,
    standing,
    standings,
    stored,
    streams,
    subscriptions,
    threads,
    triggering,
    usage,
    waits,
)
STATEMENTS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": value
    for module in MODULES
    for name, value in vars(module).items()
    if isinstance(value, Statement)
}
WHOLE_TABLES = {
    "reads.WORKERS": "as many rows as processes",
    "stored.ALL": "as many rows as schedules",
    "reads.COUNT_RUNS": "counts every run, along an index",
    "reads.COUNT_PENDING": "counts every pending approval, along an index",
    "maintenance.ABANDONED": "reads the running runs, along an index",
    "reads.HEAD": "the last row only",
    "queues.QUEUES": "as many rows as queues",
    "queues.COUNT_NEW": "counts the runs that line up, along an index",
    "queues.COUNT_AGAIN": "counts the runs that line up, along an index",
    "queues.COUNT_DEFAULT": "counts the runs that line up, along an index",
    "queues.COUNT_BUSY": "counts the running runs, along an index",
    "queues.COUNT_BUSY_DEFAULT": "counts the running runs, along an index",
    "events.LATEST": "reads the latest, along an index",
    "events.LAST": "looks whether there is one of as many rows as listeners in the code",
    "listeners.LISTENERS": "as many rows as listeners in the code",
    "matches.LISTENING": "as many rows as listeners in the code",
    "listeners.FAIL_LEFT": "looks at what is to be settled, along an index",
    "matches.WAITING": "counts what is to be settled, along an index",
    "chunks.CLEAR": "as many rows as one sweep looks at, the oldest",
    "backfills.NEWEST": "reads the latest, along an index",
    "backfills.OPEN": "reads the open ones, along an index",
    "needs.SCHEDULERS": "looks whether there is one, along an index each",
    "occurrences.OLDEST_QUEUED": "reads the queued ones, along an index",
    "standings.NEWEST": "reads the latest, along an index",
    "access.NEWEST": "reads the latest, along an index",
    "subscriptions.ALL": "as many rows as subscriptions",
    "subscriptions.ENABLED": "as many rows as subscriptions",
    "standings.HOLDING": "reads the latest, along an index",
}
PAGES = {
    "the texts of blobs": (blobs._find(3), "sqlite_autoindex_agentflow_blob_1"),
    "the inbox": (reads._approvals(True, False, False, False), "ix_agentflow_approval_inbox"),
    "a later page of the inbox": (reads._approvals(True, False, False, True), "ix_agentflow_approval_inbox"),
    "resolved approvals": (reads._approvals(False, False, False, False), "ix_agentflow_approval_decided_at"),
    "a later page of resolved ones": (reads._approvals(False, False, False, True), "ix_agentflow_approval_decided_at"),
    "a run's approvals": (reads._approvals(None, True, False, False), "ix_agentflow_approval_run_id"),
    "runs in a status": (reads._runs(("failed",), frozenset(), 0, False, True), "ix_agentflow_run_status"),
    "a run's children": (reads._runs((), frozenset({"parent_id"}), 0, False, False), "ix_agentflow_run_parent_id"),
    "all runs": (reads._runs((), frozenset(), 0, False, True), "sqlite_autoindex_agentflow_run_1"),
    "runs of a tag": (reads._runs((), frozenset(), 1, False, True), "first USING PRIMARY KEY (tag=?"),
    "runs of two tags": (reads._runs((), frozenset(), 2, False, False), "first USING PRIMARY KEY (tag=?"),
    "due runs": (lines.standing(lines.Line.DEFAULT, 3, 2, of_key=False), "ix_agentflow_run_due"),
    "due runs of a queue": (lines.standing(lines.Line.NEW, 3, 0, of_key=False), "ix_agentflow_run_new"),
    "due runs of a key": (lines.standing(lines.Line.NEW, 3, 0, of_key=True), "ix_agentflow_run_new_by_key"),
    "runs that go on": (lines.standing(lines.Line.AGAIN, 3, 0, of_key=False), "ix_agentflow_run_again"),
    "runs of a key that go on": (lines.standing(lines.Line.AGAIN, 3, 0, of_key=True), "ix_agentflow_run_again_by_key"),
    "the queues with new runs": (lines.NEXT_NAME, "ix_agentflow_run_new"),
    "the queues with runs that go on": (lines.NEXT_NAME, "ix_agentflow_run_again"),
    "the keys of a queue": (lines.NEXT_KEY, "ix_agentflow_run_new_by_key"),
    "the next run of a queue": (lines.NEXT_TIME, "ix_agentflow_run_new"),
    "what runs in a queue": (governing.BUSY, "ix_agentflow_run_busy"),
    "how many line up": (admitting.LINED_UP, "ix_agentflow_run_new"),
    "who has a singleton's key": (admitting.HOLDER, "uq_agentflow_run_singleton"),
    "what gathers triggers": (collecting.FOUND, "uq_agentflow_run_collecting"),
    "runs not started in time": (expiring.OVERDUE, "ix_agentflow_run_expiry"),
    "the next one not started in time": (expiring.NEXT, "ix_agentflow_run_expiry"),
    "what was spent before": (spending.BEFORE, "ix_agentflow_spend_bucket_at"),
    "what was spent last": (spending.LAST, "ix_agentflow_spend_bucket_at"),
    "what is released next": (spending.RELEASES, "ix_agentflow_spend_bucket_at"),
    "a queue's changes": (queues.CHANGES, "ix_agentflow_queue_change_queue_id"),
    "schedules to be planned": (stored.UNPLANNED, "ix_agentflow_schedule_plan_from"),
    "whether a schedule is to be planned": (needs.SCHEDULERS, "ix_agentflow_schedule_plan_from"),
    "whether a schedule is due": (needs.SCHEDULERS, "ix_agentflow_schedule_next_fire_at"),
    "whether an occurrence is queued": (needs.SCHEDULERS, "ix_agentflow_occurrence_queued"),
    "whether a backfill is open": (needs.SCHEDULERS, "ix_agentflow_backfill_open"),
    "schedules that are due": (stored.DUE, "ix_agentflow_schedule_next_fire_at"),
    "a schedule's changes": (stored.CHANGES, "ix_agentflow_schedule_change_schedule_id"),
    "a schedule's occurrences": (occurrences.PAGE, "sqlite_autoindex_agentflow_occurrence_1"),
    "the latest occurrences of some schedules": (occurrences._latest(3), "sqlite_autoindex_agentflow_occurrence_1"),
    "a schedule's runs of late": (occurrences.OPEN_RUNS, "ix_agentflow_occurrence_started"),
    "how many occurrences are queued": (occurrences.COUNT_QUEUED, "ix_agentflow_occurrence_queued"),
    "the oldest queued occurrences": (occurrences.OLDEST_QUEUED, "ix_agentflow_occurrence_queued"),
    "open backfills": (backfills.OPEN, "ix_agentflow_backfill_open"),
    "a schedule's backfills": (backfills.OF_SCHEDULE, "ix_agentflow_backfill_schedule_id_created_at"),
    "the latest backfills": (backfills.NEWEST, "sqlite_autoindex_agentflow_backfill_1"),
    "overdue approvals": (decisions.OVERDUE, "ix_agentflow_approval_deadline"),
    "overdue runs": (maintenance.OVERDUE, "ix_agentflow_run_deadline"),
    "the next run": (lines.NEXT_DEFAULT_TIME, "ix_agentflow_run_due"),
    "the next deadline of a run": (maintenance.NEXT_DEADLINE, "ix_agentflow_run_deadline"),
    "the next deadline of an approval": (maintenance.NEXT_APPROVAL, "ix_agentflow_approval_deadline"),
    "the latest deliveries": (listing.listing(frozenset(), False), "ix_agentflow_delivery_received_at"),
    "a later page of deliveries": (listing.listing(frozenset(), True), "ix_agentflow_delivery_received_at"),
    "deliveries of an outcome": (
        listing.listing(frozenset({"outcome"}), True),
        "ix_agentflow_delivery_outcome_received_at",
    ),
    "a webhook's deliveries": (
        listing.listing(frozenset({"webhook"}), True),
        "ix_agentflow_delivery_webhook_received_at",
    ),
    "a webhook's deliveries of an outcome": (
        listing.listing(frozenset({"webhook", "outcome"}), True),
        "ix_agentflow_delivery_webhook_outcome_received_at",
    ),
    "the delivery that counts": (deliveries.FIRST, "uq_agentflow_delivery_delivery_id_webhook"),
    "what counts of an id": (listing.of_id(True)[0], "uq_agentflow_delivery_delivery_id_webhook"),
    "what counts of an id anywhere": (listing.of_id(False)[0], "uq_agentflow_delivery_delivery_id_webhook"),
    "other deliveries of an id": (listing.of_id(True)[1], "ix_agentflow_delivery_others"),
    "other deliveries of an id anywhere": (listing.of_id(False)[1], "ix_agentflow_delivery_others"),
    "the conflict of a body": (deliveries.CONFLICT, "ix_agentflow_delivery_others"),
    "what a person started of a refused one": (deliveries.REDELIVERED, "ix_agentflow_delivery_others"),
    "a worker's runs": (maintenance.HELD, "ix_agentflow_run_held"),
    "what a run waits for": (waits.OF_RUN, "ix_agentflow_approval_run_id"),
    "approvals to withdraw": (waits.WITHDRAW_ALL, "ix_agentflow_approval_run_id"),
    "who waits for a run": (waits.FOR_CHILD, "ix_agentflow_wait_subject"),
    "who waits for an event": (waits.FOR_SUBJECT, "ix_agentflow_wait_subject"),
    "what a run that ends leaves behind": (waits.LEFT, "ix_agentflow_wait_subject"),
    "overdue waits": (events.OVERDUE, "ix_agentflow_wait_due"),
    "the next overdue wait": (events.NEXT_DUE, "ix_agentflow_wait_due"),
    "the first event since": (streams.SINCE, "ix_agentflow_event_name_key_sent_at"),
    "the next message": (streams.AFTER, "uq_agentflow_event_name_key_seq"),
    "the last message": (events.LAST, "uq_agentflow_event_name_key_seq"),
    "the latest events": (events.LATEST, "ix_agentflow_event_sent_at"),
    "what listeners are to be asked about": (matches.pending_of(3), "ix_agentflow_match_pending"),
    "what became of events": (matches.of_events(3), "sqlite_autoindex_agentflow_match_1"),
    "the latest matches": (matches.latest(False, None), "ix_agentflow_match_created_at"),
    "the latest that failed": (matches.latest(False, MatchStatus.FAILED), "ix_agentflow_match_failed"),
    "a listener's matches": (matches.latest(True, None), "ix_agentflow_match_listener_id_created_at"),
    "a listener's matches that failed": (
        matches.latest(True, MatchStatus.FAILED),
        "ix_agentflow_match_listener_id_created_at",
    ),
    "what waits for listeners that are gone": (listeners.FAIL_LEFT, "ix_agentflow_match_pending"),
    "the callback of a token": (callbacks.BY_DIGEST, "uq_agentflow_callback_token_digest"),
    "a run's callbacks": (callbacks.OF_RUN, "ix_agentflow_callback_run_id_key"),
    "overdue callbacks": (callbacks.OVERDUE, "ix_agentflow_callback_lapses_at"),
    "the next overdue callback": (callbacks.NEXT_DUE, "ix_agentflow_callback_lapses_at"),
    "callbacks to withdraw": (waits.WITHDRAW_CALLBACKS, "ix_agentflow_callback_run_id_key"),
    "the next entry's number": (journal.APPEND, "uq_agentflow_journal_run_id_seq"),
    "the journals of the runs a claim took": (journal._of_runs(4), "uq_agentflow_journal_run_id_seq"),
    "what a run used within a scope": (usage.BY_SCOPE, "ix_agentflow_usage_run_id_key"),
    "what the runs below a run used": (usage.BY_ALL, "ix_agentflow_run_parent_id"),
    "whether any budget is held": (outlook.GLANCE, "ix_agentflow_run_budget_root_id"),
    "whether there is mail": (outlook.GLANCE, "uq_agentflow_event_name_key_seq"),
    "the budgets over an operation": (budgets.OF_RUN, "sqlite_autoindex_agentflow_run_budget_1"),
    "what an operation said in a conversation": (threads.OF_OPERATION, "uq_agentflow_thread_part_run_id_key"),
    "a conversation": (threads.PARTS_UPTO, "sqlite_autoindex_agentflow_thread_part_1"),
    "what a run is saying": (chunks.AFTER, "ix_agentflow_chunk_run_id_id"),
    "the costs of a span": (costs._summed("model", "task"), "ix_agentflow_usage_books"),
    "who may decide a call ahead": (standings.FOR_CALLS, "ix_agentflow_standing_calls"),
    "what people decided about such calls": (standings.CALLS, "ix_agentflow_approval_calls"),
    "what is due to a subscriber": (dispatches.DUE, "ix_agentflow_dispatch_due"),
    "dispatches": (dispatches._listing("", False, True), "ix_agentflow_dispatch_created_at"),
    "dispatches to one": (dispatches._listing("", True, True), "ix_agentflow_dispatch_subscription_id_created_at"),
    "dispatches that failed": (dispatches._listing("failed", False, True), "ix_agentflow_dispatch_undelivered"),
    "what subscribers may be told of": (reading.UNREAD, "agentflow_journal USING INTEGER PRIMARY KEY"),
    "approvals of a moment": (reading.APPROVALS_AT, "ix_agentflow_approval_run_id"),
    "the run of a key": (triggering.BY_KEY, "uq_agentflow_run_task_idempotency_key"),
}
SORTED = {
    "a run's approvals",
    "a run's children",
    "a run's callbacks",
    "who waits for an event",
    "the budgets over an operation",
    "the latest occurrences of some schedules",
    "what counts of an id",
    "what counts of an id anywhere",
    "other deliveries of an id anywhere",
}
SORTED_WITHIN_AN_INSTANT = {"the inbox", "a later page of the inbox"}
IN_ORDER = {name for name in PAGES if name not in SORTED}


def plan_of(connection: Connection, statement: Statement) -> list[str]:
    names = dict.fromkeys(_parameters(statement.sqlite), 1)
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement.sqlite}", names)]


def _parameters(sql: str) -> list[str]:
    return [word.strip("(),;") for part in sql.split(":")[1:] for word in part.replace(")", " ").split()[:1]]


def test_every_module_of_the_store_is_looked_at() -> None:
    assert len(STATEMENTS) > 40


@pytest.mark.parametrize("name", sorted(STATEMENTS))
async def test_no_statement_reads_a_whole_table(store: SqliteStore, outside: Connection, name: str) -> None:
    plan = plan_of(outside, STATEMENTS[name])
    read_whole = [line for line in plan if line.startswith("SCAN agentflow_")]
    along_an_index = all("USING" in line for line in read_whole)

    assert not read_whole or name in WHOLE_TABLES, plan
    assert along_an_index or "as many rows" in WHOLE_TABLES[name] or name == "reads.HEAD", plan


@pytest.mark.parametrize("name", PAGES)
async def test_a_listing_uses_its_index_and_sorts_nothing(store: SqliteStore, outside: Connection, name: str) -> None:
    """So a page costs the same whichever it is, and however much there is besides."""
    await a_gated_run(store)
    statement, index = PAGES[name]
    plan = plan_of(outside, statement)

    assert any(index in line for line in plan), plan
    sorts = [line for line in plan if "TEMP B-TREE" in line]
    is_within = sorts == ["USE TEMP B-TREE FOR LAST TERM OF ORDER BY"] and name in SORTED_WITHIN_AN_INSTANT
    assert name not in IN_ORDER or not sorts or is_within, plan
