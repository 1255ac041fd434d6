"""The page on changing code does what it says: its examples are deployed one after another, over runs that are open."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from agentflow.cli.application import build
from agentflow.runtime.dry.replaying import Diverges, Fits, dry_replay
from agentflow.testing import Harness
from tests.docs.pages import blocks, define

PAGE = Path(__file__).parents[2] / "docs" / "versions.md"


def shown(folder: Path) -> tuple[Any, Any]:
    """The task of each fragment, which both have the id and version that the other has."""
    names = vars(define(PAGE, folder))
    found = []
    for number, block in enumerate(each for each in blocks(PAGE) if each.kind == "fragment"):
        file = folder / f"fragment_{number}.py"
        file.write_text(block.text, encoding="utf-8")
        defined = dict(names)
        exec(compile(block.text, str(file), "exec"), defined)
        found.append(defined["publish"])
    before, marked = found
    return before, marked


async def test_a_marked_place_is_deployed_over_a_run_that_is_open(tmp_path: Path) -> None:
    before, marked = shown(tmp_path)
    async with Harness(before, path=tmp_path / "runs.db") as h:
        old = await h.trigger(before, "moss")
        approval = await h.only_approval(old)
        await h.restart(marked)
        await h.approve(approval)
        assert await h.result(old) == "posted: On moss"
        new = await h.trigger(marked, "ferns")
        await h.approve(await h.only_approval(new))
        assert await h.result(new) == "posted: On an outline of ferns"


async def test_the_bare_change_does_not_fit_and_the_marked_one_does(tmp_path: Path) -> None:
    before, marked = shown(tmp_path)
    bare = vars(define(PAGE, tmp_path))["publish"]
    async with Harness(before, path=tmp_path / "runs.db") as h:
        run = await h.trigger(before, "moss")
        await h.until_idle()
        found, journal = await h.client.run(run.id), await h.journal(run)
        said = await dry_replay(found, journal, bare)
        assert said == Diverges("write#1", "step write#1", "step outline#1")
        assert str(said) in PAGE.read_text(encoding="utf-8")
        assert await dry_replay(found, journal, marked) == Fits(("publish#1",))


async def test_the_reason_the_page_shows_is_the_reason_that_is_given(tmp_path: Path) -> None:
    names = vars(define(PAGE, tmp_path))
    async with Harness(names["publish_as_before"], path=tmp_path / "runs.db") as h:
        run = await h.trigger(names["publish_as_before"], "moss")
        approval = await h.only_approval(run)
        await h.restart(names["publish"])
        await h.approve(approval)
        await h.until_idle()
        assert await h.why(run) in PAGE.read_text(encoding="utf-8")


def test_the_page_names_commands_that_there_are() -> None:
    named = set(re.findall(r"(?:\$ |`)agentflow ([a-z]+)", PAGE.read_text(encoding="utf-8")))
    assert {"check", "export", "replay", "why"} <= named
    assert named <= {command.name for command in build().registered_commands}
