"""What the pages about operating and scaling say is so: their queries run, and their tables leave nothing out."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import psycopg
import pytest
import typer.main

from agentflow.cli.application import build
from agentflow.cli.environment import READ
from agentflow.settings import KEEP_VARIABLES
from agentflow.store import open_store
from agentflow.store.tables import Base
from tests.support.postgres import postgres_database

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {name: (DOCS / f"{name}.md").read_text(encoding="utf-8") for name in ("operations", "scaling")}


def queries(kind: str) -> list[str]:
    """The statements of the fences of this kind."""
    found = [
        text
        for page in PAGES.values()
        for text in re.findall(rf"^```{kind}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    ]
    bare = "\n".join(re.sub(r"^--.*$", "", text, flags=re.MULTILINE) for text in found)
    return [one.strip() for one in bare.split(";") if one.strip()]


async def test_the_queries_run_on_postgresql() -> None:
    async with postgres_database() as url:
        with psycopg.connect(url) as connection:
            for query in [*queries("sql"), *queries("sql postgres")]:
                assert connection.execute(query.encode()).description, query
    assert len(queries("sql")) >= 3
    assert len(queries("sql postgres")) >= 4


WHOLE = "SCAN agentflow_approval USING INDEX ix_agentflow_approval_deadline"  # of what waits, and no more


async def test_the_queries_of_both_databases_run_on_sqlite_and_read_no_table_from_end_to_end(tmp_path: Path) -> None:
    await (await open_store(f"sqlite:///{tmp_path / 'runs.db'}")).close()
    connection = sqlite3.connect(tmp_path / "runs.db")
    for query in queries("sql"):
        assert connection.execute(query).description
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
        assert not [line for line in plan if line.startswith("SCAN") and line != WHOLE], (query, plan)
    connection.close()


def uniques() -> set[tuple[str, str]]:
    """Every table's unique columns."""
    found = set()
    for table in Base.metadata.sorted_tables:
        found.add((table.name, ", ".join(column.name for column in table.primary_key)))
        for index in table.indexes:
            if index.unique:
                found.add((table.name, ", ".join(str(getattr(one, "name", one)) for one in index.expressions)))
    return found


def test_every_unique_constraint_is_accounted_for() -> None:
    written = set(re.findall(r"^\s*\| `(agentflow_\w+)` \| `([\w, ]+)` \|", PAGES["scaling"], re.MULTILINE))
    assert written == uniques()


def test_every_setting_is_told_and_every_option_is_one() -> None:
    page = PAGES["operations"]
    kept = set(KEEP_VARIABLES.values())  # those are told where retention is
    assert set(re.findall(r"^\| `(AGENTFLOW_\w+)`", page, re.MULTILINE)) == READ - kept
    commands = typer.main.get_command(build()).commands  # type: ignore[attr-defined]
    rows = re.findall(r"^\| (`--.*?) \| ([\w, ]+) \|", page, re.MULTILINE)
    assert len(rows) >= 6
    for written, of in rows:
        names = ["serve", "worker", "ui", "scheduler"] if of == "all" else of.split(", ")
        for name in names:
            options = {option for one in commands[name].params for option in one.opts}
            assert set(re.findall(r"--[\w-]+", written)) <= options, (name, written)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_named_exists(page: str) -> None:
    commands = typer.main.get_command(build()).commands  # type: ignore[attr-defined]
    for group, inner in re.findall(r"`agentflow ([a-z]+)(?: ([a-z]+))?", PAGES[page]):
        assert group in commands, group
        if inner and hasattr(commands[group], "commands"):
            assert inner in commands[group].commands, (group, inner)
