"""The import contracts hold, and each of them is seen to break."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = ".importlinter"

CHECKOUT = {
    "agentflow/__init__.py": "from agentflow.client import Client\n",
    "agentflow/__main__.py": "from agentflow.cli import main\n",
    "agentflow/errors.py": "",
    "agentflow/records.py": "from agentflow import errors\n",
    "agentflow/store/__init__.py": "from agentflow.store import runs\n",
    "agentflow/store/runs.py": "import sqlite3, sqlmodel, sqlalchemy.orm, alembic.op\nfrom agentflow import records\n",
    "agentflow/client.py": "from agentflow.store import runs\nclass Client: ...\n",
    "agentflow/worker.py": "from agentflow import client\n",
    "agentflow/cli/__init__.py": "main = None\n",
    "agentflow/cli/serve.py": "import approvals_ui.app, schedulers, uvicorn, litestar, apscheduler\n",
    "approvals_ui/__init__.py": "",
    "approvals_ui/app.py": "import litestar\nfrom agentflow import errors\nfrom agentflow.client import Client\n",
    "schedulers/__init__.py": "import apscheduler\nfrom agentflow.records import Schedule\n",
}
VIOLATIONS = {
    "layers: an import upwards": ("agentflow/records.py", "from agentflow import worker"),
    "layers: an import upwards for an annotation": (
        "agentflow/errors.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from agentflow.records import Run",
    ),
    "layers: a module without a place": ("agentflow/novel.py", ""),
    "tops: the inbox known below the cli": ("agentflow/worker.py", "import approvals_ui"),
    "tops: the schedulers known below the cli": ("agentflow/client.py", "from schedulers import x"),
    "siblings: the inbox looks at the schedulers": ("approvals_ui/app.py", "import schedulers"),
    "outside: the inbox takes the store": ("approvals_ui/app.py", "from agentflow.store import runs"),
    "outside: the schedulers take the worker": ("schedulers/__init__.py", "import agentflow.worker"),
    "outside: the inbox takes the front page": ("approvals_ui/app.py", "from agentflow import Client"),
    "database: SQL in the client": ("agentflow/client.py", "from sqlalchemy import text"),
    "database: a second SQLite": ("approvals_ui/app.py", "import sqlite3"),
    "database: rows in the schedulers": ("schedulers/__init__.py", "import sqlmodel"),
    "web: Litestar in the worker": ("agentflow/worker.py", "from litestar import get"),
    "times: APScheduler in the inbox": ("approvals_ui/app.py", "import apscheduler.triggers"),
    "calls: HTTP in the worker": ("agentflow/worker.py", "import httpx"),
    "server: a server of the inbox's own": ("approvals_ui/app.py", "import uvicorn"),
}


def verdict(folder: Path) -> tuple[set[str], str]:
    """The ids of the broken contracts, and the whole report. The contracts' names are replaced by their ids."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / CONTRACTS, encoding="utf-8")
    for section in settings.sections():
        if section.startswith("importlinter:contract:"):
            settings[section]["name"] = section.rpartition(":")[2]
    with (folder / CONTRACTS).open("w", encoding="utf-8") as target:
        settings.write(target)
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    run = subprocess.run(
        [sys.executable, "-c", command, "--no-cache"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    report = run.stdout + run.stderr
    assert "Contracts:" in report, report
    broken = {line.split()[0] for line in report.splitlines() if " BROKEN" in line}
    assert bool(broken) == bool(run.returncode)
    return broken, report


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name, text in CHECKOUT.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_this_checkout_keeps_every_contract(tmp_path: Path) -> None:
    for package in ("agentflow", "approvals_ui", "schedulers"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "static"))
    broken, report = verdict(tmp_path)
    assert not broken, report


def test_a_checkout_that_imports_downwards_is_accepted(checkout: Path) -> None:
    broken, report = verdict(checkout)
    assert not broken, report


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_a_contract_refuses(checkout: Path, violation: str) -> None:
    name, line = VIOLATIONS[violation]
    with (checkout / name).open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    broken, report = verdict(checkout)
    assert violation.partition(":")[0] in broken, report


def test_every_contract_is_seen_to_break() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / CONTRACTS, encoding="utf-8")
    contracts = {section.rpartition(":")[2] for section in settings.sections() if ":contract:" in section}
    assert {violation.partition(":")[0] for violation in VIOLATIONS} == contracts
