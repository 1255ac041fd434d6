"""What a program imports goes with what it does: who defines tasks waits for no database, who reads for no web."""

from __future__ import annotations

import gc
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentflow import AgentFlow, task
from agentflow.later import is_imported, lasting, later

ROOT = Path(__file__).parents[2]

DATABASE = {"sqlalchemy", "sqlmodel", "pysqlite3", "sqlite3", "psycopg", "agentflow.store.opening"}
MIGRATIONS = {"alembic", "mako"}
WEB = {"litestar", "uvicorn", "jinja2", "markdown_it", "nh3", "standardwebhooks", "httpx", "approvals_ui"}
VALIDATION = {"jsonschema", "referencing"}
TIMES = {"apscheduler", "schedulers"}
TERMINAL = {"typer", "rich"}
ENGINE = {"agentflow.worker", "agentflow.runtime.turn", "agentflow.client.steering", "agentflow.approvals.forms"}
MODELS = {"pydantic", "pydantic_core"}
EVERYTHING = DATABASE | MIGRATIONS | WEB | VALIDATION | TIMES | TERMINAL | ENGINE | MODELS

TASKS = """
from dataclasses import dataclass

from agentflow import AgentFlow, Queue, Retry, fallback, step, task, wait_for_approval


@dataclass
class Invoice:
    number: str
    total: float


@step(retry=Retry(max_attempts=3))
async def read(address: str) -> Invoice:
    return Invoice("A-17", 12.5)


async def look(address: str) -> Invoice:
    return Invoice("A-17", 12.5)


@task(queue=Queue("bills", concurrency=2))
async def pay(address: str) -> Invoice:
    draft = await fallback(read, look)(address)
    return (await wait_for_approval(draft, title=draft.number, timeout="24h")).data
"""


@task
async def ask(number: int) -> int:
    """A run to look at."""
    return number


def imported(code: str, folder: Path) -> set[str]:
    """The modules a program has imported when it ends."""
    (folder / "tasks.py").write_text(TASKS, encoding="utf-8")
    (folder / "program.py").write_text(
        "import atexit, sys\natexit.register(lambda: print('\\n' + ' '.join(sys.modules), file=sys.stderr))\n" + code,
        encoding="utf-8",
    )
    ended = subprocess.run(
        [sys.executable, "program.py"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert ended.returncode == 0, ended.stderr
    return set(ended.stderr.splitlines()[-1].split())


def test_importing_the_package_imports_nothing_more(tmp_path: Path) -> None:
    found = imported("import agentflow\n", tmp_path)
    assert found & EVERYTHING == set()
    assert {name for name in found if name.startswith("agentflow")} == {
        "agentflow",
        "agentflow._version",
        "agentflow.later",
    }


@pytest.mark.parametrize(
    ("code", "needed"),
    [
        ("from agentflow import AgentFlow, Retry, fallback, step, task, wait_for_approval\n", set()),
        ("import tasks\n", set()),
        # What a task takes is checked where an application is made of it, and opening one needs pydantic anyway.
        ("import agentflow, tasks\nagentflow.AgentFlow(tasks, database='sqlite:///none.db')\n", MODELS),
    ],
    ids=["the names", "the tasks", "the application"],
)
def test_defining_tasks_imports_no_database_no_web_and_no_validator(
    code: str, needed: set[str], tmp_path: Path
) -> None:
    assert imported(code, tmp_path) & EVERYTHING == needed


def test_help_imports_what_it_is_printed_with(tmp_path: Path) -> None:
    found = imported("from agentflow.cli import main\nmain(['--help'])\n", tmp_path)
    assert found & (EVERYTHING - TERMINAL - {"markdown_it"}) == set()  # rich prints help, and reads Markdown for it


@pytest.mark.parametrize("command", ["runs", "why", "show", "inbox"])
async def test_a_command_that_reads_imports_the_database_and_no_more(command: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    async with AgentFlow(ask, database=url, worker=False):
        run = await ask.trigger(1)
    arguments = [command, *([run.id] if command in {"why", "show"} else []), "--database", url]
    found = imported(f"from agentflow.cli import main\nmain({arguments!r})\n", tmp_path)
    assert found & (MIGRATIONS | WEB | VALIDATION | TIMES | ENGINE - {"agentflow.client.steering"}) == set()
    assert "agentflow.store.opening" in found


async def test_a_worker_imports_no_web_and_on_a_database_that_is_ready_no_migrations(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    async with AgentFlow(ask, database=url, worker=False):
        pass
    code = (
        "import asyncio, agentflow, tasks\n"
        "async def main():\n"
        f"    async with agentflow.AgentFlow(tasks, database={url!r}):\n"
        "        pass\n"
        "asyncio.run(main())\n"
    )
    found = imported(code, tmp_path)
    assert found & (MIGRATIONS | WEB | VALIDATION | TIMES | TERMINAL | {"agentflow.approvals.forms"}) == set()
    assert "agentflow.worker" in found


def test_a_module_that_comes_later_is_imported_by_its_first_use_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "comes_later.py").write_text("VALUE = 3\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    stands_in = later("comes_later")
    assert not hasattr(stands_in, "__wrapped__")
    assert not is_imported("comes_later")
    assert stands_in.VALUE == 3
    assert is_imported("comes_later")
    with pytest.raises(AttributeError):
        _ = stands_in.NOTHING


def test_what_is_imported_to_last_is_not_searched_for_garbage_and_the_collector_is_as_it_was() -> None:
    unfrozen = gc.get_freeze_count()
    try:
        with lasting():
            assert not gc.isenabled()
            made = [[]]
        assert gc.isenabled()
        assert gc.get_freeze_count() > unfrozen
        assert not any(one is made for one in gc.get_objects())
        gc.disable()
        with lasting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()


async def test_a_store_that_cannot_be_opened_leaves_the_collector_on(tmp_path: Path) -> None:
    code = (
        "import asyncio, gc, agentflow, tasks\n"
        "async def main():\n"
        "    try:\n"
        "        await agentflow.AgentFlow(tasks, database='sqlite:////nowhere/runs.db').__aenter__()\n"
        "    except agentflow.errors.StoreUnusable:\n"
        "        assert gc.isenabled()\n"
        "    else:\n"
        "        raise SystemExit('it was opened')\n"
        "asyncio.run(main())\n"
    )
    assert "agentflow.store.opening" in imported(code, tmp_path)


@pytest.mark.parametrize(
    "package",
    [
        "agentflow",
        "agentflow.approvals",
        "agentflow.events",
        "agentflow.records",
        "agentflow.requests",
        "agentflow.store",
        "agentflow.verifiers",
    ],
)
def test_every_name_of_a_package_that_imports_late_is_there_and_no_other(package: str) -> None:
    module = importlib.import_module(package)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        _ = module.nothing
