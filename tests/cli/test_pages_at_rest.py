"""Pages that nobody asks for: no clock of theirs ticks, and the next answer has the time all the same."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx

from agentflow import AgentFlow, task
from agentflow.cli.pages import Pages

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

LATER = ["Tue, 24 Nov 2026 00:00:01 GMT", "Tue, 24 Nov 2026 00:00:02 GMT"]


@task
async def ask(number: int) -> int:
    return number


async def test_an_answer_says_when_it_was_given_though_nothing_sets_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with AgentFlow(ask, database=f"sqlite:///{tmp_path}/runs.db", worker=False) as app:
        pages = Pages(app.client, listener, dev=True)
        await pages.start()
        async with httpx.AsyncClient(base_url=address) as browser:
            assert abs(datetime.now(UTC) - parsedate_to_datetime(await date_of(browser))) < timedelta(minutes=1)
            times = iter(LATER)
            monkeypatch.setattr("agentflow.cli.pages.formatdate", lambda **_: next(times))
            assert [await date_of(browser) for _ in LATER] == LATER
        await pages.stop()


async def date_of(browser: httpx.AsyncClient) -> str:
    answer = await browser.get("/health/live")
    assert answer.status_code == 200
    return answer.headers["date"]
