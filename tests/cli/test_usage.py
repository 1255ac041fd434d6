"""A command that cannot be understood is answered in one line, and starting up costs next to nothing."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from agentflow._version import __version__

if TYPE_CHECKING:
    from tests.cli.shell import Shell

COMMANDS = (
    "serve worker ui scheduler trigger runs show inbox approve reject correct cancel resume why tasks db version demo"
)


def test_the_version_is_printed(agentflow: Shell) -> None:
    assert agentflow("version").out.startswith(f"agentflow {__version__} (Python 3.")
    assert agentflow("version", "--json").document["version"] == __version__


@pytest.mark.parametrize("arguments", [["version"], ["--help"]])
def test_what_needs_no_database_imports_none_of_the_heavy_libraries(arguments: list[str], agentflow: Shell) -> None:
    code = (
        "import atexit, sys\n"
        "heavy = {'sqlalchemy', 'sqlmodel', 'alembic', 'litestar', 'uvicorn', 'apscheduler', 'jsonschema', 'jinja2'}\n"
        "atexit.register(lambda: print('heavy:', sorted(heavy & set(sys.modules)), file=sys.stderr))\n"
        f"from agentflow.cli import main\nmain({arguments!r})"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env=agentflow.environment, capture_output=True, text=True, check=True, timeout=250
    )
    assert ended.stderr == "heavy: []\n"


def test_help_lists_every_command_and_the_exit_codes(agentflow: Shell) -> None:
    out = agentflow("--help", COLUMNS="200").out
    assert [name for name in COMMANDS.split() if f" {name} " not in out] == []
    assert "4 something else came first" in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["runs", "--statu", "failed"], "agentflow runs: No such option: --statu"),
        (["rns"], "agentflow: No such command 'rns'. Did you mean 'runs'?"),
        (
            ["runs", "--limit", "some"],
            "agentflow runs: Invalid value for '--limit' / '-n': found 'some'; wanted a whole",
        ),
        (
            ["runs", "--limit", "0"],
            "agentflow runs: Invalid value for '--limit' / '-n': found 0; wanted a whole number, 1",
        ),
        (["show"], "agentflow show: Missing argument 'RUN'"),
        (["reject", "apr_1"], "agentflow reject: Missing option '--reason'"),
        (["approve", "apr_1", "apr_2"], "agentflow approve: Got unexpected extra argument(s) (apr_2)"),
        (
            ["serve", "--port", "99999"],
            "agentflow serve: Invalid value for '--port': found 99999; wanted a whole number from 0",
        ),
        (["runs", "--status", "faild"], "agentflow: --status: found 'faild'; wanted one of queued"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_misused_command_is_answered_in_one_line_with_exit_code_2(
    arguments: list[str], complaint: str, agentflow: Shell
) -> None:
    ended = agentflow(*arguments)
    assert ended.complaint.startswith(complaint)
    assert (ended.code, ended.out) == (2, "")


def test_with_json_a_misused_command_answers_with_a_document_too(agentflow: Shell) -> None:
    ended = agentflow("runs", "--limit", "some", "--json")
    assert ended.document["error"]["exit_code"] == ended.code == 2


def test_no_command_at_all_prints_the_help(agentflow: Shell) -> None:
    ended = agentflow()
    assert "Usage: agentflow" in ended.out
    assert ended.code == 2


def test_a_mistyped_variable_is_warned_of_and_json_stays_clean(agentflow: Shell) -> None:
    ended = agentflow("version", "--json", AGENTFLOW_DATABASE="sqlite:///x.db")
    assert "did you mean AGENTFLOW_DATABASE_URL?" in ended.complaint
    assert ended.document["version"] == __version__
    assert agentflow("version", "--quiet", AGENTFLOW_DATABASE="sqlite:///x.db").err == ""


def test_reading_where_there_is_no_database_leaves_none_behind(agentflow: Shell) -> None:
    listed = agentflow("runs", "--json")
    assert (listed.document, listed.code) == ([], 0)
    assert "there is no database at agentflow.db yet" in listed.complaint
    shown = agentflow("show", "run_01")
    assert shown.code == 5
    assert "there is no database at agentflow.db yet" in shown.complaint
    assert list(agentflow.folder.iterdir()) == []
