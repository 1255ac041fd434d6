"""`agentflow db`: upgrading, checking, pruning, copying, restoring and moving a database."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import Ended, Office, Shell


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where an application ran, and left a finished run, a parked one and one that nobody has begun."""
    office = Office(tmp_path_factory.mktemp("seeded"))
    try:
        office.open()
        done = office("trigger", "app.py:greet", "--input", '{"name": "mia"}', "--wait")
        assert done.code == 0, done.err
        office.asked("17")
        (served,) = office.started
        served.stop()
    finally:
        for started in office.started:
            started.stop(signal.SIGKILL)
    assert office("trigger", "app.py:greet", "--input", '{"name": "zoe"}').code == 0
    return office.folder


@pytest.fixture
def closed(seeded: Path, agentflow: Shell) -> Shell:
    """A copy of that folder."""
    shutil.copytree(seeded, agentflow.folder, dirs_exist_ok=True)
    return agentflow


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as connection:
        found = connection.execute(sql).fetchall()
    connection.close()
    return found


def statuses(shell: Shell, *options: str) -> dict[str, int]:
    runs: dict[str, int] = shell("db", "check", "--json", *options).document["runs"]
    return {status: count for status, count in runs.items() if count}


ALL = {"completed": 1, "waiting": 1, "queued": 1}


# -- upgrade


def test_an_old_schema_is_upgraded_and_said_to_be(agentflow: Shell) -> None:
    from alembic import command

    from agentflow.store import migrate
    from agentflow.store.revision import SCHEMA

    path = agentflow.folder / "agentflow.db"
    upgrade = command.upgrade
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate.command, "upgrade", lambda config, _: upgrade(config, "0002"))
        migrate.upgrade_sqlite(path)
    would = agentflow("db", "upgrade", "--dry-run", "--json").document
    assert (would["from"], would["to"], len(would["migrations"])) == ("0002", SCHEMA, int(SCHEMA) - 2)
    refused = agentflow("db", "check")
    assert (refused.code, "agentflow db upgrade" in refused.complaint) == (5, True)
    assert f"went from 0002 to {SCHEMA}" in agentflow("db", "upgrade").out
    assert agentflow("db", "upgrade", "--json").document["migrations"] == []
    assert "is whole" in agentflow("db", "check").out


def test_a_newer_schema_is_refused(closed: Shell) -> None:
    query(closed.folder / "agentflow.db", "UPDATE agentflow_schema SET version_num = '9999'")
    assert closed("db", "upgrade").code == 5
    assert "upgrade this program" in closed("db", "check").complaint


# -- check


def test_a_broken_promise_is_told_with_ids_and_ends_with_1(closed: Shell) -> None:
    (run_id,) = query(closed.folder / "agentflow.db", "SELECT id FROM agentflow_run WHERE status = 'queued'")[0]
    query(
        closed.folder / "agentflow.db",
        "DELETE FROM agentflow_journal WHERE run_id = (SELECT id FROM agentflow_run WHERE status = 'queued')",
    )
    ended = closed("db", "check", "--json")
    assert ended.code == 1
    assert ended.document["ok"] is False
    assert ended.document["findings"] == [{"what": "runs without a journal", "count": 1, "ids": [run_id]}]
    said = closed("db", "check")
    assert (said.code, f"1 runs without a journal: {run_id}" in said.out) == (1, True)


# -- prune


def test_pruning_counts_first_and_then_removes(closed: Shell) -> None:
    path = closed.folder / "agentflow.db"
    assert closed("db", "prune", "--older-than", "90d", "--json").document["runs"] == {"removed": 0, "reduced": 0}
    would = closed("db", "prune", "--older-than", "0s", "--dry-run", "--json").document
    assert (would["dry_run"], would["runs"]["removed"]) == (True, 1)
    assert statuses(closed) == ALL
    ended = closed("db", "prune", "--older-than", "0s", "--vacuum")
    assert "1 runs removed" in ended.out
    assert "given back" in ended.out
    assert statuses(closed) == {"waiting": 1, "queued": 1}
    assert query(path, "SELECT count(*) FROM agentflow_journal WHERE kind = 'run_completed'") == [(0,)]


@pytest.mark.parametrize(
    "options",
    [["--only", "pigs"], ["--status", "waiting"], ["--only", "logs", "--task", "greet"], ["--older-than", "soon"]],
)
def test_what_cannot_be_pruned_is_refused(closed: Shell, options: list[str]) -> None:
    before = statuses(closed)
    assert closed("db", "prune", "--older-than", "0s", *options).code == 2
    assert statuses(closed) == before


# -- backup and restore


def test_a_backup_made_while_a_worker_works_is_whole_and_its_owners_alone(office: Office) -> None:
    office.asked("b1")
    target = office.folder / "copies" / "agentflow.db"
    assert office("db", "backup", str(target)).code == 5
    target.parent.mkdir()
    ended = office("db", "backup", str(target), "--json")
    assert (ended.code, ended.document["bytes"]) == (0, target.stat().st_size)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert office("db", "check", "--database", f"sqlite:///{target}").code == 0
    assert [path.name for path in target.parent.iterdir()] == ["agentflow.db"]
    again = office("db", "backup", str(target))
    assert (again.code, "--force" in again.complaint) == (5, True)
    assert office("db", "backup", str(target), "--force").code == 0


def test_a_restored_database_goes_on_when_somebody_has_looked(closed: Shell) -> None:
    """What ran since the backup is not known to it; so nothing runs by itself."""
    path, copy = closed.folder / "agentflow.db", closed.folder / "copy.db"
    assert closed("db", "backup", str(copy)).code == 0
    epochs = dict(query(path, "SELECT id, epoch FROM agentflow_run"))
    refused = closed("db", "restore", str(copy))
    assert (refused.code, "--force" in refused.complaint) == (4, True)

    ended = closed("db", "restore", str(copy), "--force", "--reason", "disk died", "--json")
    assert ended.code == 0, ended.err
    assert (ended.document["paused"], ended.document["left"]) == (2, 0)
    assert statuses(closed) == {"completed": 1, "paused": 2}
    assert (closed.folder / "agentflow.db.before-restore-1").exists()
    lifted = dict(query(path, "SELECT id, epoch FROM agentflow_run WHERE status = 'paused'"))
    assert all(epoch > epochs[run_id] + 1000 for run_id, epoch in lifted.items())
    (run_id,) = [run_id for run_id, epoch in epochs.items() if run_id in lifted and epoch]
    assert "disk died" in closed("show", run_id).out + closed("why", run_id).out

    approval = closed("inbox", "--json").document[0]
    assert closed("approve", approval["id"]).code == 0
    assert closed("resume", "--status", "paused").code == 0
    closed.start("serve", "--dev", "--port", "0", "--json", "--quiet").document()
    assert closed("show", run_id, "--follow").code == 0
    assert statuses(closed) == {"completed": 3}


def test_restoring_says_what_it_kept_from_going_on_and_which_tokens_hold(closed: Shell) -> None:
    assert closed("tokens", "create", "ci", "--all").code == 0
    path, copy = closed.folder / "agentflow.db", closed.folder / "copy.db"
    sent = "INSERT INTO agentflow_event (id, name, key, seq, payload, digest, sent_by, sent_at) VALUES "
    matched = "INSERT INTO agentflow_match (event_id, listener_id, status, created_at) VALUES "
    query(path, f"{sent} ('evt_1', 'paid', '', 99, '1', 'd', 'mia', 1)")
    query(path, f"{matched} ('evt_1', 'book', 'pending', 1)")
    assert closed("db", "backup", str(copy)).code == 0
    assert closed("tokens", "revoke", "ci").code == 0

    ended = closed("db", "restore", str(copy), "--force")

    assert ended.code == 0, ended.err
    assert "1 events that waited for a listener failed" in ended.out
    assert "1 API tokens hold, as at the time of the backup" in ended.out
    assert query(path, "SELECT status FROM agentflow_match") == [("failed",)]


def test_a_backup_that_is_none_is_refused(closed: Shell) -> None:
    assert closed("db", "restore", "nowhere.db", "--force").code == 3
    diary = closed.write("diary.db", "my diary, " * 1000)
    assert closed("db", "restore", str(diary), "--force").code == 5
    assert statuses(closed) == ALL


def test_marking_is_refused_while_a_worker_is_alive(office: Office) -> None:
    ended = office("db", "restored")
    assert (ended.code, "works on this database" in ended.complaint) == (4, True)


# -- move


def test_a_database_is_moved_and_goes_on_there(closed: Shell) -> None:
    there = f"sqlite:///{closed.folder}/there.db"
    before = closed("inbox", "--json").document
    ended = closed("db", "move", "sqlite:///agentflow.db", there, "--json")
    assert ended.code == 0, ended.err
    assert ended.document["rows"]["run"] == 3
    assert closed("inbox", "--json", "--database", there).document == before
    assert statuses(closed, "--database", there) == ALL

    late = closed("trigger", "app.py:greet", "--input", '{"name": "eve"}')
    assert (late.code, "moved to" in late.err, "there.db" in late.err) == (5, True, True)
    worker = closed("worker", "app.py")
    assert (worker.code, "there.db" in worker.err) == (5, True)
    assert statuses(closed) == ALL
    again = closed("db", "move", "sqlite:///agentflow.db", f"sqlite:///{closed.folder}/third.db")
    assert (again.code, "moved before" in again.err) == (4, True)


def test_a_destination_that_holds_something_else_is_refused(closed: Shell) -> None:
    there = f"sqlite:///{closed.folder}/there.db"
    assert closed("trigger", "app.py:greet", "--input", '{"name": "a"}', "--database", there).code == 0
    ended = closed("db", "move", "sqlite:///agentflow.db", there)
    assert (ended.code, "not empty" in ended.complaint) == (5, True)
    assert closed("trigger", "app.py:greet", "--input", '{"name": "eve"}').code == 0


def test_a_database_that_a_worker_works_on_is_not_moved(office: Office) -> None:
    ended: Ended = office("db", "move", "sqlite:///agentflow.db", f"sqlite:///{office.folder}/there.db")
    assert (ended.code, "works on database" in ended.complaint) == (5, True)
    assert json.loads(office("db", "check", "--json").out)["ok"] is True
