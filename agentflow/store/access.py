"""Tokens of the API, and the sessions of those who signed in with one.

A token is never removed: what was decided under its name stays explained. A session is, when somebody signs out, or by
those who sign in long after it could have been used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, delete, insert, select, update

from agentflow.clock import MICROSECOND
from agentflow.errors import TokenNameTaken, TokenNotFound
from agentflow.store import locks, rows, tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, by_index, const
from agentflow.store.ways import Ways

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from agentflow.records import ApiToken, Session
    from agentflow.requests import NewToken
    from agentflow.store.transaction import Transaction

token = table_of(tables.ApiTokenRow)
session = table_of(tables.SessionRow)

OUTLIVED: Final = 100
"""How many sessions whose time is over a sign-in removes at most."""

ADD = Statement(insert(token).values({c.name: bindparam(c.name) for c in token.columns}))
BY_ID = Statement(select(token).where(token.c.id == bindparam("id")))
BY_NAME = Statement(
    select(token)
    .where(token.c.name == bindparam("name"), token.c.revoked_at.is_(None))
    .with_hint(*by_index(token, "uq_agentflow_api_token_name"))
)
NEWEST = Statement(select(token).order_by(token.c.id.desc()).limit(bindparam("limit")).offset(const(0)))
REVOKE = Statement(
    update(token)
    .where(token.c.id == bindparam("token_id"), token.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("now"), revoked_by=bindparam("by"))
)
USED = Statement(update(token).where(token.c.id == bindparam("token_id")).values(last_used_at=bindparam("now")))
OPEN = Statement(insert(session).values({c.name: bindparam(c.name) for c in session.columns}))
SESSION = Statement(select(session).where(session.c.id == bindparam("id")))
SEEN = Statement(update(session).where(session.c.id == bindparam("session_id")).values(seen_at=bindparam("now")))
CLOSE = Statement(delete(session).where(session.c.id == bindparam("id")))
OUTLIVE = Statement(
    delete(session).where(
        session.c.id.in_(
            select(session.c.id)
            .where(session.c.created_at <= bindparam("before"))
            .order_by(session.c.created_at)
            .limit(const(OUTLIVED))
            .offset(const(0))
        )
    )
)


def add(tx: Transaction, request: NewToken) -> ApiToken | TokenNameTaken:
    """It holds from now on, unless another that is not revoked has its name."""
    locks.names(tx, f"token:{request.name}")
    if tx.row(BY_NAME, {"name": request.name}) is not None:
        return TokenNameTaken(
            f"there is a token {request.name!r}; revoke it first, or choose another name. None was made"
        )
    values = {name: getattr(request, name) for name in ("id", "name", "digest", "scopes", "created_by")}
    ends = None if request.expires_in is None else tx.now + request.expires_in // MICROSECOND
    empty = dict.fromkeys(("revoked_at", "revoked_by", "last_used_at"))
    tx.run(ADD, values | empty | {"created_at": tx.now, "expires_at": ends})
    return get(tx, request.id)


def get(tx: Transaction, token_id: str) -> ApiToken:
    """The token. Raises `TokenNotFound`."""
    row = tx.row(BY_ID, {"id": token_id})
    if row is None:
        raise TokenNotFound(f"there is no token {token_id[:100]!r}")
    return rows.api_token(row)


def revoke(tx: Transaction, wanted: str, by: str) -> ApiToken:
    """The token of this id or name holds no more."""
    row = tx.row(BY_ID, {"id": wanted}) or tx.row(BY_NAME, {"name": wanted})
    if row is None:
        raise TokenNotFound(f"there is no token {wanted[:100]!r}, or it is revoked; nothing was changed")
    found = rows.api_token(row)
    tx.run(REVOKE, {"token_id": found.id, "now": tx.now, "by": by})
    return get(tx, found.id)


def newest(tx: Transaction, limit: int) -> Sequence[ApiToken]:
    """The newest first."""
    return [rows.api_token(row) for row in tx.rows(NEWEST, {"limit": limit})]


def note_use(tx: Transaction, token_id: str, session_id: str) -> None:
    """Used now."""
    tx.run(USED, {"token_id": token_id, "now": tx.now})
    if session_id:
        tx.run(SEEN, {"session_id": session_id, "now": tx.now})


def open_session(tx: Transaction, session_id: str, token_id: str, keep_for: timedelta) -> Session:
    """Somebody signed in."""
    tx.run(OUTLIVE, {"before": tx.now - keep_for // MICROSECOND})
    get(tx, token_id)
    tx.run(OPEN, {"id": session_id, "token_id": token_id, "created_at": tx.now, "seen_at": tx.now})
    row = tx.row(SESSION, {"id": session_id})
    assert row is not None
    return rows.session(row)


def session_of(tx: Transaction, session_id: str) -> tuple[Session, ApiToken] | None:
    """The session with its token."""
    row = tx.row(SESSION, {"id": session_id})
    if row is None:
        return None
    found = rows.session(row)
    return found, get(tx, found.token_id)


def close_session(tx: Transaction, session_id: str) -> None:
    """Somebody signed out."""
    tx.run(CLOSE, {"id": session_id})


class AccessVerbs(Ways):
    """What `Access` promises."""

    async def add_token(self, request: NewToken) -> ApiToken:
        return await self.write(add, request)

    async def revoke_token(self, token: str, *, by: str) -> ApiToken:
        return await self.write(revoke, token, by)

    async def api_token(self, token_id: str) -> ApiToken:
        return await self.glance(get, token_id)

    async def api_tokens(self, *, limit: int = 1000) -> Sequence[ApiToken]:
        return await self.read(newest, limit)

    async def note_use(self, token_id: str, session_id: str = "") -> None:
        await self.write(note_use, token_id, session_id)

    async def open_session(self, session_id: str, token_id: str, *, keep_for: timedelta) -> Session:
        return await self.write(open_session, session_id, token_id, keep_for)

    async def session(self, session_id: str) -> tuple[Session, ApiToken] | None:
        return await self.glance(session_of, session_id)

    async def close_session(self, session_id: str) -> None:
        await self.write(close_session, session_id)
