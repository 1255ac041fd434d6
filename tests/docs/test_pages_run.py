"""What the pages of the documentation show works as they say, live and replayed after every operation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import attempt, blocks, define, is_run

ROOT = Path(__file__).parents[2]
PAGES = [page for page in sorted((ROOT / "docs").glob("*.md")) if is_run(page)]


@pytest.mark.parametrize("replay_always", [False, True], ids=["live", "replayed"])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
async def test_what_a_page_shows_works(page: Path, tmp_path: Path, replay_always: bool) -> None:
    module = define(page, tmp_path)
    for block in blocks(page):
        if block.kind == "test":
            await attempt(page, block, module, replay_always=replay_always)


def test_every_page_about_the_engine_is_run() -> None:
    expected = {"parallel", "versions", "retries", "control", "waits", "queues", "testing", "history"}
    assert expected <= {page.stem for page in PAGES}
