"""Words on their way: told as they come, resumed where they were left, void once an attempt has failed."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

import pytest

from agentflow.errors import ModelUnavailable, RunNotFound
from agentflow.failures import Failure
from agentflow.requests import Completed, NewChunk
from agentflow.states import EntryKind
from approvals_ui import create_app, end_streams
from tests.support.server import running
from tests.ui.talking import PRIMARY, Talks, a_talk
from tests.ui.test_live import listening, upcoming

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from agentflow.client import Piece
    from tests.support.server import Served
    from tests.ui.seeding import Seeds

KEY = f"model#1/{PRIMARY}#1"


async def says(talk: Talks, *texts: str, attempt: int = 1, start: int = 0, key: str = KEY) -> None:
    chunks = [
        NewChunk(run_id=talk.run_id, epoch=talk.claimed.lease.epoch, key=key, attempt=attempt, place=place, text=text)
        for place, text in enumerate(texts, start)
    ]
    await talk.seeds.store.keep_chunks(chunks)


async def fails(talk: Talks) -> None:
    error = Failure.of(ModelUnavailable("cut off", model=PRIMARY)).to_json()
    await talk.append(KEY, "model", kind=EntryKind.ATTEMPT_FAILED, error=error)


def following(site: Served, talk: Talks, after: int = 0) -> Any:
    return aclosing(cast("AsyncGenerator[Piece]", site.client.follow_text(talk.run_id, after=after)))


async def heard(pieces: AsyncGenerator[Piece], count: int) -> list[tuple[str, bool, bool]]:
    async with asyncio.timeout(60):
        found = [await anext(pieces) for _ in range(count)]
    return [(one.text, one.is_new, one.is_over) for one in found]


async def test_a_program_follows_what_is_said_until_the_run_has_ended(site: Served, seeds: Seeds) -> None:
    talk = await a_talk(seeds)
    await says(talk, "I ", "look ")
    async with following(site, talk) as pieces:
        assert await heard(pieces, 2) == [("I ", True, False), ("look ", False, False)]
        await says(talk, "it up.", start=2)
        assert await heard(pieces, 1) == [("it up.", False, False)]
        await talk.answers("I look it up.")
        assert await heard(pieces, 1) == [("", False, True)]
        await site.store.finish(talk.claimed.lease, Completed('"done"'))
        async with asyncio.timeout(60):
            assert [one async for one in pieces] == []
    with pytest.raises(RunNotFound):
        await anext(site.client.follow_text("run_nowhere"))


async def test_another_attempt_begins_anew(site: Served, seeds: Seeds) -> None:
    talk = await a_talk(seeds)
    async with following(site, talk) as pieces:
        await says(talk, "One ", "two")
        assert await heard(pieces, 2) == [("One ", True, False), ("two", False, False)]
        await fails(talk)
        assert await heard(pieces, 1) == [("", False, True)]
        await says(talk, "Uno ", "due", attempt=2)
        assert await heard(pieces, 2) == [("Uno ", True, False), ("due", False, False)]
        await says(talk, "After a crash ", attempt=2)
        assert await heard(pieces, 1) == [("After a crash ", True, False)]


async def test_what_is_recorded_or_has_failed_is_not_told_again(site: Served, seeds: Seeds) -> None:
    talk = await a_talk(seeds)
    await says(talk, "first answer")
    await talk.answers("first answer")
    other = f"model#2/{PRIMARY}#1"
    await says(talk, "second, being said", key=other)
    async with following(site, talk) as pieces:
        assert await heard(pieces, 1) == [("second, being said", True, False)]


async def test_the_words_of_an_attempt_that_failed_are_void_for_who_comes_later(site: Served, seeds: Seeds) -> None:
    talk = await a_talk(seeds)
    await says(talk, "Nonsense that was cut o")
    await fails(talk)
    await says(talk, "Sense.", attempt=2)
    async with following(site, talk) as pieces:
        assert await heard(pieces, 1) == [("Sense.", True, False)]


async def test_a_browser_that_was_away_resumes_with_the_next_piece(site: Served, seeds: Seeds) -> None:
    talk = await a_talk(seeds)
    await says(talk, "I ", "look ", "it up.")
    path = f"/runs/{talk.run_id}/tokens"
    async with site.http() as http:
        async with listening(http, path) as events:
            first = await upcoming(events)
            assert first["event"] == "said"
            assert first["data"] == {"key": KEY, "attempt": 1, "text": "I ", "new": True}
        async with listening(http, path, **{"last-event-id": first["id"]}) as events:
            assert [(await upcoming(events))["data"]["text"] for _ in range(2)] == ["look ", "it up."]
        async with listening(http, f"{path}?after={first['id']}") as events:
            second = await upcoming(events)
            assert second["data"]["text"] == "look "
        assert (await http.get(path, headers={"last-event-id": "1 or 1=1"})).status_code == 400
        assert (await http.get("/runs/run_nowhere/tokens")).status_code == 404


async def test_hidden_characters_and_tokens_are_shown_as_such(site: Served, seeds: Seeds) -> None:
    token = "cbt_" + "a" * 32
    talk = await a_talk(seeds)
    await says(talk, f"evil \u202e {token}")
    async with site.http() as http, listening(http, f"/runs/{talk.run_id}/tokens") as events:
        text = (await upcoming(events))["data"]["text"]
    assert "\u202e" not in text
    assert "RIGHT-TO-LEFT OVERRIDE" in text
    assert token not in text


async def test_the_stream_ends_with_the_run_or_the_server(site: Served, seeds: Seeds) -> None:
    talk = await a_talk(seeds)
    app = create_app(site.client, dev=True)
    async with running(app) as url, site.http() as http:
        async with listening(http, f"{url}/runs/{talk.run_id}/tokens") as events:
            end_streams(app)
            assert (await upcoming(events))["event"] == "end"
        async with listening(http, f"/runs/{talk.run_id}/tokens") as events:
            await site.store.finish(talk.claimed.lease, Completed('"done"'))
            assert (await upcoming(events))["event"] == "end"


async def test_a_reader_that_left_leaves_nothing_behind(site: Served, seeds: Seeds) -> None:
    talk = await a_talk(seeds)
    async with site.http() as http, listening(http, f"/runs/{talk.run_id}/tokens") as events:
        await says(talk, "I ")
        await upcoming(events)
        await site.streams(1)
    await site.streams(0)
