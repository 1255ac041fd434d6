"""Promises about tokens of the API, and about who has signed in with one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from agentflow.records import ApiToken, Session
    from agentflow.requests import NewToken


class Access(Protocol):
    """Who may call. Of tokens and sessions digests are stored; whether one holds is for the reader to say."""

    async def add_token(self, request: NewToken) -> ApiToken:
        """The token, which holds from now on. Raises `TokenNameTaken`; nothing was stored then."""
        ...

    async def revoke_token(self, token: str, *, by: str) -> ApiToken:
        """The token of this id, or of this name, which holds no more; who revoked it first stays. `TokenNotFound`."""
        ...

    async def api_token(self, token_id: str) -> ApiToken:
        """The token of this id, revoked and expired ones too. Raises `TokenNotFound`."""
        ...

    async def api_tokens(self, *, limit: int = 1000) -> Sequence[ApiToken]:
        """The newest tokens, newest first."""
        ...

    async def note_use(self, token_id: str, session_id: str = "") -> None:
        """Keep that the token, and the session, were used now."""
        ...

    async def open_session(self, session_id: str, token_id: str, *, keep_for: timedelta) -> Session:
        """The session of somebody who signed in now; some of those older than `keep_for` are removed for good."""
        ...

    async def session(self, session_id: str) -> tuple[Session, ApiToken] | None:
        """The session and the token it was opened with; None for one that was closed or never opened."""
        ...

    async def close_session(self, session_id: str) -> None:
        """Remove the session; none is one that is closed already."""
        ...
