"""Checking: each broken promise is found by name, a sound database has none, on either kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow.store.keeping.checking import check
from agentflow.store.keeping.places import FilePlace, place_of
from agentflow.store.sqlite.file import connect
from tests.support.stores import a_trigger

if TYPE_CHECKING:
    from agentflow.store.keeping.checking import Finding
    from tests.support.stores import Database

QUEUED = "WHERE status = 'queued'"
COMPLETED = "WHERE id = (SELECT min(id) FROM agentflow_run WHERE status = 'completed')"
CALLBACK = "agentflow_callback (id, run_id, key, token_digest, status, created_at)"
PART = "agentflow_thread_part (thread, seq, run_id, key, at, messages, count)"
SCHEDULE = "agentflow_schedule (id, task, rule, timezone, input, created_at, plan_from, paused_at)"
OCCURRENCE = "agentflow_occurrence (schedule_id, fire_at, created_at)"
BACKFILL = "agentflow_backfill (id, schedule_id, since, until, cursor, overlap, started, requested_by, created_at)"
DELIVERY = "agentflow_delivery (id, webhook, delivery_id, digest, received_at)"
SUBSCRIPTION = "agentflow_subscription (id, url, events, secret, cursor, created_at, created_by, disabled_at)"
DISPATCH = (
    "agentflow_dispatch (id, subscription_id, event, key, run_id, entry_id, payload, status, attempts, created_at, "
    "next_at)"
)
EVENT = "agentflow_event (id, name, key, seq, payload, digest, sent_by, sent_at)"
MATCH = "agentflow_match (event_id, listener_id, status, created_at, settled_at)"
PAID = f"INSERT INTO {EVENT} VALUES ('evt', 'n', 'k', 99, '1', 'd', 'mia', 1)"
SUBSCRIBED = f"INSERT INTO {SUBSCRIPTION} VALUES ('s', 'u', '[]', 'w', 1, 1, 'mia', NULL)"
BREAKS = {
    "journals with gaps or doubles": ["DELETE FROM agentflow_journal WHERE seq = 2"],
    "runs without a journal": [
        "DELETE FROM agentflow_journal WHERE run_id = (SELECT min(run_id) FROM agentflow_journal)"
    ],
    "runs whose journal is of a later epoch than they are": [f"UPDATE agentflow_run SET epoch = 0 {COMPLETED}"],
    "runs that have ended and not ended at once": [f"UPDATE agentflow_run SET finished_at = NULL {COMPLETED}"],
    "runs whose journal does not tell of their end": [
        "UPDATE agentflow_journal SET kind = 'noted' WHERE kind = 'run_completed'"
    ],
    "open runs whose parent is missing": [f"UPDATE agentflow_run SET parent_id = 'run_gone' {QUEUED}"],
    "runs that have ended and still wait": [
        "UPDATE agentflow_run SET status = 'failed', finished_at = 1 WHERE status = 'waiting'"
    ],
    "conversations with gaps or doubles": [f"INSERT INTO {PART} VALUES ('t', 2, 'run', 'k', 1, '[]', 0)"],
    "log lines of runs that are missing": [
        "INSERT INTO agentflow_log (run_id, epoch, at, level, logger, message) VALUES ('gone', 1, 1, 'I', 't', 'm')"
    ],
    "occurrences that started a run, and no run to show for it": [f"INSERT INTO {OCCURRENCE} VALUES ('s', 1, 1)"],
    "paused schedules that would fire all the same": [
        f"INSERT INTO {SCHEDULE} VALUES ('s', 't', 'every 1m', 'UTC', '{{}}', 1, 1, 1)"
    ],
    "backfills of a schedule that is gone, which nobody will end": [
        f"INSERT INTO {BACKFILL} VALUES ('b', 's', 1, 2, 1, 'allow', 0, 'mia', 1)"
    ],
    "events that started a task that listens, and no run to show for it": [
        PAID,
        f"INSERT INTO {MATCH} VALUES ('evt', 'l', 'started', 1, 1)",
    ],
    "events that are to be shown to a task that listens, and were": [
        PAID,
        f"INSERT INTO {MATCH} VALUES ('evt', 'l', 'pending', 1, 1)",
    ],
    "webhook deliveries that started a run, and no run to show for it": [
        f"INSERT INTO {DELIVERY} VALUES ('dlv', '/github', '1', 'd', 1)"
    ],
    "large payloads missing from agentflow_delivery.body": [
        f"INSERT INTO {DELIVERY} VALUES ('dlv', '/github', '1', 'd', 1)",
        f"UPDATE agentflow_delivery SET body = 'blob:{64 * 'a'}:200000'",
    ],
    "dispatches that are on their way and will never be sent, or the reverse": [
        SUBSCRIBED,
        f"INSERT INTO {DISPATCH} VALUES ('msg', 's', 'e', 'k', 'r', 1, '1', 'pending', 0, 1, NULL)",
    ],
    "dispatches on their way to a subscription that is disabled": [
        SUBSCRIBED,
        "UPDATE agentflow_subscription SET disabled_at = 1",
        f"INSERT INTO {DISPATCH} VALUES ('msg', 's', 'e', 'k', 'r', 1, '1', 'pending', 0, 1, 1)",
    ],
    "subscriptions that have come further than the journal, and would not be told of what comes next": [
        SUBSCRIBED,
        "UPDATE agentflow_subscription SET cursor = 1 + (SELECT max(id) FROM agentflow_journal)",
    ],
    "runs that are not found by the tags they have": [f"UPDATE agentflow_run SET tags = '[\"eu\"]' {COMPLETED}"],
    "waits for an approval beside the approval itself": [
        "UPDATE agentflow_wait SET kind = 'approval' WHERE kind = 'event'"
    ],
    "waits for a callback that is resolved or missing": [
        "UPDATE agentflow_wait SET kind = 'callback' WHERE kind = 'event'"
    ],
    "waits for a child that has ended or is missing": [
        f"UPDATE agentflow_wait SET subject = (SELECT id FROM agentflow_run {COMPLETED}) WHERE kind = 'event'",
        "UPDATE agentflow_wait SET kind = 'child' WHERE kind = 'event'",
    ],
    "pending approvals of runs that have ended": [
        f"UPDATE agentflow_approval SET run_id = (SELECT id FROM agentflow_run {COMPLETED}) WHERE status = 'pending'"
    ],
    "pending approvals of one gate": [
        f"UPDATE agentflow_approval SET run_id = (SELECT id FROM agentflow_run {COMPLETED})",
        "UPDATE agentflow_approval SET status = 'pending', key = 'k'",
    ],
    "pending callbacks of runs that have ended": [
        f"INSERT INTO {CALLBACK} SELECT 'cbk', id, 'k', 't', 'pending', 1 FROM agentflow_run {COMPLETED}"
    ],
    "decided approvals without a decision that says the same": [
        "UPDATE agentflow_approval SET status = 'rejected' WHERE status = 'approved'"
    ],
    "decisions of approvals that are not decided": [
        "UPDATE agentflow_approval SET status = 'timed_out' WHERE status = 'approved'"
    ],
    "open runs that nothing would ever move on": [f"UPDATE agentflow_run SET available_at = NULL {QUEUED}"],
    "approvals whose data is not what was asked": [
        "UPDATE agentflow_approval SET data = '{\"number\":\"99\"}' WHERE status = 'pending'"
    ],
    "decisions whose data is not what was decided": ['UPDATE agentflow_decision SET final = \'{"number":"99"}\''],
    "large payloads missing from agentflow_approval.data": ["DELETE FROM agentflow_blob"],
    "large payloads that are not what they were": ["UPDATE agentflow_blob SET content = replace(content, 'xx', 'xy')"],
}


def found_in(database: Database) -> dict[str, Finding]:
    heard: list[str] = []
    with place_of(database.url) as place:
        found = {one.said: one for one in check(place, heard.append)}
    assert set(found) <= set(heard)
    return found


def run(database: Database, *commands: str) -> None:
    if database.url.startswith("sqlite"):
        connection = connect(FilePlace(database.url).path)
        connection.execute("PRAGMA foreign_keys = OFF")
        for command in commands:
            connection.execute(command)
        connection.close()
        return
    with place_of(database.url) as place:
        for command in commands:
            place.run(command)


async def test_a_sound_database_has_nothing_to_be_found(database: Database) -> None:
    assert found_in(database) == {}


@pytest.mark.parametrize("said", BREAKS)
async def test_a_broken_promise_is_found_by_name(database: Database, said: str) -> None:
    run(database, *BREAKS[said])
    found = found_in(database)
    assert said in found
    assert found[said].count >= 1
    assert 1 <= len(found[said].ids) <= 5


async def test_many_are_counted_and_a_few_named(database: Database) -> None:
    store = await database.open()
    await store.trigger_many([a_trigger() for _ in range(12)])
    await store.close()
    database.opened.remove(store)
    run(database, "DELETE FROM agentflow_journal WHERE run_id IN (SELECT id FROM agentflow_run WHERE task = 'review')")
    found = found_in(database)["runs without a journal"]
    assert (found.count, len(found.ids)) == (12, 5)


async def test_a_row_that_refers_to_a_missing_one_is_found(database: Database) -> None:
    if not database.url.startswith("sqlite"):
        pytest.skip("a server does not let it be written")
    run(
        database,
        "INSERT INTO agentflow_journal (run_id, seq, kind, epoch, attempt, at) VALUES ('gone', 1, 'noted', 1, 1, 1)",
    )
    assert "rows that refer to a missing one" in found_in(database)
