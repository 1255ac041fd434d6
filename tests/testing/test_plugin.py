"""The pytest plugin, in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIXTURES = {
    "agentflow_clock",
    "agentflow_harness",
    "agentflow_model",
    "agentflow_reviewer",
    "agentflow_scripted",
    "agentflow_crash_test",
}
PLUGIN = ("-p", "agentflow.testing.plugin")

STORY = """
    import pytest

    from agentflow import sleep, task, wait_for_approval

    {marks}

    @task
    async def refund(amount: int) -> int:
        decision = await wait_for_approval({{"amount": amount}}, title="Refund", key="gate")
        await sleep("1d")
        return decision.data["amount"] if decision.approved else 0


    @task
    async def ask_twice(ask_first: bool) -> str:
        return await ask("a" if ask_first else "b")


    async def ask(text: str) -> str:
        raise AssertionError("patched")


    async def test_a_run(agentflow_harness, agentflow_clock, agentflow_reviewer):
        agentflow_reviewer.approve(title="Refund")
        async with agentflow_harness(refund, reviewer=agentflow_reviewer) as h:
            run = await h.trigger(refund, 5)
            await h.until_idle()
            await agentflow_clock.advance("1d")
            assert (await h.client.run(run.id)).output == "5"
        async with agentflow_harness(refund) as again:
            assert (await again.client.run(run.id)).status == "completed"


    async def test_a_function_by_script(agentflow_harness, agentflow_scripted, monkeypatch):
        monkeypatch.setitem(globals(), "ask", agentflow_scripted("ask", ["yes"]))
        async with agentflow_harness(ask_twice) as h:
            assert await h.run(ask_twice, True) == "yes"


    async def test_a_crash_test(agentflow_crash_test, agentflow_reviewer, tmp_path):
        agentflow_reviewer.approve(key="gate")
        report = await agentflow_crash_test(refund, 5, reviewer=agentflow_reviewer, expect=5)
        assert report.kills
        assert not list(tmp_path.iterdir())
"""
STRICT = """
    async def test_an_unused_rule(agentflow_reviewer):
        agentflow_reviewer.approve(title="Refund")


    async def test_an_unused_reply(agentflow_scripted):
        agentflow_scripted("ask", ["yes"])


    def test_nothing():
        pass
"""


def run(folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_story.py").write_text(textwrap.dedent(text), encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n", encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PLUGIN, *options]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("marks", "options"),
    [
        ("", ("-p", "pytest_asyncio.plugin", "--asyncio-mode=auto")),
        ("pytestmark = pytest.mark.asyncio", ("-p", "pytest_asyncio.plugin", "--asyncio-mode=strict")),
        ("pytestmark = [pytest.mark.anyio]", ("-p", "anyio.pytest_plugin", "-k", "asyncio")),
    ],
    ids=["asyncio auto", "asyncio strict", "anyio"],
)
def test_the_fixtures_work_with_whatever_runs_async_tests(tmp_path: Path, marks: str, options: tuple[str, ...]) -> None:
    ended = run(tmp_path, STORY.format(marks=marks), *options)
    assert "3 passed" in ended.stdout, ended.stdout + ended.stderr


def test_what_was_scripted_and_not_wanted_fails_the_test(tmp_path: Path) -> None:
    ended = run(tmp_path, STRICT, "-p", "pytest_asyncio.plugin", "--asyncio-mode=auto")
    assert "3 passed, 2 errors" in ended.stdout, ended.stdout + ended.stderr
    assert "the reviewer was not asked what it expected: approve(title='Refund')" in ended.stdout
    assert "ask was called 0 times" in ended.stdout
    assert ended.returncode == 1


def test_without_a_fixture_asked_for_nothing_of_the_engine_is_imported(tmp_path: Path) -> None:
    heavy = ("sqlalchemy", "pydantic", "agentflow.store", "agentflow.runtime", "agentflow.client")
    text = f"""
        import sys

        def test_nothing():
            assert [name for name in {heavy!r} if name in sys.modules] == []
    """
    ended = run(tmp_path, text)
    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr


def test_an_installed_agentflow_brings_the_plugin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [(name, place)] = project["entry-points"]["pytest11"].items()
    assert (name, place) == ("agentflow", PLUGIN[1])
    made = {name for name in vars(import_module(place)) if name.startswith("agentflow_")}
    assert made == FIXTURES
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    assert [fixture for fixture in FIXTURES if f"| `{fixture}` |" not in page] == []
