"""Plant bugs, one at a time, in a copy of the tree, and see the tests go red: run by hand, it takes some minutes.

    python tests/crash/mutations.py            every bug
    python tests/crash/mutations.py epoch      those with this word in their name

Prints for each bug the first test that failed, and ends with 1 if any bug was not noticed or no longer fits the source.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("agentflow", "approvals_ui", "schedulers", "tests", "pyproject.toml", "README.md")
PATIENCE = "12"
"""Seconds a test waits for what a bug may keep from ever happening."""


@dataclass(frozen=True, slots=True)
class Bug:
    """`old` becomes `new` in a file, and one of `tests` is to notice: a file, or a word in the names of crash tests."""

    name: str
    file: str
    old: str
    new: str
    tests: str


BUGS = [
    Bug(
        "an append is not held against the epoch",
        "store/journal.py",
        'run.epoch == bindparam("epoch"), run.status',
        "run.status",
        "zombies",
    ),
    Bug(
        "an append is not held against the status",
        "store/journal.py",
        'run.epoch == bindparam("epoch"), run.status == const("running")',
        'run.epoch == bindparam("epoch")',
        "zombies",
    ),
    Bug(
        "a worker given up for dead gets runs",
        "store/claiming.py",
        '_ALIVE = exists(select(const(1)).where(worker.c.id == bindparam("worker_id")))',
        '_ALIVE = bindparam("worker_id").is_not(None)',
        "tests/conformance/test_leases.py",
    ),
    Bug("a claim does not raise the epoch", "store/claiming.py", "run.c.epoch + const(1)", "run.c.epoch", "zombies"),
    Bug(
        "results are given out before the commit",
        "store/sqlite/running.py",
        "    has_failed = any(",
        "    _ = [call.answer() for call in batch]\n    has_failed = any(",
        "flushes",
    ),
    Bug("transactions are deferred", "store/sqlite/writer.py", '"BEGIN IMMEDIATE"', '"BEGIN"', "races"),
    Bug("a commit is not flushed", "store/sqlite/file.py", "synchronous=FULL", "synchronous=OFF", "flushes"),
    Bug(
        "a failed commit counts as one",
        "store/sqlite/writer.py",
        "        self._fail(batch, StoreUnavailable(said, may_be_stored=True))\n",
        "        _ = said\n",
        "flushes",
    ),
    Bug(
        "a run parks without a look for answers",
        "store/runs.py",
        "answered = not still_open.issuperset(blocked)",
        "answered = False",
        "zombies",
    ),
    Bug(
        "a decision is made without a look for another",
        "store/decisions.py",
        "    if not found.is_pending:",
        "    if False:",
        "races",
    ),
    Bug(
        "a decision does not wake the run",
        "store/waiting/waits.py",
        '    tx.run(WAKE, {"run_id": run_id, "now": tx.now})\n',
        "",
        "every_verb",
    ),
    Bug(
        "an at-most-once step in doubt is tried again",
        "runtime/operations/performing.py",
        "if recorded is not None and recorded.started is not None and work.effect is Effect.AT_MOST_ONCE:",
        "if False:",
        "at_most_once",
    ),
    Bug(
        "an at-most-once step is not announced",
        "runtime/operations/attempts.py",
        "if self._work.effect is Effect.AT_MOST_ONCE:",
        "if False:",
        "at_most_once",
    ),
    Bug(
        "who resumes one step in doubt resumes none",
        "runtime/index.py",
        "        doubtful.started = None\n        if doubtful.operation",
        "        if doubtful.operation",
        "at_most_once",
    ),
    Bug(
        "a schedule that has fired does not go on",
        "store/scheduling/firing.py",
        "    _advance(tx, held, request.next_fire_at, request.fire_at)\n",
        "",
        "every_verb",
    ),
    Bug("a delivery is not looked up", "store/receiving/deliveries.py", "if known is None:", "if True:", "every_verb"),
    Bug(
        "an idempotency key is not looked up",
        "store/triggering.py",
        "if request.idempotency_key is None:",
        "if True:",
        "every_verb",
    ),
    Bug(
        "a child that ends tells nobody",
        "store/waiting/waits.py",
        "    tell_parents(tx, run_id, status, output, error)\n",
        "",
        "every_verb",
    ),
    Bug(
        "a run's deaths are not counted",
        "store/maintenance.py",
        "more=1 - one.recoveries if progressed else 1)",
        "more=0)",
        "dead_workers",
    ),
    Bug(
        "a run's deaths add up for ever",
        "store/runs.py",
        "        worker_id=null(),\n        recoveries=const(0),\n        available_at",
        "        worker_id=null(),\n        available_at",
        "dead_workers",
    ),
    Bug(
        "nobody looks for dead processes",
        "worker/hosts.py",
        "        return True\n",
        "        return False\n",
        "append",
    ),
    Bug(
        "a process is known by its id alone",
        "worker/hosts.py",
        "bool(now) and bool(worker.started) and now != worker.started",
        "False",
        "dead_workers",
    ),
    Bug(
        "process ids of other hosts are looked up here",
        "worker/hosts.py",
        "    if worker.host != host():\n        return False\n",
        "",
        "dead_workers",
    ),
    Bug("the heartbeat is silent", "worker/heartbeat.py", "held = self._renew()", "held = {}", "zombies"),
    Bug(
        "a worker that lost its lease stays away",
        "worker/worker.py",
        "self._loops.append(asyncio.create_task(self._come_back()))",
        "pass",
        "zombies",
    ),
    Bug(
        "a worker that stops keeps what it holds",
        "worker/worker.py",
        "        for turn, _ in self._turns.values():\n            turn.is_stopping = True\n",
        "",
        "drain",
    ),
    Bug(
        "calls of one name have one key",
        "runtime/scope.py",
        "self._counts.get(name, 0) + 1",
        "1",
        "every_append",
    ),
    Bug(
        "a turn's end is not held against the epoch",
        "store/outcomes.py",
        'run.c.epoch == bindparam("epoch"), ',
        "",
        "tests/conformance/test_fences.py",
    ),
    Bug(
        "parking is not held against the epoch",
        "store/runs.py",
        'run.c.epoch == bindparam("epoch"), run.c.status == const("running"))\n    .values(',
        'run.c.status == const("running"))\n    .values(',
        "tests/faults/test_defences.py",
    ),
    Bug(
        "opening waits is not held against the epoch",
        "store/runs.py",
        'run.c.epoch == bindparam("epoch"), run.c.status == const("running"))\n    .with_for_update()',
        'run.c.status == const("running"))\n    .with_for_update()',
        "tests/conformance/test_fences.py",
    ),
    Bug(
        "an approval is resolved whatever it was",
        "store/decisions.py",
        '(approval.c.id == bindparam("approval_id"), approval.c.status == const(ApprovalStatus.PENDING.value))',
        '(approval.c.id == bindparam("approval_id"))',
        "tests/faults/test_defences.py",
    ),
    Bug(
        "a callback is resolved whatever it was",
        "store/waiting/callbacks.py",
        'callback.c.id == bindparam("callback_id"), IS_PENDING)\n    .values({name',
        'callback.c.id == bindparam("callback_id"))\n    .values({name',
        "tests/faults/test_defences.py",
    ),
    Bug(
        "a decision is taken after its deadline",
        "store/decisions.py",
        "if found.deadline_at is not None and found.deadline_at <= from_micros(tx.now):",
        "if False:",
        "tests/conformance/test_decisions.py",
    ),
    Bug(
        "an event is taken after the wait has timed out",
        "store/waiting/events.py",
        "WaitKind.EVENT, event_subject(sent.name, sent.key)):\n        if due_at is not None and due_at <= tx.now:",
        "WaitKind.EVENT, event_subject(sent.name, sent.key)):\n        if False:",
        "tests/conformance/test_events.py",
    ),
    Bug(
        "a callback is answered after it has timed out",
        "store/waiting/callbacks.py",
        "if found.is_pending and found.lapses_at is not None and found.lapses_at <= from_micros(tx.now):",
        "if False:",
        "tests/conformance/test_callbacks.py",
    ),
    Bug(
        "a time-out of a wait comes early",
        "store/waiting/events.py",
        'wait.c.kind.in_(consts(TIMED)), wait.c.due_at <= bindparam("now"))',
        "wait.c.kind.in_(consts(TIMED)))",
        "tests/conformance/test_events.py",
    ),
    Bug(
        "an event that was sent before is not looked for",
        "store/waiting/events.py",
        "    if found:\n        if kind is WaitKind.MESSAGE:",
        "    if False:\n        if kind is WaitKind.MESSAGE:",
        "tests/conformance/test_events.py",
    ),
    Bug(
        "a large text is not held against its digest",
        "store/blobs.py",
        "if hashlib.sha256(text.encode()).hexdigest() == digest:",
        "if True:",
        "tests/store/test_blobs.py",
    ),
    Bug(
        "a blob outlives the write that was refused",
        "store/sqlite/transaction.py",
        "                if not changed:\n",
        "                if False:\n",
        "tests/store/test_blobs.py",
    ),
    Bug(
        "a run that was claimed unheard is kept",
        "worker/strays.py",
        "found, self._seen = sorted(now & self._seen), now",
        "found, self._seen = [], now",
        "tests/faults/test_disks.py",
    ),
]


def failed_test(bug: Bug, folder: Path) -> str:
    """The first test that notices the bug, "" if none does."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--tb=no"]
    environment = os.environ | {"AGENTFLOW_TEST_PATIENCE": PATIENCE, "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(
        [*command, "--timeout=60", *([bug.tests] if "/" in bug.tests else ["tests/crash", "-k", bug.tests])],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    red = [line for line in ended.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return red[0].partition(" - ")[0].rpartition("::")[2] if red else ""


def noticed(bug: Bug) -> bool:
    """Plant the bug in a fresh copy of the tree and say what came of it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy(source, folder / name)
        file = folder / "agentflow" / bug.file
        text = file.read_text(encoding="utf-8")
        if text.count(bug.old) != 1:
            tell(f"NO FIT   {bug.name}: {bug.file} has {text.count(bug.old)} places like it")
            return False
        file.write_text(text.replace(bug.old, bug.new), encoding="utf-8")
        found = failed_test(bug, folder)
    tell(f"{'noticed' if found else 'MISSED '}  {bug.name}: {found}")
    return bool(found)


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    wanted = [bug for bug in BUGS if all(word in bug.name for word in sys.argv[1:])]
    results = [noticed(bug) for bug in wanted]
    sys.exit(not (results and all(results)))
