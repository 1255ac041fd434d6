"""Tokens of the API and sessions: kept as digests, revoked for good, one token of a name at a time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.client import Client
from agentflow.errors import InvalidName, InvalidSetting, TokenNameTaken, TokenNotFound
from agentflow.ids import API_TOKEN, new_id
from agentflow.requests import NewToken

if TYPE_CHECKING:
    from agentflow.store import Store
    from agentflow.testing import FakeClock

WEEK = timedelta(days=7)


def a_token(store: Store, **given: Any) -> NewToken:
    values: dict[str, Any] = {
        "id": new_id(API_TOKEN, store.now()),
        "name": "mia",
        "digest": "d" * 64,
        "scopes": '["runs:read"]',
        "created_by": "root",
    }
    return NewToken(**values | given)


async def test_what_is_made_is_what_is_read(store: Store) -> None:
    made = await store.add_token(a_token(store, expires_in=timedelta(days=1)))

    assert (made.name, made.digest, made.scopes, made.created_by) == ("mia", "d" * 64, '["runs:read"]', "root")
    assert made.created_at == store.now()
    assert made.expires_at == store.now() + timedelta(days=1)
    assert (made.revoked_at, made.revoked_by, made.last_used_at) == (None, None, None)
    assert await store.api_token(made.id) == made
    assert list(await store.api_tokens()) == [made]
    assert made.digest not in repr(made)


async def test_of_a_name_there_is_one_token_that_is_not_revoked_however_many_ask_at_once(
    store: Store, clock: FakeClock
) -> None:
    asked = [store.add_token(a_token(store)) for _ in range(5)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert sorted(type(one).__name__ for one in found) == ["ApiToken", *["TokenNameTaken"] * 4]
    [made] = await store.api_tokens()
    await store.revoke_token("mia", by="tom")
    await clock.advance(timedelta(seconds=1))
    again = await store.add_token(a_token(store))
    assert [one.id for one in await store.api_tokens()] == [again.id, made.id]


async def test_a_token_is_revoked_by_name_or_id_and_stays_so(store: Store, clock: FakeClock) -> None:
    made = await store.add_token(a_token(store))
    await store.add_token(a_token(store, name="tom"))
    revoked = await store.revoke_token("mia", by="ana")
    assert (revoked.id, revoked.revoked_at, revoked.revoked_by) == (made.id, store.now(), "ana")
    await clock.advance(timedelta(hours=1))
    assert await store.revoke_token(made.id, by="eva") == revoked
    with pytest.raises(TokenNotFound, match="'mia', or it is revoked"):
        await store.revoke_token("mia", by="eva")
    for unknown in ("nobody", "tok_01j00000000000000000000000", ""):
        with pytest.raises(TokenNotFound):
            await store.revoke_token(unknown, by="eva")
        with pytest.raises(TokenNotFound):
            await store.api_token(unknown)
    assert [one.name for one in await store.api_tokens() if one.holds_at(store.now())] == ["tom"]


async def test_a_session_is_opened_seen_and_closed(store: Store, clock: FakeClock) -> None:
    made = await store.add_token(a_token(store))
    opened = await store.open_session("s1", made.id, keep_for=WEEK)
    assert (opened.token_id, opened.created_at, opened.seen_at) == (made.id, store.now(), store.now())
    assert await store.session("s1") == (opened, made)
    await clock.advance(timedelta(hours=1))
    await store.note_use(made.id, "s1")
    found = await store.session("s1")
    assert found is not None
    assert found[0].seen_at == found[1].last_used_at == store.now()
    assert found[0].created_at == opened.created_at
    await store.revoke_token(made.id, by="tom")
    found = await store.session("s1")
    assert found is not None
    assert found[1].revoked_by == "tom"
    await store.close_session("s1")
    await store.close_session("s1")
    assert await store.session("s1") is None


async def test_a_session_of_no_token_is_not_opened(store: Store) -> None:
    with pytest.raises(TokenNotFound):
        await store.open_session("s1", "tok_none", keep_for=WEEK)
    assert await store.session("s1") is None


async def test_who_signs_in_removes_the_sessions_that_nobody_could_use_any_more(store: Store, clock: FakeClock) -> None:
    made = await store.add_token(a_token(store))
    await store.open_session("old", made.id, keep_for=WEEK)
    await clock.advance(timedelta(days=1))
    await store.open_session("young", made.id, keep_for=WEEK)
    await clock.advance(timedelta(days=6))
    await store.open_session("new", made.id, keep_for=WEEK)
    assert await store.session("old") is None
    assert await store.session("young") is not None


# -- the client over it


async def test_a_tokens_text_stands_for_it_until_it_is_revoked_or_expires(store: Store, clock: FakeClock) -> None:
    tokens = Client(store).tokens
    mia, text = await tokens.create("mia", scopes=["runs:write", "runs:read"], by="root", expires_in="1d")
    tom, other = await tokens.create("tom", scopes=["*"], by="root")
    assert mia.scopes == '["runs:read", "runs:write"]'
    assert text.startswith(f"af_{mia.id.removeprefix('tok_')}_")
    assert text not in repr(await tokens.all())
    found = await tokens.check(text)
    assert found is not None
    assert found.id == mia.id
    swapped = f"{text.rpartition('_')[0]}_{other.rpartition('_')[2]}"
    for wrong in (swapped, text[:-1], text + "x", text.upper(), "", "af__", "af_x_y", "é" * 90, "a" * 5000, mia.digest):
        assert await tokens.check(wrong) is None
    await clock.advance(timedelta(days=1))
    assert await tokens.check(text) is None
    assert await tokens.check(other) is not None
    await tokens.revoke("tom", by="root")
    assert await tokens.check(other) is None
    assert not await tokens.still(tom.id)


async def test_when_a_token_was_used_last_is_noted_once_a_minute(store: Store, clock: FakeClock) -> None:
    tokens = Client(store).tokens
    made, text = await tokens.create("mia", scopes=["*"], by="root")
    begun = store.now()
    for seconds, noted in ((0, 0), (59, 0), (1, 60), (30, 60)):
        await clock.advance(timedelta(seconds=seconds))
        assert await tokens.check(text) is not None
        assert await tokens.still(made.id)
        assert (await store.api_token(made.id)).last_used_at == begun + timedelta(seconds=noted)


async def test_a_session_ends_with_its_idleness_its_age_its_token_or_itself(store: Store, clock: FakeClock) -> None:
    tokens = Client(store).tokens
    mia, text = await tokens.create("mia", scopes=["*"], by="root")
    for session in ("idle", "busy", "out"):
        assert await tokens.sign_in(text, session) is not None
    assert await tokens.sign_in("af_no_token", "none") is None
    assert await tokens.signed_in("none") is None
    assert await tokens.signed_in("unheard of") is None
    await tokens.sign_out("out")
    assert await tokens.signed_in("out") is None
    for _ in range(14):
        await clock.advance(timedelta(hours=11, minutes=59))
        found = await tokens.signed_in("busy")
        assert found is not None
        assert found.id == mia.id
        assert await tokens.still(mia.id, session="busy")
    assert await tokens.signed_in("idle") is None
    assert not await tokens.still(mia.id, session="idle")
    await clock.advance(timedelta(minutes=14))
    assert await tokens.signed_in("busy") is None, "a week is over"
    assert await tokens.sign_in(text, "again") is not None
    await tokens.revoke("mia", by="root")
    assert await tokens.signed_in("again") is None


async def test_looking_whether_a_session_holds_does_not_keep_it_from_growing_idle(
    store: Store, clock: FakeClock
) -> None:
    tokens = Client(store).tokens
    mia, text = await tokens.create("mia", scopes=["*"], by="root")
    await tokens.sign_in(text, "open page")
    for _ in range(12):
        assert await tokens.still(mia.id, session="open page")
        await clock.advance(timedelta(hours=1))
    assert not await tokens.still(mia.id, session="open page")


@pytest.mark.parametrize("name", ["", "  ", "a:b", "x" * 101, "a\nb", "a\u202eb", "standing:sta_1"])
async def test_a_name_that_could_be_taken_for_another_is_refused(store: Store, name: str) -> None:
    with pytest.raises(InvalidName, match="Nothing was made"):
        await Client(store).tokens.create(name, scopes=["*"], by="root")
    assert list(await store.api_tokens()) == []


@pytest.mark.parametrize(
    ("scopes", "said"),
    [
        ([], "at least one scope"),
        (["runs:wrte"], "did you mean runs:write"),
        (["everything"], "is no scope; There are: runs:read"),
    ],
)
async def test_scopes_that_are_none_are_refused(store: Store, scopes: list[str], said: str) -> None:
    with pytest.raises(InvalidSetting, match=said):
        await Client(store).tokens.create("mia", scopes=scopes, by="root")
    with pytest.raises(InvalidSetting):
        await Client(store).tokens.create("mia", scopes=["*"], by="root", expires_in="0s")
    assert list(await store.api_tokens()) == []


async def test_a_taken_name_is_told_to_whoever_asks_for_it(store: Store) -> None:
    await Client(store).tokens.create("mia", scopes=["*"], by="root")
    with pytest.raises(TokenNameTaken, match="'mia'; revoke it first"):
        await Client(store).tokens.create("mia", scopes=["*"], by="root")
