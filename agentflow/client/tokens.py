"""Tokens of the API: made, listed, revoked; and whom a text or a browser's session stands for."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from agentflow.access import digest_of, id_in, is_same, new_token_text, parse_scopes, token_name
from agentflow.client.holder import Holder
from agentflow.durations import duration
from agentflow.errors import InvalidSetting, StoreUnavailable, TokenNotFound
from agentflow.requests import NewToken

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentflow.records import ApiToken, Session

LONGEST_SESSION: Final = timedelta(days=7)
IDLE_SESSION: Final = timedelta(hours=12)
NOTED_EVERY: Final = timedelta(minutes=1)
LONGEST_LIFE: Final = timedelta(days=3650)


class Tokens(Holder):
    """Who may call the API and sign in. Each change takes effect at once, in every process."""

    async def create(
        self, name: str, *, scopes: Iterable[str], by: str, expires_in: str | float | timedelta | None = None
    ) -> tuple[ApiToken, str]:
        """A fresh token and its text, which is not kept: nobody can be told it a second time.

        Raises `InvalidName`, `InvalidSetting`, `InvalidDuration` or `TokenNameTaken`; none was made then.
        """
        token_id, text = new_token_text(self.now())
        request = NewToken(
            id=token_id,
            name=token_name(name),
            digest=digest_of(text),
            scopes=json.dumps(parse_scopes(scopes)),
            created_by=by,
            expires_in=_life(expires_in),
        )
        return await self._store.add_token(request), text

    async def all(self) -> Sequence[ApiToken]:
        """Every token, newest first; revoked and expired ones too."""
        return await self._store.api_tokens()

    async def revoke(self, token: str, *, by: str) -> ApiToken:
        """The token of this id or name, which holds no more, and nor do sessions of it. Raises `TokenNotFound`."""
        return await self._store.revoke_token(token, by=by)

    async def check(self, text: str) -> ApiToken | None:
        """The token that this is the text of; None for one that is unknown, revoked or expired."""
        try:
            token = await self._store.api_token(id_in(text))
        except TokenNotFound:
            token = None
        if not is_same(text, token.digest if token else None) or token is None or not token.holds_at(self.now()):
            return None
        if token.last_used_at is None or self.now() - token.last_used_at >= NOTED_EVERY:
            await self._note(token.id)
        return token

    async def sign_in(self, text: str, session: str) -> ApiToken | None:
        """The token of this text, for which the fresh `session` stands from now on; None as `check` says."""
        token = await self.check(text)
        if token is not None:
            await self._store.open_session(digest_of(session), token.id, keep_for=LONGEST_SESSION)
        return token

    async def signed_in(self, session: str) -> ApiToken | None:
        """The token that this session stands for; None once it, or the token, holds no more."""
        found = await self._store.session(digest_of(session))
        if found is None or not self._holds(*found):
            return None
        opened, token = found
        if self.now() - opened.seen_at >= NOTED_EVERY:
            await self._note(token.id, opened.id)
        return token

    async def still(self, token_id: str, *, session: str = "") -> bool:
        """Whether the token, and the session if there is one, hold. That is no use of them."""
        if session:
            found = await self._store.session(digest_of(session))
            return found is not None and self._holds(*found)
        return (await self._store.api_token(token_id)).holds_at(self.now())

    async def sign_out(self, session: str) -> None:
        """The session stands for nobody any more."""
        await self._store.close_session(digest_of(session))

    def _holds(self, session: Session, token: ApiToken) -> bool:
        now = self.now()
        is_young = now - session.created_at < LONGEST_SESSION and now - session.seen_at < IDLE_SESSION
        return is_young and token.holds_at(now)

    async def _note(self, token_id: str, session_id: str = "") -> None:
        """When it was last used is good to know; that it cannot be written down keeps nobody from reading."""
        with suppress(StoreUnavailable):
            await self._store.note_use(token_id, session_id)


def _life(given: str | float | timedelta | None) -> timedelta | None:
    if given is None:
        return None
    life = duration(given)
    if not timedelta(0) < life <= LONGEST_LIFE:
        raise InvalidSetting(f"a token holds for up to {LONGEST_LIFE.days} days, or without end, not for {life}")
    return life
