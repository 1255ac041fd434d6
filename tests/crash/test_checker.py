"""The judge sees what it is to see: each broken promise, planted in a sound database, is named."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from agentflow.store.sqlite.file import connect
from tests.crash.acts import perform
from tests.crash.scenes import made
from tests.support.checker import violations

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.scenes import Scene

RESULTS = {"the run": {"outcome": "approved", "total": 4}}
RUN = "(SELECT id FROM agentflow_run)"
COPIED = "key, operation, attempt, at, took, input, output, error, detail"
PLANTED = {
    "UPDATE agentflow_journal SET seq = seq + 100 WHERE seq > 2": "gaps or doubles",
    "UPDATE agentflow_journal SET epoch = 9 WHERE seq = 2": "epochs go back",
    "UPDATE agentflow_run SET epoch = 1": "the run only of 1",
    "UPDATE agentflow_run SET status = 'failed'": "its journal of",
    "UPDATE agentflow_run SET status = 'queued', available_at = NULL": "is queued for no time",
    "UPDATE agentflow_run SET status = 'running', worker_id = 'wrk_gone'": "is held by wrk_gone, which is gone",
    "UPDATE agentflow_run SET status = 'waiting', available_at = NULL": "waits for nothing",
    "UPDATE agentflow_run SET status = 'needs_attention'": "does not say why",
    "UPDATE agentflow_run SET status = 'paused'": "nobody says by whom",
    "UPDATE agentflow_run SET output = '{}'": "is not the recorded",
    "UPDATE agentflow_journal SET output = 'blob:00:7' WHERE kind = 'succeeded'": "as blob:00:7, which is not there",
    "INSERT INTO agentflow_blob VALUES ('00', 'text', 4, 0)": "blob 00 is not what it was",
    "INSERT INTO agentflow_callback (id, run_id, key, token_digest, status, created_at) "
    "SELECT 'cbk_1', id, 'callback#1', 'd', 'pending', 0 FROM agentflow_run": "cbk_1 may be answered",
    "UPDATE agentflow_run SET idempotency_key = 'another'": "there is no run for the run",
    "DELETE FROM agentflow_decision": "is approved with 0 decisions",
    "UPDATE agentflow_approval SET status = 'pending'": "is pending with 1 decisions",
    "UPDATE agentflow_approval SET status = 'timed_out'": "is timed_out with 1 decisions",
    "UPDATE agentflow_approval SET status = 'cancelled'": "its run was told 1 times",
    "INSERT INTO agentflow_wait SELECT run_id, key, 'approval', id, 0, NULL FROM agentflow_approval": "still waits",
    f"INSERT INTO agentflow_journal (run_id, seq, kind, epoch, {COPIED}) SELECT run_id, 99, kind, epoch, {COPIED} "
    "FROM agentflow_journal WHERE kind = 'succeeded'": "has 2 results",
    f"INSERT INTO agentflow_journal (run_id, seq, kind, epoch, {COPIED}) SELECT run_id, 99, kind, epoch, {COPIED} "
    "FROM agentflow_journal WHERE kind = 'wait_resolved'": "its run was told 2 times",
    "UPDATE agentflow_decision SET id = 'dec-2'": "was told DECIDED of dec-1",
    f"UPDATE agentflow_journal SET run_id = 'run_x' WHERE run_id = {RUN} AND seq = 1": "refers to one that is missing",
}


@pytest.fixture(scope="module")
def ended(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A run that asked, was answered and has ended, in which nothing is wrong."""
    scene = made(migrated, tmp_path_factory.mktemp("ended") / "scene")
    for act in (("see_it_park", "asks", 3), ("decide",), ("see_all_end",)):
        with scene.start(perform, *act) as child:
            assert child.ended() == 0
    seen = scene.check(results=RESULTS)
    assert seen.pop("entries") > 4
    assert seen == {"runs": 1, "approvals": 1, "bodies": 3}
    return scene


@pytest.fixture
def sound(ended: Scene, scene: Scene) -> Scene:
    """A copy of it, to be spoilt."""
    shutil.copyfile(ended.file, scene.file)
    shutil.copyfile(ended.ledger, scene.ledger)
    return scene


def found(scene: Scene) -> str:
    return "\n".join(violations(scene.file, scene.ledger, results=RESULTS))


@pytest.mark.parametrize("statement", PLANTED)
def test_what_is_wrong_in_the_database_is_named(statement: str, sound: Scene) -> None:
    with closing(connect(sound.file)) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        assert connection.execute(statement).rowcount > 0
    assert PLANTED[statement] in found(sound)


MISSED = {
    "INSERT INTO agentflow_event (id, name, key, seq, payload, digest, sent_by, sent_at) "
    "VALUES ('evt_1', 'paid', 'k', 1, '1', 'd', 'test', 7)": "an event that was sent since",
    "INSERT INTO agentflow_callback (id, run_id, key, token_digest, status, created_at) "
    "SELECT 'cbk_1', id, 'callback#1', 'd', 'completed', 0 FROM agentflow_run": "waits for cbk_1, which is completed",
}


@pytest.mark.parametrize("statement", MISSED)
def test_an_answer_that_a_wait_has_missed_is_named(statement: str, sound: Scene) -> None:
    with closing(connect(sound.file)) as connection:
        for kind, subject in (("event", "paid:k"), ("callback", "cbk_1")):
            connection.execute(
                f"INSERT INTO agentflow_wait SELECT id, '{kind}#1', '{kind}', '{subject}', 1, NULL FROM agentflow_run"
            )
        connection.execute(statement)
    assert MISSED[statement] in found(sound)


@pytest.mark.parametrize(
    ("epoch", "attempt", "later", "said"),
    [
        (1, 2, 10**9, "ran again in epoch 1 after its result"),
        (2, 1, 0, "ran again in epoch 2 after its result"),
        (1, 1, 0, "ran 2 times in one attempt"),
    ],
)
def test_a_body_that_ran_although_its_result_was_recorded_is_named(
    epoch: int, attempt: int, later: int, said: str, sound: Scene
) -> None:
    first = next(line for line in sound.ledger.read_text().splitlines() if json.loads(line)[6] == "start")
    run, key, _, _, pid, at, phase = json.loads(first)
    again = json.dumps([run, key, attempt, epoch, pid, at + later, phase])
    sound.ledger.write_text(sound.ledger.read_text() + again + "\n")
    assert said in found(sound)


def test_a_step_that_ran_more_often_than_it_was_announced_is_named(scene: Scene) -> None:
    with scene.start(perform, "see_it_end", "pays", 3) as child:
        assert child.ended() == 0
    assert list(violations(scene.file, scene.ledger, results={})) == []
    with closing(connect(scene.file)) as connection:
        connection.execute("UPDATE agentflow_journal SET kind = 'noted' WHERE kind = 'succeeded'")
    start = next(line for line in scene.ledger.read_text().splitlines() if "start" in line)
    scene.ledger.write_text(scene.ledger.read_text() + start.replace(", 1, 1, ", ", 1, 2, ", 1) + "\n")
    assert "is to run at most once and was entered 2 times" in "\n".join(
        violations(scene.file, scene.ledger, results={})
    )
