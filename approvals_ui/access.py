"""The one guard of every route: who calls, and whether what the route needs is among the caller's scopes.

A route says what it needs in its `opt`, or its controller's or router's: `{"scope": "runs:read"}`, several of which one
is enough as a tuple, `SIGNED_IN` for any caller, `OPEN` for anybody. A route that says nothing lets nobody through.
"""

from __future__ import annotations

from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from litestar import Request, Response
from litestar.response import Redirect

from agentflow.access import scopes_of
from approvals_ui.caller import SCOPE_KEY, Caller, caller_in, everybody
from approvals_ui.problems import ProblemDocument, Refused, as_json, wants_page
from approvals_ui.sessions import cookie_name, identity_in
from approvals_ui.streams import pumped
from approvals_ui.views import bare_page

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler

    from agentflow.records import ApiToken
    from approvals_ui.desk import Desk

OPEN: Final = "open"
SIGNED_IN: Final = "signed in"
SCHEME: Final = "bearer"
CHALLENGE: Final = 'Bearer realm="agentflow"'

NOBODY: Final = "Nobody has signed in: send `Authorization: Bearer TOKEN`. `agentflow tokens create` makes a token."
NOT_BEARER: Final = "Send the token as `Authorization: Bearer TOKEN`, once. Nothing else is taken."
NO_GOOD: Final = "This token is unknown, revoked or expired."
NO_ROOM: Final = "Too many live streams are open already, here or with this token. Close some, or come again later."
SESSION_ENDED: Final = "You are not signed in, or no longer. Nothing was changed. Sign in and do it again."
DEV_ONLY_HERE: Final = "This program runs with --dev, for this machine only. Start it without to let others sign in."


def needs(*scopes: str) -> dict[str, Any]:
    """The `opt` of a route, controller or router: one of these scopes is enough; or `SIGNED_IN`, or `OPEN`."""
    return {"scope": scopes[0] if len(scopes) == 1 else scopes}


class NotSignedIn(Refused):
    """Nobody is known to have asked."""

    def __init__(self, text: str, *, error: str = "") -> None:
        super().__init__(HTTPStatus.UNAUTHORIZED, text)
        self.challenge = f'{CHALLENGE}, error="{error}"' if error else CHALLENGE


class NotAllowed(Refused):
    """The caller is known and lacks a scope."""

    def __init__(self, caller: Caller, wanted: tuple[str, ...]) -> None:
        needed = " or ".join(wanted)
        text = f"{caller.name} lacks the scope {needed}. Nothing was changed." if wanted else "Nobody may do this."
        super().__init__(HTTPStatus.FORBIDDEN, text)
        self.wanted = wanted


async def require_scope(connection: ASGIConnection[Any, Any, Any, Any], route: BaseRouteHandler) -> None:
    """Let through whom the route is for. Raises `NotSignedIn` or `NotAllowed`; nothing was looked at then."""
    wanted = route.opt.get("scope")
    if wanted == OPEN or connection.scope.get("method") == "OPTIONS":  # Litestar answers with the methods
        return
    caller = await identified(connection)
    connection.scope[SCOPE_KEY] = caller
    if wanted == SIGNED_IN:
        return
    named = (wanted,) if isinstance(wanted, str) else tuple(wanted or ())
    if not any(caller.may(scope) for scope in named):
        raise NotAllowed(caller, named)


async def identified(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """Whoever calls. Raises `NotSignedIn`."""
    desk: Desk = connection.app.state.desk
    if desk.dev:
        return _of_this_machine(connection, desk)
    if lines := connection.headers.getall("authorization", []):
        return await _with_token(desk, lines)
    session = identity_in(desk.secret, connection.cookies.get(cookie_name(connection.url.scheme)))
    token = await desk.client.tokens.signed_in(session) if session else None
    if token is None:
        raise NotSignedIn(SESSION_ENDED if session else NOBODY)
    return _caller(token, session=session)


def _of_this_machine(connection: ASGIConnection[Any, Any, Any, Any], desk: Desk) -> Caller:
    """Everybody, as long as they are here: whoever let others reach a program with `--dev` did not mean to."""
    host = connection.client.host if connection.client else ""
    try:
        is_elsewhere = not ip_address(host).is_loopback
    except ValueError:  # no address at all: a socket of this machine, or a test
        is_elsewhere = False
    if is_elsewhere:
        raise Refused(HTTPStatus.FORBIDDEN, DEV_ONLY_HERE)
    return everybody(desk.stand_in)


async def _with_token(desk: Desk, lines: list[str]) -> Caller:
    scheme, _, text = lines[0].partition(" ")
    if len(lines) != 1 or scheme.lower() != SCHEME:
        raise NotSignedIn(NOT_BEARER)
    token = await desk.client.tokens.check(text.strip())
    if token is None:
        raise NotSignedIn(NO_GOOD, error="invalid_token")
    return _caller(token)


def _caller(token: ApiToken, *, session: str = "") -> Caller:
    return Caller(token.name, scopes_of(token.scopes), token_id=token.id, session=session)


def caller_of(request: Request[Any, Any, Any]) -> Caller:
    """The dependency `caller`. Raises `NotSignedIn` on an open route, where nobody asked who calls."""
    caller = caller_in(request.scope)
    if caller is None:
        raise NotSignedIn(NOBODY)
    return caller


def still_allowed(request: Request[Any, Any, Any], desk: Desk) -> Callable[[], Awaitable[bool]]:
    """For what goes on long after the guard: whether the caller's token, and its session, still hold."""
    caller = caller_of(request)

    async def allowed() -> bool:
        return not caller.token_id or await desk.client.tokens.still(caller.token_id, session=caller.session)

    return allowed


def require_room(caller: Caller, desk: Desk) -> None:
    """Raise `Refused` where so many streams are open, or waits for a run's end go on, that one more would hurt all."""
    if not desk.streams.has_room(caller.token_id):
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, NO_ROOM, kind="too-many-streams", headers={"retry-after": "15"})


def streamed(request: Request[Any, Any, Any], desk: Desk, events: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    """The events as the body of a response, as long as the caller is allowed to. Raises `Refused`, see `require_room`.

    One that nobody begins to read counts for nothing.
    """
    caller = caller_of(request)
    require_room(caller, desk)
    return pumped(events, still_allowed(request, desk), desk.streams.held(caller.token_id))


# -- answers


def ask_to_sign_in(request: Request[Any, Any, Any], error: NotSignedIn) -> Response[Any]:
    """A person who wanted to see a page is sent to sign in; anybody else is told so."""
    if not wants_page(request):
        document = _document(error, "not signed in", "Not signed in")
        response: Response[Any] = as_json(document)
    elif request.method == "GET" and "fragment" not in request.query_params:
        return Redirect(f"/sign-in?next={quote(_address(request), safe='')}", status_code=303)
    else:
        back = request.url.path.rpartition("/")[0] if request.method != "GET" else request.url.path
        response = _page(request, error, "Not signed in", sign_in=f"/sign-in?next={quote(back or '/', safe='')}")
    response.headers["www-authenticate"] = error.challenge
    return response


def say_what_is_lacking(request: Request[Any, Any, Any], error: NotAllowed) -> Response[Any]:
    """The scope that is missing, as a page or a problem document."""
    wanted = " ".join(error.wanted)
    if wants_page(request):
        response: Response[Any] = _page(request, error, "Not allowed")
    else:
        response = as_json(_document(error, "scope lacking", "Not allowed", scope=wanted))
    response.headers["www-authenticate"] = f'{CHALLENGE}, error="insufficient_scope", scope="{wanted}"'
    return response


def _page(request: Request[Any, Any, Any], error: Refused, title: str, *, sign_in: str = "") -> Response[str]:
    document = _document(error, title, title)
    desk: Desk = request.app.state.desk
    status = error.status_code
    return bare_page(request, desk, "error.html", status=status, problem=document, kept=None, sign_in=sign_in)


def _document(error: Refused, kind: str, title: str, **facts: str) -> ProblemDocument:
    name = f"urn:agentflow:problem:{kind.lower().replace(' ', '-')}"
    return ProblemDocument(type=name, title=title, status=error.status_code, detail=error.detail, facts=dict(facts))


def _address(request: Request[Any, Any, Any]) -> str:
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path
