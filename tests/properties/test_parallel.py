"""Whatever the branches do and whenever the process dies: the rule holds, each effect happens once, and it stays so."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import agentflow
from agentflow import Branches, CompletionFailed, at_least, sleep, step, task, tolerate, wait_for_approval
from agentflow.store import open_store
from agentflow.testing import Harness
from tests.support.tasks import Flaky, Ledger

if TYPE_CHECKING:
    from agentflow.runtime.parallel.completion import Completion

EXAMPLES = int(os.environ.get("AGENTFLOW_TEST_EXAMPLES", "25"))

ledger = Ledger()
seen: list[list[str]] = []


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "runs.db"

    async def make() -> None:
        await (await open_store(f"sqlite:///{path}")).close()

    asyncio.run(make())
    return path


@step
async def effect(where: str) -> str:
    ledger.add(where)
    return where


@step
async def failing(where: str) -> str:
    ledger.add(where)
    raise Flaky(where)


async def branch(item: tuple[int, list[str]]) -> str:
    """Do what is written, one thing after another; each effect is named by its place."""
    number, words = item
    for place, word in enumerate(words):
        where = f"{number}.{place}"
        match word:
            case "effect":
                await effect(where)
            case "failing":
                await failing(where)
            case "asking":
                await wait_for_approval(where, key="gate")
            case _:
                await sleep(word)
    return f"end {number}"


@task
async def parallel(program: list[list[str]], rule: list[Any], concurrency: int | None) -> list[str]:
    until = rule_of(rule)
    items = list(enumerate(program))
    try:
        found: Branches[str] = await agentflow.map(branch, items, concurrency=concurrency, until=until)
        said = ["met", *(f"{one.status} {one.value} {one.error}" for one in found)]
    except CompletionFailed as error:
        said = ["broken", *(f"{one.status} {one.value} {one.error}" for one in error.branches)]
    seen.append(said)
    await effect("after")
    await wait_for_approval("done", key="end")
    return said


def rule_of(rule: list[Any]) -> Completion:
    word, n = rule
    return at_least(n) if word == "at_least" else tolerate(count=n)


words = st.sampled_from(["effect", "effect", "failing", "asking", "1h", "3h"])
programs = st.lists(st.lists(words, min_size=1, max_size=3), min_size=1, max_size=5)


async def _outcome(program: list[list[str]], rule: list[Any], limit: int | None, path: Path, *, how: str) -> list[str]:
    ledger.clear()
    seen.clear()
    async with Harness(parallel, path=path, replay_always=how == "replayed") as h:
        run = await h.trigger(parallel, program, rule, limit)
        while await h.status(run) == "waiting":
            approvals = await h.approvals(run)
            if how == "crashing":
                await h.crash()
            if [one.key for one in approvals] == ["end#1"]:
                assert ledger["after"] == 1
            for approval in approvals[:1]:
                await h.approve(approval)
            await h.advance("1h")
        assert await h.status(run) == "completed", await h.why(run)
        assert not await h.approvals()
        return list(await h.result(run))


def _check(program: list[list[str]], rule: list[Any], said: list[str]) -> None:
    verdict, *branches = said
    assert len(branches) == len(program)
    succeeded = sum(one.startswith("succeeded") for one in branches)
    failed = sum(one.startswith("failed") for one in branches)
    word, n = rule
    met = succeeded >= n if word == "at_least" else failed <= n and succeeded + failed == len(program)
    assert (verdict == "met") is met
    assert all(one == said for one in seen), "what a replay is told never changes"
    assert all(count == 1 for count in ledger.values())
    for number, one in enumerate(branches):
        if one.startswith("succeeded"):
            assert one == f"succeeded end {number} None"
            assert {f"{number}.{place}" for place, each in enumerate(program[number]) if each == "effect"} <= set(
                ledger
            )
        elif one.startswith("not_started"):
            assert not any(each.startswith(f"{number}.") for each in ledger)


@given(
    program=programs,
    word=st.sampled_from(["at_least", "tolerate"]),
    n=st.integers(0, 5),
    limit=st.sampled_from([None, 1, 2]),
)
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@pytest.mark.parametrize("how", ["live", "replayed", "crashing"])
def test_a_rule_holds_whatever_happens(
    empty_database: Path, how: str, *, program: list[list[str]], word: str, n: int, limit: int | None
) -> None:
    rule = [word, min(max(n, 1), len(program)) if word == "at_least" else n]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.db"
        shutil.copyfile(empty_database, path)
        _check(program, rule, asyncio.run(_outcome(program, rule, limit, path, how=how)))
