"""The judge: reads the database and the effect ledger, and says every way in which they break what is promised."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import psycopg
import psycopg.rows

from agentflow.errors import StoreUnusable
from agentflow.states import DECIDED, TERMINAL, WITHDRAWN, ApprovalStatus, EntryKind, RunStatus
from agentflow.store.sqlite.file import connect, driver
from tests.support import ledger

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from tests.support.ledger import Line

Row = dict[str, Any]
ENDS = {
    EntryKind.RUN_COMPLETED: RunStatus.COMPLETED,
    EntryKind.RUN_FAILED: RunStatus.FAILED,
    EntryKind.RUN_CANCELLED: RunStatus.CANCELLED,
    EntryKind.RUN_EXPIRED: RunStatus.EXPIRED,
}


class Tables(Protocol):
    """The tables of a database, read past the store."""

    shake: ClassVar[int]
    """Microseconds by which the ledger's time and the store's may differ."""

    def rows(self, sql: str, *params: Any) -> list[Row]: ...

    def is_writable(self) -> bool:
        """Whether nobody holds a lock that a write would wait for."""
        ...

    def damage(self) -> Iterator[str]:
        """Every way in which the database itself is unsound."""
        ...

    def value(self, sql: str, *params: Any) -> Any:
        """The first column of the first row; None if there is none."""
        found = self.rows(sql, *params)
        return next(iter(found[0].values())) if found else None

    def everything(self) -> dict[str, list[Row]]:
        """All that runs consist of, to be compared with itself later. Leases are left out: they are renewed."""
        names = ("run", "journal", "wait", "approval", "decision")
        return {name: self.rows(f"SELECT * FROM agentflow_{name} ORDER BY 1, 2") for name in names}


@dataclass(frozen=True)
class Database(Tables):
    """Those of a file."""

    path: Path
    shake: ClassVar = 0

    def rows(self, sql: str, *params: Any) -> list[Row]:
        with closing(connect(self.path, read_only=True)) as connection:
            connection.row_factory = driver.Row
            return [dict(row) for row in connection.execute(sql, params)]

    def is_writable(self) -> bool:
        try:
            with closing(connect(self.path, busy_ms=0)) as connection:
                connection.execute("BEGIN IMMEDIATE")
        except (driver.Error, StoreUnusable):
            return False
        return True

    def damage(self) -> Iterator[str]:
        for found in self.rows("PRAGMA integrity_check"):
            if found["integrity_check"] != "ok":
                yield f"the file is damaged: {found['integrity_check']}"
        yield from (f"a row refers to one that is missing: {row}" for row in self.rows("PRAGMA foreign_key_check"))


@dataclass(frozen=True)
class ServerDatabase(Tables):
    """Those of a database on a PostgreSQL server, by the same statements."""

    url: str
    shake: ClassVar = 1_000_000  # the store's time is the server's, as far as it is known through a slow network

    def rows(self, sql: str, *params: Any) -> list[Row]:
        with psycopg.connect(self.url, row_factory=psycopg.rows.dict_row) as connection:
            text = sql.replace("%", "%%").replace("?", "%s") if params else sql
            return connection.execute(text.encode(), params or None).fetchall()

    def is_writable(self) -> bool:
        try:
            self.rows("SELECT 1 FROM agentflow_run FOR UPDATE NOWAIT")
        except psycopg.errors.LockNotAvailable:
            return False
        return True

    def damage(self) -> Iterator[str]:
        return iter(())  # the server's own constraints see to it


def check(
    where: Path | Tables,
    ledger_file: Path,
    *,
    results: Mapping[str, Any] | None = None,
    recovered: bool = True,
    stopped: Container[int] = (),
) -> Counter[str]:
    """Assert that all is as promised; how much of each kind was looked at, so that a test can see it was not nothing.

    `results` says what the run of each idempotency key returns when undisturbed. With `recovered`, a worker has
    started since the last crash, so that no run may be left with a worker that is gone. `stopped` are processes that
    stood still for a while, or were robbed of their runs: such a one may begin the one body it was about to begin,
    whatever has happened meanwhile.
    """
    found = list(violations(where, ledger_file, results=results or {}, recovered=recovered, stopped=stopped))
    assert not found, "\n".join(found)
    database = Database(where) if isinstance(where, Path) else where
    return Counter(
        runs=database.value("SELECT count(*) FROM agentflow_run"),
        entries=database.value("SELECT count(*) FROM agentflow_journal"),
        approvals=database.value("SELECT count(*) FROM agentflow_approval"),
        bodies=len(ledger.read(ledger_file)),
    )


def violations(
    where: Path | Tables,
    ledger_file: Path,
    *,
    results: Mapping[str, Any],
    recovered: bool = True,
    stopped: Container[int] = (),
) -> Iterator[str]:
    """Every broken promise, as a sentence."""
    database = Database(where) if isinstance(where, Path) else where
    yield from database.damage()
    runs = {row["id"]: row for row in database.rows("SELECT * FROM agentflow_run")}
    journal: dict[str, list[Row]] = defaultdict(list)
    for row in database.rows("SELECT * FROM agentflow_journal ORDER BY run_id, seq"):
        journal[row["run_id"]].append(row)
    lines = ledger.read(ledger_file)
    for run_id, run in runs.items():
        yield from _journal(run, journal[run_id])
    yield from _bodies(journal, [line for line in lines if line.phase == "start"], stopped, database.shake)
    yield from _approvals(database, runs, journal)
    yield from _going_on(database, runs, recovered=recovered)
    yield from _answered(database, runs)
    yield from _blobs(database)
    yield from _answers(database, lines)
    yield from _results(runs, results)


def _journal(run: Row, entries: list[Row]) -> Iterator[str]:
    """One unbroken journal that agrees with the run's own row."""
    name = run["id"]
    if [entry["seq"] for entry in entries] != list(range(1, len(entries) + 1)):
        yield f"{name}: its journal has gaps or doubles: {[entry['seq'] for entry in entries]}"
    epochs = [entry["epoch"] for entry in entries if entry["epoch"]]
    if epochs != sorted(epochs):
        yield f"{name}: its epochs go back: {epochs}"
    if epochs and epochs[-1] > run["epoch"]:
        yield f"{name}: its journal is of epoch {epochs[-1]}, the run only of {run['epoch']}"
    retried = max((place for place, entry in enumerate(entries) if entry["kind"] == EntryKind.RETRIED), default=-1)
    ends = [
        (place, ENDS[entry["kind"]])
        for place, entry in enumerate(entries, start=1)
        if entry["kind"] in ENDS and place > retried
    ]
    wanted = [(len(entries), run["status"])] if run["status"] in TERMINAL else []
    if ends != wanted:
        yield f"{name}: it is {run['status']}, and its journal of {len(entries)} entries says it ended at {ends}"
    results = Counter(entry["key"] for entry in entries if entry["kind"] == EntryKind.SUCCEEDED)
    yield from (f"{name}: {key} has {count} results" for key, count in results.items() if count > 1)
    if run["status"] == RunStatus.COMPLETED and entries and entries[-1]["output"] != run["output"]:
        yield f"{name}: its output {run['output']} is not the recorded {entries[-1]['output']}"


def _bodies(
    journal: Mapping[str, list[Row]], started: list[Line], stopped: Container[int], shake: int
) -> Iterator[str]:
    """No body runs after its result is recorded, none twice in one attempt, an at-most-once one never unannounced."""
    kept = {
        (run_id, entry["key"]): entry
        for run_id, entries in journal.items()
        for entry in entries
        if entry["kind"] == EntryKind.SUCCEEDED
    }
    for run_id, entries in journal.items():
        recorded = {entry["key"] for entry in entries if entry["kind"] in {EntryKind.SUCCEEDED, EntryKind.FAILED}}
        if entries and entries[-1]["kind"] == EntryKind.RUN_COMPLETED:
            lost = {line.key for line in started if line.run == run_id} - recorded
            yield from (f"{run_id} completed, and {key} has no result" for key in sorted(lost))
    in_order = [line for line in started if line.pid not in stopped]
    for line in in_order:
        result = kept.get((line.run, line.key))
        if result is not None and (line.epoch > result["epoch"] or line.at > result["at"] + shake):
            yield f"{line.run}: {line.key} ran again in epoch {line.epoch} after its result of epoch {result['epoch']}"
    attempts = Counter((line.run, line.key, line.epoch, line.attempt) for line in started)
    yield from (f"{one[0]}: {one[1]} ran {count} times in one attempt" for one, count in attempts.items() if count > 1)
    announced = Counter(
        (run_id, entry["key"])
        for run_id, entries in journal.items()
        for entry in entries
        if entry["kind"] == EntryKind.STARTED
    )
    entered = Counter((line.run, line.key) for line in started)
    for one, count in announced.items():
        if entered[one] > count:
            yield f"{one[0]}: {one[1]} is to run at most once and was entered {entered[one]} times for {count} starts"
    for run_id in {line.run for line in in_order}:
        epochs = [line.epoch for line in sorted(in_order, key=lambda line: line.at) if line.run == run_id]
        if any(later < earlier for earlier, later in pairwise(epochs)):
            yield f"{run_id}: an older turn began a body after a newer one had: {epochs}"


def _approvals(database: Tables, runs: Mapping[str, Row], journal: Mapping[str, list[Row]]) -> Iterator[str]:
    """Each approval has one resolution or none, and the run that asked can still hear of it."""
    heard: Counter[str] = Counter(
        json.loads(entry["detail"])["approval"]
        for entries in journal.values()
        for entry in entries
        if entry["kind"] == EntryKind.WAIT_RESOLVED and entry["operation"] == "approval"
    )
    decided = Counter(row["approval_id"] for row in database.rows("SELECT approval_id FROM agentflow_decision"))
    for row in database.rows("SELECT id, run_id, status FROM agentflow_approval"):
        status = ApprovalStatus(row["status"])
        by_person, told = status in DECIDED, status not in WITHDRAWN | {ApprovalStatus.PENDING}
        if decided[row["id"]] != by_person:
            yield f"{row['id']} is {status} with {decided[row['id']]} decisions"
        if heard[row["id"]] != told:
            yield f"{row['id']} is {status} and its run was told {heard[row['id']]} times"
        if status is ApprovalStatus.PENDING and runs[row["run_id"]]["status"] in TERMINAL:
            yield f"{row['id']} is asked for by {row['run_id']}, which is {runs[row['run_id']]['status']}"


def _going_on(database: Tables, runs: Mapping[str, Row], *, recovered: bool) -> Iterator[str]:
    """Every open run has somebody or something that moves it on."""
    workers = {row["id"] for row in database.rows("SELECT id FROM agentflow_worker")}
    waiting = {
        row["run_id"]
        for row in database.rows(
            "SELECT run_id FROM agentflow_wait UNION SELECT run_id FROM agentflow_approval WHERE status = 'pending'"
        )
    }
    for run_id, run in runs.items():
        match RunStatus(run["status"]):
            case RunStatus.RUNNING if recovered and run["worker_id"] not in workers:
                yield f"{run_id} is held by {run['worker_id']}, which is gone"
            case RunStatus.QUEUED if run["available_at"] is None:
                yield f"{run_id} is queued for no time"
            case RunStatus.WAITING if run_id not in waiting and run["available_at"] is None:
                yield f"{run_id} waits for nothing"
            case RunStatus.PAUSED if not run["pause"]:
                yield f"{run_id} is paused and nobody says by whom"
            case RunStatus.NEEDS_ATTENTION if not run["error"]:
                yield f"{run_id} needs attention and does not say why"
            case _ if RunStatus(run["status"]) in TERMINAL and run_id in waiting:
                yield f"{run_id} is {run['status']} and still waits"


def _answered(database: Tables, runs: Mapping[str, Row]) -> Iterator[str]:
    """Nothing waits for an event that was sent since, or for a callback that has its answer; none outlives its run."""
    missed = (
        "SELECT w.run_id, w.key FROM agentflow_wait w JOIN agentflow_event e ON w.subject = e.name || ':' || e.key "
        "WHERE w.kind IN ('event', 'message') AND e.sent_at > w.opened_at"
    )
    for row in database.rows(missed):
        yield f"{row['run_id']} waits at {row['key']} for an event that was sent since"
    resolved = (
        "SELECT w.run_id, c.id, c.status FROM agentflow_wait w JOIN agentflow_callback c ON c.id = w.subject "
        "WHERE w.kind = 'callback' AND c.status <> 'pending'"
    )
    for row in database.rows(resolved):
        yield f"{row['run_id']} waits for {row['id']}, which is {row['status']}"
    for row in database.rows("SELECT id, run_id FROM agentflow_callback WHERE status = 'pending'"):
        if runs[row["run_id"]]["status"] in TERMINAL:
            yield f"{row['id']} may be answered, and its run {row['run_id']} has ended"


PAYLOADS = (
    ("run", "input"), ("run", "output"), ("run", "error"), ("journal", "input"), ("journal", "output"),
    ("journal", "error"), ("journal", "detail"), ("approval", "data"), ("approval", "final"), ("event", "payload"),
    ("callback", "output"),
)  # fmt: skip


def _blobs(database: Tables) -> Iterator[str]:
    """Every blob that is named is there, and is what its name says."""
    sizes = {}
    for row in database.rows("SELECT digest, content, size FROM agentflow_blob"):
        content = row["content"].encode()
        sizes[row["digest"]] = row["size"]
        if (hashlib.sha256(content).hexdigest(), len(content)) != (row["digest"], row["size"]):
            yield f"blob {row['digest']} is not what it was"
    for table, column in PAYLOADS:
        for row in database.rows(f"SELECT {column} AS name FROM agentflow_{table} WHERE {column} LIKE 'blob:%'"):
            _, digest, size = row["name"].split(":")
            if sizes.get(digest) != int(size):
                yield f"the {column} of a {table} is kept as {row['name']}, which is not there"


def _answers(database: Tables, lines: list[Line]) -> Iterator[str]:
    """What a caller was told is so."""
    told = {
        "TRIGGERED": "SELECT 1 FROM agentflow_run WHERE id = ?",
        "DECIDED": "SELECT 1 FROM agentflow_decision WHERE id = ?",
        "DELIVERED": "SELECT 1 FROM agentflow_delivery WHERE delivery_id = ?",
        "FIRED": "SELECT 1 FROM agentflow_occurrence WHERE run_id = ?",
        "CANCELLED": "SELECT 1 FROM agentflow_run WHERE status = 'cancelled' AND id = ?",
    }
    for line in lines:
        if line.phase in told and database.value(told[line.phase], line.run) is None:
            yield f"a caller was told {line.phase} of {line.run}, and it is not so"


def _results(runs: Mapping[str, Row], results: Mapping[str, Any]) -> Iterator[str]:
    """Runs end as undisturbed ones do."""
    by_key = {run["idempotency_key"]: run for run in runs.values() if run["idempotency_key"] is not None}
    for key, wanted in results.items():
        run = by_key.get(key)
        if run is None:
            yield f"there is no run for {key}"
        elif run["status"] != RunStatus.COMPLETED or json.loads(run["output"]) != wanted:
            yield f"{run['id']} ({key}) is {run['status']} with {run['output']} {run['error'] or ''}, not {wanted}"
