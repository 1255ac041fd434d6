"""Whatever is wrong with the database, every command says it in one line and ends with the code for it."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from agentflow.cli.application import build, main
from agentflow.cli.exits import ExitCode
from tests.cli.shell import Shell
from tests.support.clusters import free_port

PASSWORD = "s3cr3t"
SUBSCRIPTION, MESSAGE = "sub_01j00000000000000000000", "msg_01j00000000000000000000"
RUN, APPROVAL = "run_01j00000000000000000000000", "apr_01j00000000000000000000000"
ARGUMENTS = {
    "trigger-batch": ["office.py", "--items", '[{"task": "greet", "input": {"name": "mia"}}]'],
    "trigger": ["office.py:greet", "--input", '{"name": "mia"}'],
    "runs": [],
    "why": [RUN],
    "show": [RUN],
    "cancel": [RUN],
    "pause": [RUN],
    "resume": [RUN],
    "retry": [RUN],
    "fork": [RUN],
    "history": [RUN],
    "export": [RUN],
    "health": [],
    "inbox": [],
    "approve": [APPROVAL],
    "reject": [APPROVAL, "--comment", "no"],
    "correct": [APPROVAL, "--data", "{}", "--yes"],
    "send": ["paid"],
    "events": [],
    "listeners": [],
    "matches list": [],
    "matches retry": ["evt_1"],
    "check": ["office.py"],
    "queues list": [],
    "queues pause": ["mail"],
    "queues resume": ["mail"],
    "queues limit": ["mail", "--concurrency", "1"],
    "queues reset": ["mail"],
    "queues log": ["mail"],
    "schedules list": [],
    "schedules show": ["nightly"],
    "schedules plan": ["office.py"],
    "schedules upsert": ["office.py:greet", "every 1h", "--id", "hourly", "--input", '{"name": "mia"}'],
    "schedules remove": ["nightly"],
    "schedules pause": ["nightly"],
    "schedules resume": ["nightly"],
    "schedules trigger": ["nightly", "--app", "office.py"],
    "schedules backfill": ["nightly", "--since", "2026-01-01"],
    "schedules backfills": [],
    "schedules cancel-backfill": ["bkf_01j00000000000000000000000"],
    "callback complete": ["cb_token"],
    "callback fail": ["cb_token", "--error", "no"],
    "callback heartbeat": ["cb_token"],
    "deliveries list": [],
    "deliveries show": ["dlv_01j00000000000000000"],
    "deliveries redeliver": ["dlv_01j00000000000000000", "office.py"],
    "workers": [],
    "budget": [RUN],
    "costs": [],
    "tell": [RUN, "be brief"],
    "standing list": [],
    "standing add": ["clerk", "refund", "--for", "1d", "--reason", "small ones"],
    "standing revoke": ["sta_01j00000000000000000000000"],
    "subscriptions add": ["https://example.com/", "--event", "*"],
    "subscriptions list": [],
    "subscriptions show": [SUBSCRIPTION],
    "subscriptions change": [SUBSCRIPTION, "--event", "run.*"],
    "subscriptions disable": [SUBSCRIPTION],
    "subscriptions enable": [SUBSCRIPTION],
    "subscriptions rotate-secret": [SUBSCRIPTION],
    "subscriptions remove": [SUBSCRIPTION],
    "subscriptions ping": [SUBSCRIPTION],
    "dispatches list": [],
    "dispatches show": [MESSAGE],
    "dispatches resend": [MESSAGE],
    "tokens create": ["mia", "--all"],
    "tokens list": [],
    "tokens revoke": ["mia"],
    "db upgrade": [],
    "db check": [],
    "db backup": ["copy.db"],
    "db restored": [],
    "db prune": ["--older-than", "30d"],
}
SERVING = {
    "serve": ["office.py", "--port", "0"],
    "worker": ["office.py"],
    "ui": ["--port", "0"],
    "scheduler": ["office.py"],
}
ELSEWHERE = {"demo", "replay", "tasks", "version", "webhooks", "db move", "db restore"}
"""They use no database, or one of their own."""

OFFICE = """
    from agentflow import task

    @task
    async def greet(name: str) -> str:
        return name
"""


def bad_urls(folder: Path) -> Iterator[tuple[str, ExitCode, str]]:
    diary = folder / "diary.db"
    diary.write_text("Dear diary,\n" * 500)
    yield f"postgresql://mia:{PASSWORD}@127.0.0.1:{free_port()}/runs", ExitCode.UNUSABLE, "nothing listens on this host"
    yield f"postgresql://mia:{PASSWORD}@db/runs?sslmod=require", ExitCode.BAD_INPUT, "did you mean sslmode?"
    yield f"postgresql://mia:{PASSWORD}/x@db/runs", ExitCode.BAD_INPUT, "its port is no number"
    yield f"mysql://mia:{PASSWORD}@db/runs", ExitCode.BAD_INPUT, "wanted sqlite:///name.db"
    yield f"sqlite:///{diary}", ExitCode.UNUSABLE, "is not a SQLite database"
    yield f"sqlite:///{folder}", ExitCode.UNUSABLE, "cannot be "


def commands(found: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    if not hasattr(found, "commands"):
        yield " ".join(path)
        return
    for name, inner in found.commands.items():
        yield from commands(inner, (*path, name))


def test_every_command_is_in_one_of_the_tables() -> None:
    known = ARGUMENTS.keys() | SERVING.keys() | ELSEWHERE
    assert sorted(commands(get_command(build()))) == sorted(known)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    Shell(tmp_path).write("office.py", OFFICE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop("office", None)
    importlib.invalidate_caches()


@pytest.mark.parametrize("command", ARGUMENTS)
def test_a_command_says_in_one_line_what_is_wrong_with_its_database(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for url, code, said in bad_urls(folder):
        monkeypatch.setitem(os.environ, "AGENTFLOW_DATABASE_URL", url)
        with pytest.raises(SystemExit) as ended:
            main([*command.split(), *ARGUMENTS[command]])
        out, err = capsys.readouterr()
        assert ended.value.code == code, (url, err)
        assert (out, err.count("\n")) == ("", 1)
        assert err.startswith("agentflow: ")
        assert said in err
        assert PASSWORD not in err


@pytest.mark.parametrize("command", SERVING)
def test_what_runs_for_long_does_not_begin_on_a_bad_database(command: str, agentflow: Shell) -> None:
    agentflow.write("office.py", OFFICE)
    for url, code, said in list(bad_urls(agentflow.folder))[::2]:
        ended = agentflow(command, *SERVING[command], "--quiet", "--database", url)
        assert ended.code == code
        assert said in ended.complaint
        assert PASSWORD not in ended.err
        assert ended.out == ""


def test_even_the_whole_traceback_of_a_bad_url_tells_no_password(agentflow: Shell) -> None:
    ended = agentflow("runs", "--traceback", "--json", "--database", f"postgresql://mia:{PASSWORD}%zz@db/runs")
    assert "Traceback" in ended.err
    assert PASSWORD not in ended.err + ended.out
    assert ended.document["error"]["type"] == "InvalidSetting"
