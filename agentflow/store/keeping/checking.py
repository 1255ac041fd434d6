"""Looking for what should not be: damage to the database, and promises that its rows break.

Each question is a query of its own that gives the ids of what it finds, so a check needs little memory however large
the database is, and holds up nobody who writes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from sqlalchemy import Text

from agentflow.approvals.digest import approval_digest
from agentflow.errors import StoreUnusable
from agentflow.payloads import canonical, digest
from agentflow.states import DECIDED, TERMINAL
from agentflow.store import tables
from agentflow.store.blobs import MARK
from agentflow.store.brevity import long_digest
from agentflow.store.keeping.places import FilePlace, Place
from agentflow.store.statements import consts
from agentflow.store.steering.alarms import STUCK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MOST_NAMED: Final = 5
DAMAGE: Final = "damage to the file"
MOST_STUCK: Final = 1000
_ENDED: Final = ", ".join(str(one) for one in consts(TERMINAL))
_DECIDED: Final = ", ".join(str(one) for one in consts(DECIDED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that should not be: what, how often, and the ids of the first."""

    said: str
    count: int
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for, and how: the first column names what is found."""

    said: str
    query: str


RUNS: Final = (
    Question(
        "journals with gaps or doubles",
        "SELECT run_id FROM agentflow_journal GROUP BY run_id HAVING min(seq) <> 1 OR count(*) <> max(seq)",
    ),
    Question(
        "runs without a journal",
        "SELECT id FROM agentflow_run r WHERE pruned_at IS NULL "
        "AND NOT EXISTS (SELECT 1 FROM agentflow_journal j WHERE j.run_id = r.id)",
    ),
    Question(
        "runs whose journal is of a later epoch than they are",
        "SELECT id FROM agentflow_run r "
        "WHERE epoch < (SELECT max(j.epoch) FROM agentflow_journal j WHERE j.run_id = r.id)",
    ),
    Question(
        "runs that have ended and not ended at once",
        f"SELECT id FROM agentflow_run WHERE (status IN ({_ENDED})) <> (finished_at IS NOT NULL)",
    ),
    Question(
        "runs whose journal does not tell of their end",
        f"SELECT id FROM agentflow_run r WHERE status IN ({_ENDED}) AND pruned_at IS NULL AND NOT EXISTS ("
        "SELECT 1 FROM agentflow_journal j WHERE j.run_id = r.id AND j.kind = 'run_' || r.status "
        "AND j.seq = (SELECT max(k.seq) FROM agentflow_journal k WHERE k.run_id = r.id))",
    ),
    Question(
        "open runs whose parent is missing",
        "SELECT id FROM agentflow_run r WHERE finished_at IS NULL AND parent_id IS NOT NULL "
        "AND NOT EXISTS (SELECT 1 FROM agentflow_run p WHERE p.id = r.parent_id)",
    ),
    Question(
        "runs that have ended and still wait",
        "SELECT DISTINCT w.run_id FROM agentflow_wait w JOIN agentflow_run r ON r.id = w.run_id "
        "WHERE r.finished_at IS NOT NULL",
    ),
    Question(
        "conversations with gaps or doubles",
        "SELECT thread FROM agentflow_thread_part GROUP BY thread HAVING min(seq) <> 1 OR count(*) <> max(seq)",
    ),
    Question(
        "log lines of runs that are missing",
        "SELECT id FROM agentflow_log l WHERE NOT EXISTS (SELECT 1 FROM agentflow_run r WHERE r.id = l.run_id)",
    ),
)
WAITS: Final = (
    Question(
        "waits for an approval beside the approval itself",
        "SELECT run_id FROM agentflow_wait WHERE kind = 'approval'",
    ),
    Question(
        "waits for a callback that is resolved or missing",
        "SELECT w.run_id FROM agentflow_wait w WHERE w.kind = 'callback' AND NOT EXISTS ("
        "SELECT 1 FROM agentflow_callback c WHERE c.id = w.subject AND c.status = 'pending')",
    ),
    Question(
        "waits for a child that has ended or is missing",
        "SELECT w.run_id FROM agentflow_wait w WHERE w.kind = 'child' AND NOT EXISTS ("
        "SELECT 1 FROM agentflow_run c WHERE c.id = w.subject AND c.finished_at IS NULL)",
    ),
    Question(
        "pending approvals of runs that have ended",
        "SELECT a.id FROM agentflow_approval a JOIN agentflow_run r ON r.id = a.run_id "
        "WHERE a.status = 'pending' AND r.finished_at IS NOT NULL",
    ),
    Question(
        "pending approvals of one gate",
        "SELECT run_id FROM agentflow_approval WHERE status = 'pending' GROUP BY run_id, key HAVING count(*) > 1",
    ),
    Question(
        "pending callbacks of runs that have ended",
        "SELECT c.id FROM agentflow_callback c JOIN agentflow_run r ON r.id = c.run_id "
        "WHERE c.status = 'pending' AND r.finished_at IS NOT NULL",
    ),
)
SCHEDULES: Final = (
    Question(
        "occurrences that started a run, and no run to show for it",
        "SELECT schedule_id || ' ' || fire_at FROM agentflow_occurrence "
        "WHERE (outcome = 'started') <> (run_id IS NOT NULL)",
    ),
    Question(
        "paused schedules that would fire all the same",
        "SELECT id FROM agentflow_schedule "
        "WHERE paused_at IS NOT NULL AND (next_fire_at IS NOT NULL OR plan_from IS NOT NULL)",
    ),
    Question(
        "backfills of a schedule that is gone, which nobody will end",
        "SELECT b.id FROM agentflow_backfill b LEFT JOIN agentflow_schedule s ON s.id = b.schedule_id "
        "WHERE b.finished_at IS NULL AND s.id IS NULL",
    ),
)
MATCHES: Final = (
    Question(
        "events that started a task that listens, and no run to show for it",
        "SELECT event_id FROM agentflow_match WHERE (status = 'started') <> (run_id IS NOT NULL)",
    ),
    Question(
        "events that are to be shown to a task that listens, and were",
        "SELECT event_id FROM agentflow_match WHERE (status = 'pending') <> (settled_at IS NULL)",
    ),
)
CALLS: Final = (
    Question(
        "webhook deliveries that started a run, and no run to show for it",
        "SELECT id FROM agentflow_delivery WHERE (outcome = 'started') <> (run_id IS NOT NULL)",
    ),
    Question(
        "dispatches that are on their way and will never be sent, or the reverse",
        "SELECT id FROM agentflow_dispatch WHERE (status = 'pending') <> (next_at IS NOT NULL)",
    ),
    Question(
        "dispatches on their way to a subscription that is disabled",
        "SELECT d.id FROM agentflow_dispatch d JOIN agentflow_subscription s ON s.id = d.subscription_id "
        "WHERE d.status = 'pending' AND s.disabled_at IS NOT NULL",
    ),
    Question(
        "subscriptions that have come further than the journal, and would not be told of what comes next",
        "SELECT id FROM agentflow_subscription "
        "WHERE disabled_at IS NULL AND cursor > (SELECT coalesce(max(id), 0) FROM agentflow_journal)",
    ),
)
APPROVALS: Final = (
    Question(
        "decided approvals without a decision that says the same",
        f"SELECT id FROM agentflow_approval a WHERE status IN ({_DECIDED}) AND NOT EXISTS ("
        "SELECT 1 FROM agentflow_decision d WHERE d.approval_id = a.id AND d.outcome = a.status)",
    ),
    Question(
        "decisions of approvals that are not decided",
        "SELECT d.id FROM agentflow_decision d JOIN agentflow_approval a ON a.id = d.approval_id "
        f"WHERE a.status NOT IN ({_DECIDED})",
    ),
)
SERVER: Final = (
    Question(
        "indexes that are not valid",
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "WHERE NOT i.indisvalid AND c.relname LIKE '%agentflow%'",
    ),
    Question(
        "conditions that were never checked",
        "SELECT conname FROM pg_constraint WHERE NOT convalidated AND conname LIKE '%agentflow%'",
    ),
)
TAGS: Final = (
    "SELECT r.id, r.tags, t.tag FROM agentflow_run r LEFT JOIN agentflow_run_tag t ON t.run_id = r.id "
    "WHERE r.tags IS NOT NULL OR t.tag IS NOT NULL ORDER BY r.id"
)
BLOBS: Final = "SELECT digest, size, content FROM agentflow_blob"
_WHOLE: Final = "LEFT JOIN agentflow_blob {1} ON substr({0}, 1, 5) = 'blob:' AND {1}.digest = substr({0}, 6, 64)"
ASKED: Final = (
    "SELECT a.id, a.task, a.key, a.digest, coalesce(b.content, a.data), coalesce(s.content, a.schema) "
    f"FROM agentflow_approval a {_WHOLE.format('a.data', 'b')} {_WHOLE.format('a.schema', 's')}"
)
ANSWERED: Final = (
    "SELECT d.id, d.final_digest, coalesce(b.content, d.final) "
    f"FROM agentflow_decision d {_WHOLE.format('d.final', 'b')} WHERE d.final IS NOT NULL"
)


def check(place: Place, heard: Callable[[str], None]) -> Iterator[Finding]:
    """What is wrong, as it is found; `heard` is told what is looked for. Raises `StoreUnusable` if it stops there."""
    for said, ids in _questions(place):
        heard(said)
        with place.reading():
            named = list(islice(ids(), MOST_NAMED))
            count = len(named) + sum(1 for _ in _rest(ids, len(named)))
        if count:
            yield Finding(said=said, count=count, ids=tuple(named))
        if count and said == DAMAGE:
            return  # what else it says is not to be trusted


def _rest(ids: Callable[[], Iterator[str]], known: int) -> Iterator[str]:
    """What comes after the first, asked for anew: few checks find anything."""
    return islice(ids(), known, None) if known == MOST_NAMED else iter(())


def _questions(place: Place) -> Iterator[tuple[str, Callable[[], Iterator[str]]]]:
    if isinstance(place, FilePlace):
        yield DAMAGE, lambda: _damage(place)
        yield "rows that refer to a missing one", lambda: _dangling(place)
    places = () if isinstance(place, FilePlace) else SERVER
    asked = (*places, *RUNS, *WAITS, *SCHEDULES, *MATCHES, *CALLS, *APPROVALS, *_missing_blobs())
    for one in asked:
        yield one.said, lambda one=one: (str(row[0]) for row in place.rows(one.query))  # type: ignore[misc]
    yield "runs that are not found by the tags they have", lambda: _tagged_otherwise(place)
    yield "open runs that nothing would ever move on", lambda: _stuck(place)
    yield "large payloads that are not what they were", lambda: _changed(place)
    yield "approvals whose data is not what was asked", lambda: _asked_otherwise(place)
    yield "decisions whose data is not what was decided", lambda: _decided_otherwise(place)


def _damage(place: Place) -> Iterator[str]:
    try:
        yield from (" ".join(row[0].split()) for row in place.rows("PRAGMA integrity_check(100)") if row[0] != "ok")
    except StoreUnusable as error:
        yield str(error)


def _dangling(place: Place) -> Iterator[str]:
    return (f"{table}, row {rowid}, to {other}" for table, rowid, other, _ in place.rows("PRAGMA foreign_key_check"))


def _stuck(place: Place) -> Iterator[str]:
    return (row[0] for row in place.stated(STUCK, {"limit": MOST_STUCK}))


def _tagged_otherwise(place: Place) -> Iterator[str]:
    for (run_id, tags), found in groupby(place.rows(TAGS), key=itemgetter(0, 1)):
        if set(json.loads(tags or "[]")) != {tag for *_, tag in found if tag is not None}:
            yield run_id


def _missing_blobs() -> Iterable[Question]:
    for table in tables.Base.metadata.sorted_tables:
        for name in (column.name for column in table.columns if column.info.get("is_payload")):
            whose = "id" if "id" in table.columns and isinstance(table.c.id.type, Text) else "run_id"
            yield Question(
                f"large payloads missing from {table.name}.{name}",
                f"SELECT {whose} FROM {table.name} t WHERE substr(\"{name}\", 1, 5) = 'blob:' AND NOT EXISTS ("
                f'SELECT 1 FROM agentflow_blob b WHERE b.digest = substr(t."{name}", 6, 64))',
            )


def _changed(place: Place) -> Iterator[str]:
    for name, size, content in place.rows(BLOBS):
        text = content.encode()
        if (len(text), hashlib.sha256(text).hexdigest()) != (size, name):
            yield name


def _asked_otherwise(place: Place) -> Iterator[str]:
    for approval_id, task, key, known, data, schema in place.rows(ASKED):
        if MARK in {data[:5], schema[:5]}:
            continue  # it is missing, which is a finding of its own
        bound = approval_digest(task=task, key=key, value=json.loads(data), schema=json.loads(schema))
        if bound != long_digest(known):
            yield approval_id


def _decided_otherwise(place: Place) -> Iterator[str]:
    for decision_id, known, final in place.rows(ANSWERED):
        if final[:5] != MARK and digest(canonical(json.loads(final))) != known:
            yield decision_id
