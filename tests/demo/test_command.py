"""`agentflow demo` as a real program: reviewed here are the distributions of the environment the tests run in."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from agentflow.demo.distributions import installed
from agentflow.records import Entry, Run
from agentflow.requests import RunFilter
from agentflow.states import EntryKind, RunStatus
from agentflow.store import open_store

ROOT = Path(__file__).parents[2]


def command(folder: Path, *options: str) -> list[str]:
    database = f"sqlite:///{folder / 'review.db'}"
    return [
        sys.executable,
        "-m",
        "agentflow",
        "demo",
        "--output",
        str(folder / "out"),
        "--database",
        database,
        *options,
    ]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@contextmanager
def started(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The command, running; killed at the end of the block if it still is."""
    running = subprocess.Popen(command(folder, *options), stderr=subprocess.PIPE, text=True, env=environment())
    assert running.stderr is not None
    try:
        yield running
    finally:
        running.kill()
        running.wait()
        running.stderr.close()


def line_with(running: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """The first line on stderr that has this."""
    assert running.stderr is not None
    seen = []
    for line in running.stderr:
        seen.append(line)
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"no line matches {pattern!r}: {''.join(seen)}")


def ended(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, *options), capture_output=True, text=True, env=environment(), timeout=250, check=False
    )


async def kept(folder: Path) -> tuple[Run, dict[str, list[Entry]]]:
    """The one review in the database, and the journals of its child runs."""
    store = await open_store(f"sqlite:///{folder / 'review.db'}")
    try:
        (review,) = (await store.runs(RunFilter(task="licence_review"))).items
        children = (await store.runs(RunFilter(parent_id=review.id, limit=1000))).items
        return review, {run.id: list(await store.entries(run.id)) for run in children}
    finally:
        await store.close()


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["of .* reviewed", "Decide in the inbox", "[1-9][0-9]* waiting for a person"])
async def test_killed_at_any_moment_it_goes_on_and_nothing_is_examined_twice(tmp_path: Path, moment: str) -> None:
    with started(tmp_path, "--port", "0") as running:
        line_with(running, moment)
        running.send_signal(signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
    second = ended(tmp_path, "--port", "0", "--auto-approve", "--json")
    assert second.returncode == 0, second.stderr
    assert "Going on with run" in second.stderr

    review, journals = await kept(tmp_path)
    assert json.loads(second.stdout)["id"] == review.id
    assert review.status is RunStatus.COMPLETED
    assert len(journals) == len(installed())
    for entries in journals.values():
        examined = Counter(entry.key for entry in entries if entry.kind is EntryKind.SUCCEEDED)
        assert examined["read_metadata#1"] == 1
        assert set(examined.values()) == {1}
    lines = json.loads((tmp_path / "out" / "report.json").read_text())["distributions"]
    assert [line["distribution"] for line in lines] == [one.name for one in installed()]
    assert {line["decided_by"] for line in lines if line["outcome"] != "allowed"} == {"auto-approve"}


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_stops_and_says_how_to_go_on(tmp_path: Path, asked: signal.Signals) -> None:
    with started(tmp_path, "--port", "0") as running:
        line_with(running, "waiting for a person")
        running.send_signal(asked)
        line_with(running, "The same command goes on from here")
        assert running.wait(timeout=120) == 130


@pytest.mark.slow
def test_it_goes_on_when_a_person_decides_in_the_inbox_s_api(tmp_path: Path) -> None:
    with started(tmp_path, "--port", "0") as running:
        address = line_with(running, r"Decide in the inbox: (\S+)/inbox")[1]
        waiting = int(line_with(running, r"(\d+) waiting for a person")[1])
        with httpx.Client(base_url=f"{address}/api/v1", timeout=60) as api:
            decided = 0
            while running.poll() is None and decided < waiting:
                for approval in api.get("/approvals").json()["items"]:
                    answer = api.post(f"/approvals/{approval['id']}/decisions", json={"verdict": "approve"})
                    assert answer.status_code == 201, answer.text
                    decided += 1
        assert running.wait(timeout=120) == 0
    assert "approved by a person" in (tmp_path / "out" / "report.md").read_text()


@pytest.mark.slow
def test_a_finished_review_is_not_done_again_unless_asked(tmp_path: Path) -> None:
    first = ended(tmp_path, "--port", "0", "--auto-approve", "--json")
    second = ended(tmp_path, "--port", "0", "--json")
    third = ended(tmp_path, "--port", "0", "--auto-approve", "--again", "--json")
    assert [one.returncode for one in (first, second, third)] == [0, 0, 0]
    assert "--again" in second.stderr
    assert json.loads(first.stdout) == json.loads(second.stdout)
    assert json.loads(third.stdout)["id"] != json.loads(first.stdout)["id"]


def test_a_taken_port_is_left_for_the_next_free_one(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with started(tmp_path, "--port", str(port)) as running:
            assert int(line_with(running, r"127\.0\.0\.1:(\d+)/inbox")[1]) > port


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--allow", "MIT,Apache2"], r"--allow: found 'Apache2'.*did you mean .*Apache-2\.0"),
        (["--allow", "MIT OR ISC"], "several licences"),
        (["--output", "/dev/null/x"], "cannot be a folder"),
        (["--threshold", "2"], "threshold"),
    ],
)
def test_options_that_cannot_be_used_are_refused_in_one_line(tmp_path: Path, options: list[str], sentence: str) -> None:
    refused = ended(tmp_path, *options)
    assert refused.returncode == 2
    assert re.search(sentence, refused.stderr)
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "review.db").exists()
