"""`agentflow export` and `agentflow replay`: a run taken along, and gone through again where it can do no harm."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from agentflow import step, task, wait_for_approval
from agentflow.cli.exits import Refused
from agentflow.cli.exported import Exported, document_of, read_export
from agentflow.testing import Harness
from tests.cli.shell import Shell
from tests.cli.test_check import AS_IT_WAS, HEAD, MISTAKEN, PINNED, RENAMED, one_waiting, seeded


async def one_ended(h: Harness) -> str:
    run_id = await one_waiting(h)
    await h.approve(await h.only_approval(run_id), by="mia")
    await h.result(run_id)
    return run_id


@pytest.fixture
def waiting(agentflow: Shell) -> str:
    agentflow.write("app.py", HEAD + AS_IT_WAS)
    return str(seeded(agentflow, one_waiting))


@pytest.fixture
def exported(agentflow: Shell, waiting: str) -> Path:
    async def collect(h: Harness) -> Exported:
        approvals = (await h.client.approvals(pending=None, run_id=waiting)).items
        return Exported(await h.client.run(waiting), await h.journal(waiting), approvals)

    return agentflow.write("run.json", json.dumps(document_of(seeded(agentflow, collect))))


def changed(exported: Path, **parts: Any) -> Path:
    document = json.loads(exported.read_text())
    exported.write_text(json.dumps(document | parts))
    return exported


# -- export


def test_an_export_is_one_document_with_the_run_its_journal_and_its_approvals(agentflow: Shell) -> None:
    run_id = seeded(agentflow, one_ended)
    document = agentflow("export", run_id).document
    assert (document["format"], document["format_version"]) == ("agentflow run", 1)
    assert (document["run"]["id"], document["run"]["status"]) == (run_id, "completed")
    assert [entry["seq"] for entry in document["journal"]] == list(range(1, len(document["journal"]) + 1))
    assert [approval["decided_by"] for approval in document["approvals"]] == ["mia"]


def test_a_file_is_for_its_owner_only_and_never_written_over(agentflow: Shell, waiting: str) -> None:
    assert agentflow("export", waiting, "--output", "run.json").code == 0
    exported = agentflow.folder / "run.json"
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600
    before = exported.read_text()
    ended = agentflow("export", waiting, "--output", "run.json")
    assert ended.code == 2
    assert "run.json exists; remove it, or name another file" in ended.complaint
    assert exported.read_text() == before


def test_a_run_that_is_not_there_cannot_be_exported(agentflow: Shell, waiting: str) -> None:
    assert agentflow("export", "run_nope").code == 3


def test_large_values_are_exported_whole_and_checked_whole(agentflow: Shell) -> None:
    @step
    async def double(text: str) -> str:
        return text * 2

    @task
    async def doubling(text: str) -> None:
        await wait_for_approval(len(await double(text)), key="go")

    async def seed() -> str:
        async with Harness(doubling, path=agentflow.folder / "agentflow.db") as h:
            run = await h.trigger(doubling, "x" * 200_000)
            await h.until_idle()
            return run.id

    run_id = asyncio.run(seed())
    agentflow.write(
        "app.py",
        """
        from agentflow import step, task, wait_for_approval

        @step
        async def double(text: str) -> str:
            raise SystemExit("not called")

        @task
        async def doubling(text: str) -> None:
            assert len(text) == 200_000
            found = await double(text)
            assert len(found) == 400_000
            await wait_for_approval(len(found), key="go")
        """,
    )
    assert agentflow("check", "app.py").code == 0
    document = agentflow("export", run_id).document
    assert len(document["run"]["input"]) > 200_000
    assert "x" * 400_000 in {json.loads(entry["output"] or "null") for entry in document["journal"]}


# -- replay


def test_a_replay_tells_each_operation_and_where_the_code_goes_on(agentflow: Shell, exported: Path) -> None:
    (agentflow.folder / "agentflow.db").unlink()
    ended = agentflow("replay", "run.json", "app.py")
    assert ended.code == 0
    assert [" ".join(line.split()) for line in ended.out.splitlines()[1:]] == [
        'step draft#1 gave "draft 1"',
        "approval go#1 waits",
        "fits",
        "it goes on at go#1",
    ]
    assert ended.err == "the task prints 1\n", "what the task prints is not the answer"
    assert not (agentflow.folder / "agentflow.db").exists(), "it needs no database, and makes none"


def test_a_replay_of_an_ended_run_gives_its_result(agentflow: Shell) -> None:
    run_id = seeded(agentflow, one_ended)
    agentflow.write("app.py", HEAD + AS_IT_WAS)
    agentflow("export", run_id, "--output", "run.json")
    ended = agentflow("replay", "run.json", "app.py")
    assert ended.code == 0
    assert ended.out.splitlines()[-2:] == ["fits, and completes", '  result  "sent 1"']
    agentflow.write("other.py", HEAD + AS_IT_WAS.replace("return await send(n)", "return await send(n) + '!'"))
    assert agentflow("replay", "run.json", "other.py").out.splitlines()[-2:] == [
        '  result  "sent 1!"',
        '  but was "sent 1"',
    ]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (RENAMED, "diverges at draft#1: recorded step draft#1, code asks step send#1"),
        (MISTAKEN, "breaks: AttributeError: 'str' object has no attribute 'no_such_thing'"),
    ],
    ids=["renamed", "mistaken"],
)
def test_a_replay_against_code_that_does_not_fit_fails(agentflow: Shell, exported: Path, code: str, said: str) -> None:
    agentflow.write("changed.py", HEAD + code)
    ended = agentflow("replay", "run.json", "changed.py")
    assert ended.code == 1
    assert ended.out.splitlines()[-1] == said


def test_a_replay_can_be_read_by_a_program(agentflow: Shell, waiting: str, exported: Path) -> None:
    document = agentflow("replay", "run.json", "app.py", "--json").document
    assert document == {
        "id": waiting,
        "task": "write",
        "version": "1",
        "operations": [
            {"key": "draft#1", "operation": "step", "state": "succeeded", "output": "draft 1"},
            {"key": "go#1", "operation": "approval", "state": "waiting"},
        ],
        "verdict": "fits",
        "frontier": ["go#1"],
        "output": None,
        "error": None,
    }


def test_the_debugger_is_entered_where_the_code_asks_for_the_key(agentflow: Shell, exported: Path) -> None:
    agentflow.write("debugger.py", "import sys\n\n\ndef enter():\n    print('entered', file=sys.stderr)\n")
    ended = agentflow("replay", "run.json", "app.py", "--break-at", "go#1", PYTHONBREAKPOINT="debugger.enter")
    line = 1 + (HEAD + AS_IT_WAS).splitlines().index('        await wait_for_approval(text, key="go")')
    assert ended.code == 0
    _, place, entered = ended.err.splitlines()
    assert place.startswith(f"go#1 is asked for at {agentflow.folder}/app.py:{line} in write; in pdb, `up ")
    assert entered == "entered"


def test_pdb_reaches_the_code_that_asked(agentflow: Shell, exported: Path) -> None:
    place = agentflow("replay", "run.json", "app.py", "--break-at", "draft#1", stdin="q\n").err
    [up] = [word for line in place.splitlines() if "`up" in line for word in line.split("`")[1:2]]
    said = agentflow("replay", "run.json", "app.py", "--break-at", "draft#1", stdin=f"{up}\np 'n is', n\nc\n").err
    assert "('n is', 1)" in said


def test_a_key_that_is_never_asked_for_is_said(agentflow: Shell, exported: Path) -> None:
    ended = agentflow("replay", "run.json", "app.py", "--break-at", "nope#1", "--json")
    assert "the code did not ask for nope#1; it asked for draft#1, go#1" in ended.err


# -- refused


def test_an_export_of_another_version_is_refused_with_what_to_do(agentflow: Shell, exported: Path) -> None:
    changed(exported, format_version=2, agentflow="9.9")
    ended = agentflow("replay", "run.json", "app.py")
    assert ended.code == 2
    assert "run.json is of format version 2, made by agentflow 9.9;" in ended.complaint
    assert "replay it with the agentflow that made it, or export the run again" in ended.complaint


def cut(path: Path) -> None:
    path.write_text(path.read_text()[:-200])


def with_bytes(path: Path) -> None:
    path.write_bytes(b"\xff\xfe" + path.read_bytes())


def in_journal(path: Path, **fields: Any) -> None:
    document = json.loads(path.read_text())
    document["journal"][1] |= fields
    path.write_text(json.dumps(document))


DAMAGES: dict[str, tuple[Any, str]] = {
    "cut off": (cut, "damaged: found "),
    "no text": (with_bytes, "damaged: no UTF-8 text"),
    "gap": (lambda path: in_journal(path, seq=7), "entry 7 where entry 2 belongs"),
    "kind": (lambda path: in_journal(path, kind="sideways"), 'journal[1].kind is "sideways", which is no EntryKind'),
    "instant": (lambda path: in_journal(path, at="yesterday"), 'journal[1].at is "yesterday", which is no datetime'),
    "number": (lambda path: in_journal(path, attempt=True), "journal[1].attempt is true, which is no int"),
    "stranger": (lambda path: in_journal(path, run_id="run_x"), "and has records of run_x"),
    "no journal": (lambda path: changed(path, journal=None), "journal is no list"),
    "no run": (lambda path: changed(path, run={"id": "run_x"}), "run has no task"),
    "something else": (lambda path: path.write_text("[1, 2]"), "is no exported run; `agentflow export RUN"),
}


@pytest.mark.parametrize(("damage", "said"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_file_is_refused_with_what_to_do(exported: Path, damage: Any, said: str) -> None:
    damage(exported)
    with pytest.raises(Refused) as refused:
        read_export(str(exported))
    assert said in str(refused.value)
    assert "agentflow export RUN --output FILE" in str(refused.value)


def test_what_is_exported_is_what_is_read(exported: Path) -> None:
    assert document_of(read_export(str(exported))) == json.loads(exported.read_text())


def test_a_file_that_is_not_there_and_code_that_is_not_there_are_refused(agentflow: Shell, exported: Path) -> None:
    assert agentflow("replay", "other.json", "app.py").complaint == (
        "agentflow: cannot read other.json: no such file or directory"
    )
    agentflow.write("pinned.py", HEAD + PINNED)
    ended = agentflow("replay", "run.json", "pinned.py")
    assert ended.code == 3
    assert "pinned.py has no code for task 'write' version '1'" in ended.complaint
