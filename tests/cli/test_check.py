"""`agentflow check`: whether the code on disk fits the runs that are open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agentflow import step, task, wait_for_approval
from agentflow.testing import Harness
from tests.cli.shell import Shell

HEAD = """
    import asyncio

    from agentflow import patched, step, task, wait_for_approval


    @step
    async def draft(n: int) -> str:
        raise SystemExit("a check must call nothing")


    @step
    async def send(n: int) -> str:
        raise SystemExit("a check must call nothing")


"""
AS_IT_WAS = """
    @task
    async def write(n: int) -> str:
        print("the task prints", n)
        text = await draft(n)
        await wait_for_approval(text, key="go")
        return await send(n)
"""
RENAMED = """
    @task
    async def write(n: int) -> str:
        text = await send(n)
        await wait_for_approval(text, key="go")
        return text
"""
GUARDED = """
    @task
    async def write(n: int) -> str:
        text = await send(n) if await patched("send first") else await draft(n)
        await wait_for_approval(text, key="go")
        return text
"""
MISTAKEN = """
    @task
    async def write(n: int) -> str:
        text = await draft(n)
        return text.no_such_thing
"""
HANGING = """
    class Connection:
        async def __aenter__(self):
            await asyncio.get_running_loop().create_future()

        async def __aexit__(self, *exc):
            pass


    @task
    async def write(n: int) -> str:
        async with Connection():
            return await draft(n)
"""
PINNED = """
    @task(version="2", on_new_version="pin")
    async def write(n: int) -> str:
        return await send(n)
"""
CARRIED = """
    @task(version="2")
    async def write(n: int) -> str:
        text = await draft(n)
        await wait_for_approval(text, key="go")
        return text
"""


@step
async def draft(n: int) -> str:
    return f"draft {n}"


@step
async def send(n: int) -> str:
    return f"sent {n}"


@task
async def write(n: int) -> str:
    text = await draft(n)
    await wait_for_approval(text, key="go")
    return await send(n)


def seeded(shell: Shell, seed: Callable[[Harness], Awaitable[Any]]) -> Any:
    """What `seed` makes on the shell's database."""

    async def seeding() -> Any:
        async with Harness(write, path=shell.folder / "agentflow.db") as harness:
            return await seed(harness)

    return asyncio.run(seeding())


async def one_waiting(h: Harness) -> str:
    run = await h.trigger(write, 1)
    await h.until_idle()
    return run.id


def test_code_that_fits_every_open_run_passes(agentflow: Shell) -> None:
    run_id = seeded(agentflow, one_waiting)
    agentflow.write("app.py", HEAD + AS_IT_WAS)
    ended = agentflow("check", "app.py")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [f"{run_id}  write@1  fits", "1 run is open: 1 fits"]


def test_code_that_does_not_fit_fails_with_both_sides(agentflow: Shell) -> None:
    run_id = seeded(agentflow, one_waiting)
    agentflow.write("app.py", HEAD + RENAMED)
    ended = agentflow("check", "app.py")
    assert ended.code == 1
    said = "diverges at draft#1: recorded step draft#1, code asks step send#1"
    assert ended.out.splitlines() == [f"{run_id}  write@1  {said}", "1 run is open: 1 diverges"]
    document = agentflow("check", "app.py", "--json").document
    assert document["summary"] == {"fits": 0, "diverges": 1, "breaks": 0, "no_code": 0}
    [told] = document["runs"]
    assert told == {
        "id": run_id,
        "task": "write",
        "version": "1",
        "status": "waiting",
        "code_version": "1",
        "verdict": "diverges",
        "key": "draft#1",
        "recorded": "step draft#1",
        "asked": "step send#1",
    }


def test_a_change_made_with_patched_passes(agentflow: Shell) -> None:
    seeded(agentflow, one_waiting)
    agentflow.write("app.py", HEAD + GUARDED)
    assert agentflow("check", "app.py").code == 0


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (MISTAKEN, "breaks: AttributeError: 'str' object has no attribute 'no_such_thing'"),
        (HANGING, "for something that is no recorded operation"),
    ],
    ids=["mistaken", "hanging"],
)
def test_code_that_cannot_be_replayed_fails(agentflow: Shell, code: str, said: str) -> None:
    seeded(agentflow, one_waiting)
    agentflow.write("app.py", HEAD + code)
    ended = agentflow("check", "app.py")
    assert ended.code == 1
    assert said in ended.out
    assert ended.out.splitlines()[-1] == "1 run is open: 1 breaks"


def test_a_run_without_code_waits_for_it_and_is_no_failure(agentflow: Shell) -> None:
    run_id = seeded(agentflow, one_waiting)
    agentflow.write("app.py", HEAD + PINNED)
    ended = agentflow("check", "app.py")
    assert ended.code == 0
    assert f"{run_id}  write@1  no code for task 'write' version '1'" in ended.out
    [told] = agentflow("check", "app.py", "--json").document["runs"]
    assert (told["verdict"], told["code_version"]) == ("no_code", None)


def test_a_run_is_looked_at_with_the_version_that_would_take_it(agentflow: Shell) -> None:
    seeded(agentflow, one_waiting)
    agentflow.write("app.py", HEAD + CARRIED)
    assert "write@1  fits (carried over to version 2)" in agentflow("check", "app.py").out
    agentflow.write("both.py", HEAD + AS_IT_WAS + PINNED.replace("write", "write_2").replace("(v", "(id='write', v"))
    assert "write@1  fits\n" in agentflow("check", "both.py").out


def test_every_open_run_is_looked_at_and_no_ended_one(agentflow: Shell) -> None:
    async def seed(h: Harness) -> list[str]:
        done = await h.trigger(write, 0)
        await h.approve(await h.only_approval(done))
        await h.result(done)
        runs = [await h.trigger(write, n) for n in range(230)]
        await h.until_idle()
        return [run.id for run in runs]

    ids = seeded(agentflow, seed)
    agentflow.write("app.py", HEAD + AS_IT_WAS)
    ended = agentflow("check", "app.py", "--json")
    assert [told["id"] for told in ended.document["runs"]] == sorted(ids, reverse=True)
    assert ended.document["summary"]["fits"] == 230


def test_a_check_leaves_the_runs_as_they_are(agentflow: Shell) -> None:
    async def journal(h: Harness) -> list[Any]:
        await h.until_idle()
        [run] = (await h.client.runs()).items
        return [run.status, run.epoch, *(entry.kind for entry in await h.journal(run))]

    seeded(agentflow, one_waiting)
    before = seeded(agentflow, journal)
    agentflow.write("app.py", HEAD + RENAMED)
    assert agentflow("check", "app.py").code == 1
    assert seeded(agentflow, journal) == before


def test_with_no_run_open_there_is_nothing_to_complain_of(agentflow: Shell) -> None:
    async def nothing(h: Harness) -> None:
        await h.until_idle()

    seeded(agentflow, nothing)
    agentflow.write("app.py", HEAD + RENAMED)
    ended = agentflow("check", "app.py")
    assert (ended.code, ended.out) == (0, "no run is open\n")


def test_without_a_database_there_is_nothing_to_check(agentflow: Shell) -> None:
    agentflow.write("app.py", HEAD + RENAMED)
    ended = agentflow("check", "app.py")
    assert ended.code == 5
    assert "there is no database" in ended.complaint
