"""Starting runs, looking at them and steering them, against a real server."""

from __future__ import annotations

import json

import pytest

from tests.cli.shell import Office, Shell


def test_trigger_prints_the_id_and_status_and_nothing_else_as_json(office: Office) -> None:
    document = office("trigger", "app.py:greet", "--input", '{"name": "mia"}', "--json").document
    assert set(document) == {"id", "status"}
    assert document["id"].startswith("run_")
    words = office("trigger", "app.py:greet", "--input", '{"name": "mia"}').out.split()
    assert words[0].startswith("run_")
    assert words[1] == "queued"


def test_trigger_with_wait_prints_what_the_task_returned(office: Office) -> None:
    ended = office("trigger", "app.py:greet", "--input", "-", "--wait", "--json", stdin='{"name": "mia", "times": 2}')
    assert ended.code == 0
    assert ended.document["status"] == "completed"
    assert ended.document["output"] == ["hello Mia", "hello Mia"]
    assert ended.document["error"] is None


def test_trigger_with_wait_ends_with_1_when_the_run_fails(office: Office) -> None:
    given = ["trigger", "app.py:fails", "--input", '{"account": "A-17"}', "--wait"]
    ended = office(*given, "--json")
    assert ended.code == 1
    assert ended.document["status"] == "failed"
    assert ended.document["error"]["type"] == "builtins:ValueError"
    assert ended.document["error"]["message"] == "no account A-17"
    for_people = office(*given)
    assert "ValueError: no account A-17" in for_people.out
    assert for_people.code == 1


def test_the_same_key_makes_one_run_and_other_content_is_a_conflict(office: Office) -> None:
    given = ["trigger", "app.py:greet", "--key", "order-17", "--json", "--input"]
    first, again = office(*given, '{"name": "mia"}'), office(*given, '{"name": "mia"}')
    assert first.document["id"] == again.document["id"]
    other = office(*given, '{"name": "tom"}')
    assert other.code == 4
    assert other.document["error"]["type"] == "IdempotencyMismatch"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ('{"name": 12}', ["/name", "12", "string"]),
        ('{"nmae": "mia"}', ["nmae", "did you mean", "name"]),
        ('{"name": "mia", "times": "two"}', ["/times", "two", "int"]),
        ("{}", ["/name"]),
        ("[1, 2]", ["object"]),
        ("mia", ["--input: found 'mia' at line 1, column 1"]),
    ],
)
def test_a_mistyped_input_is_one_line_naming_the_field_and_makes_no_run(
    given: str, words: list[str], office: Office
) -> None:
    before = [run["id"] for run in office("runs", "--json").document]
    ended = office("trigger", "app.py:greet", "--input", given)
    assert ended.code == 2
    assert [word for word in words if word not in ended.complaint] == []
    assert [run["id"] for run in office("runs", "--json").document] == before


def test_a_delayed_run_is_not_started_before_its_time(office: Office) -> None:
    run = office("trigger", "app.py:greet", "--input", '{"name": "mia"}', "--delay", "1h", "--json").document["id"]
    shown = office("show", run, "--json").document
    assert (shown["status"], shown["started_at"]) == ("queued", None)
    assert office("trigger", "app.py:greet", "--delay", "soon", "--input", '{"name": "x"}').code == 2
    assert office("cancel", run, "--reason", "changed my mind", "--json").document == {"id": run, "status": "cancelled"}


def test_show_tells_everything_about_a_run(office: Office) -> None:
    given = ["trigger", "app.py:greet", "--input", '{"name": "mia"}', "--wait", "--json"]
    run = office(*given).document["id"]
    shown = office("show", run, "--json").document
    assert (shown["id"], shown["status"], shown["output"], shown["error"]) == (run, "completed", ["hello Mia"], None)
    assert shown["input"] == {"name": "mia", "times": 1}
    steps = [entry for entry in shown["journal"] if entry["kind"] == "succeeded"]
    assert [(entry["key"], entry["output"]) for entry in steps] == [("look_up#1", "Mia")]
    for_people = office("show", run).out
    assert "look_up#1  succeeded" in for_people
    assert '["hello Mia"]' in for_people


def test_a_terminal_of_few_letters_is_no_error(office: Office) -> None:
    given = ["trigger", "app.py:greet", "--input", '{"name": "zoë ✓"}', "--wait"]
    ended = office(*given, PYTHONIOENCODING="ascii")
    assert '["hello Zo\\xeb \\u2713"]' in ended.out
    assert ended.code == 0


def test_following_a_run_ends_with_it_and_with_its_exit_code(office: Office) -> None:
    run = office("trigger", "app.py:fails", "--input", '{"account": "A-17"}', "--json").document["id"]
    followed = office("show", run, "--follow")
    assert "run failed: ValueError: no account A-17" in followed.out
    assert followed.code == 1
    as_document = office("show", run, "--follow", "--json")
    assert as_document.document["status"] == "failed"
    assert as_document.code == 1


def test_a_beginning_of_an_id_is_enough_when_it_fits_one_run(office: Office) -> None:
    given = ["trigger", "app.py:greet", "--input", '{"name": "mia"}', "--json"]
    runs = [office(*given).document["id"] for _ in range(2)]
    for beginning in (runs[0][:-1], runs[0].removeprefix("run_")[:-1]):
        assert office("show", beginning, "--json").document["id"] == runs[0]
    ambiguous = office("show", "run_", "--json")
    assert ambiguous.code == 2
    assert "is the beginning of several runs: run_" in ambiguous.complaint


def test_a_run_that_is_not_there_ends_with_3(office: Office) -> None:
    for command in ("show", "cancel", "resume", "why"):
        ended = office(command, "run_nowhere", "--json")
        assert ended.code == 3
        assert ended.document["error"]["type"] == "RunNotFound"


def test_a_run_that_has_ended_can_be_neither_cancelled_nor_resumed(office: Office) -> None:
    given = ["trigger", "app.py:greet", "--input", '{"name": "mia"}', "--wait", "--json"]
    run = office(*given).document["id"]
    for command in ("cancel", "resume"):
        ended = office(command, run)
        assert f"run {run} is completed" in ended.complaint
        assert ended.code == 4


def test_runs_are_listed_newest_first_and_filtered(office: Office) -> None:
    for account in "AB":
        office("trigger", "app.py:fails", "--input", json.dumps({"account": account}), "--wait")
    listed = office("runs", "--task", "fails", "--status", "failed", "--limit", "2", "--json").document
    assert [run["task"] for run in listed] == ["fails", "fails"]
    assert listed[0]["created_at"] > listed[1]["created_at"]
    rows = office("runs", "--task", "fails", "--limit", "1").out.splitlines()
    assert rows[0].split("\t") == ["id", "task", "status", "age", "took"]
    assert rows[1].split("\t")[:3] == [listed[0]["id"], "fails", "failed"]


def test_without_a_worker_waiting_says_what_is_missing(agentflow: Shell, office: Office) -> None:
    agentflow.write("app.py", (office.folder / "app.py").read_text())
    run = agentflow("trigger", "app.py:greet", "--input", '{"name": "mia"}', "--json").document
    assert run["status"] == "queued"
    assert "no worker" in agentflow("why", run["id"]).out
    started = agentflow.start("trigger", "app.py:greet", "--input", '{"name": "mia"}', "--key", "k", "--wait")
    assert started.process.stderr is not None
    assert started.process.stderr.readline().startswith("run_")
    assert "no worker is running on this database" in started.process.stderr.readline()
    assert started.stop(2).code == 130


def test_db_check_counts_what_is_there(office: Office) -> None:
    office("trigger", "app.py:greet", "--input", '{"name": "mia"}', "--wait")
    document = office("db", "check", "--json").document
    assert document["ok"] is True
    assert document["runs"]["completed"] >= 1
    assert "is whole and up to date" in office("db", "check").out


@pytest.mark.parametrize("command", [["runs"], ["inbox"], ["db", "check"], ["show", "run_1"]])
def test_a_file_that_is_no_database_ends_with_5_and_stays_as_it_was(command: list[str], agentflow: Shell) -> None:
    path = agentflow.write("agentflow.db", "my diary, " * 1000)
    before = path.read_bytes()
    ended = agentflow(*command)
    assert ended.code == 5
    assert "agentflow.db" in ended.complaint
    assert path.read_bytes() == before
