"""Deciding at the terminal: approve, reject, correct, and what is refused."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import COMMAND, Ended, Office


def test_the_inbox_lists_what_waits_with_its_data(office: Office) -> None:
    approval = office.asked("R-1")
    assert approval["title"] == "Invoice R-1"
    assert approval["data"] == {"number": "R-1", "total": 10.5}
    assert approval["allow"] == ["approve", "correct", "reject"]
    assert "Invoice R-1" in office("inbox").out


def test_one_approval_is_shown_in_full(office: Office) -> None:
    approval = office.asked("R-0")
    assert office("inbox", approval["id"], "--json").document == approval
    shown = office("inbox", approval["id"]).out
    assert '{"number": "R-0", "total": 10.5}' in shown
    assert "approve, correct, reject" in shown


def test_an_approval_lets_the_run_go_on_with_the_data_as_proposed(office: Office) -> None:
    approval = office.asked("R-2")
    receipt = office("approve", approval["id"], "-m", "looks right", "--json").document
    assert (receipt["outcome"], receipt["comment"]) == ("approved", "looks right")
    assert office.result(approval)["output"] == {"number": "R-2", "total": 10.5}
    assert approval["id"] not in office("inbox", "--json").out
    assert approval["id"] in office("inbox", "--all", "--json").out


def test_a_rejection_tells_the_run_why(office: Office) -> None:
    approval = office.asked("R-3")
    assert office("reject", approval["id"], "-m", "ordered twice").out.startswith("rejected: Invoice R-3")
    assert office.result(approval)["error"]["message"] == "ordered twice"


@pytest.mark.parametrize("way", ["text", "file", "stdin"])
def test_a_correction_is_what_the_run_goes_on_with(way: str, office: Office) -> None:
    approval = office.asked(f"R-4-{way}")
    corrected = json.dumps({"number": "R-4", "total": 12.5})
    office.write("corrected.json", corrected)
    given = {"text": corrected, "file": "@corrected.json", "stdin": "-"}[way]
    ended = office("correct", approval["id"], "--data", given, "--json", stdin=corrected)
    assert ended.document["outcome"] == "corrected"
    assert "- 10.5\n  + 12.5" in ended.err
    assert office.result(approval)["output"] == {"number": "R-4", "total": 12.5}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ('{"number": "R-5", "total": "ten"}', ["/total", "number"]),
        ('{"number": "R-5"}', ["total"]),
        ('{"number": "R-5", "total": 1, "bonus": 2}', ["bonus"]),
        ('{"number": "R-5", "total": 1', ["--data: found the end at line 1"]),
    ],
)
def test_data_that_does_not_fit_is_refused_and_the_approval_stays_pending(
    data: str, words: list[str], office: Office
) -> None:
    approval = office.asked("R-5")
    ended = office("correct", approval["id"], "--data", data)
    assert ended.code == 2
    assert [word for word in words if word not in ended.complaint] == []
    assert approval["id"] in office("inbox", "--json").out


def test_the_second_decision_is_told_who_was_first(office: Office) -> None:
    approval = office.asked("R-6")
    office("approve", approval["id"])
    for command in (["approve"], ["reject", "-m", "no"], ["correct", "--data", "{}"]):
        ended = office(command[0], approval["id"], *command[1:])
        assert "was already approved by" in ended.complaint
        assert ended.code == 4


def test_an_approval_of_a_cancelled_run_is_withdrawn(office: Office) -> None:
    approval = office.asked("R-7")
    office("cancel", approval["run_id"])
    ended = office("approve", approval["id"], "--json")
    assert ended.document["error"]["type"] == "ApprovalWithdrawn"
    assert ended.code == 4


def test_a_beginning_of_an_id_is_enough_and_a_runs_id_is_recognised(office: Office) -> None:
    approval = office.asked("R-8")
    assert office("approve", approval["id"][:-1], "--json").document["approval_id"] == approval["id"]
    assert office("approve", "apr_nowhere").code == 3
    mistaken = office("approve", approval["run_id"])
    assert "wanted the id of an approval" in mistaken.complaint
    assert mistaken.code == 2


def test_without_data_and_without_a_terminal_there_is_nothing_to_edit_in(office: Office) -> None:
    approval = office.asked("R-9")
    ended = office("correct", approval["id"])
    assert "wanted --data JSON, --data @file or --data -" in ended.complaint
    assert ended.code == 2


# -- with a terminal


def edited(office: Office, approval: dict[str, Any], *edits: str, answers: str) -> Ended:
    """`correct` in a terminal whose editor makes these edits, one each time it is opened."""
    script = f"""
        import pathlib, sys
        path, count = pathlib.Path(sys.argv[-1]), pathlib.Path("edits")
        done = int(count.read_text()) if count.exists() else 0
        count.write_text(str(done + 1))
        old, new = {[edit.split("=>") for edit in edits]!r}[done]
        path.write_text(path.read_text().replace(old, new))
    """
    (office.folder / "edits").unlink(missing_ok=True)
    (office.folder / "editor.py").write_text(textwrap.dedent(script))
    controller, terminal = pty.openpty()
    environment = office.environment | {"EDITOR": f"{sys.executable} editor.py", "TERM": "dumb"}
    with subprocess.Popen(
        [*COMMAND, "correct", approval["id"]],
        cwd=office.folder, env=environment, stdin=terminal, stdout=subprocess.PIPE, stderr=terminal, text=True,
    ) as process:  # fmt: skip
        os.close(terminal)
        os.write(controller, answers.encode())
        out, said = process.communicate(timeout=250)[0], b""
        try:
            while chunk := os.read(controller, 4096):
                said += chunk
        except OSError:  # a terminal nobody holds open any more
            os.close(controller)
    return Ended(process.returncode, out, said.decode())


def test_the_editor_opens_with_the_data_and_the_correction_is_confirmed(office: Office) -> None:
    approval = office.asked("R-10")
    ended = edited(office, approval, "10.5=>12.5", answers="y\n")
    assert "Record this correction?" in ended.err
    assert ended.out.startswith("corrected: Invoice R-10")
    assert office.result(approval)["output"] == {"number": "R-10", "total": 12.5}


def test_a_correction_that_is_not_confirmed_is_not_recorded(office: Office) -> None:
    approval = office.asked("R-11")
    ended = edited(office, approval, "10.5=>12.5", answers="n\n")
    assert "is still pending; nothing was recorded" in ended.err
    assert ended.code == 1
    assert approval["id"] in office("inbox", "--json").out


def test_data_edited_wrongly_can_be_edited_again(office: Office) -> None:
    approval = office.asked("R-12")
    ended = edited(office, approval, '10.5=>"ten"', '"ten"=>11.0', answers="y\ny\n")
    assert "/total" in ended.err
    assert "Edit it again?" in ended.err
    assert office.result(approval)["output"] == {"number": "R-12", "total": 11.0}


def test_what_was_typed_is_kept_when_it_is_given_up(office: Office) -> None:
    approval = office.asked("R-13")
    ended = edited(office, approval, "10.5=>,", answers="n\n")
    kept = ended.err.replace("\r\n", "\n").strip().rpartition("what you typed is kept in ")[2]
    draft = Path(kept)
    assert '"total": ,' in draft.read_text(encoding="utf-8")
    draft.unlink()
    assert ended.code == 2


def test_an_editor_left_without_a_change_records_nothing(office: Office) -> None:
    approval = office.asked("R-14")
    ended = edited(office, approval, "nothing=>at all", answers="")
    assert "nothing was changed; to take it as it is: agentflow approve" in ended.err
    assert ended.code == 2
