"""Signing in with a token, and signing out."""

from typing import Any, Final

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.response import Redirect

from agentflow.durations import describe
from approvals_ui.access import OPEN, needs
from approvals_ui.desk import Desk
from approvals_ui.forms import first, submission_of
from approvals_ui.sessions import AT_ONCE, cookie, identity_in, new_session, sent_cookie
from approvals_ui.views import Asked, bare_page

HOME: Final = "/"
NO_GOOD: Final = "That is no token that holds: it is unknown, revoked or expired."
FORGOTTEN: Final = '"cache", "cookies", "storage"'
LONGEST_ADDRESS: Final = 2000
LARGEST_FORM: Final = 64 * 1024
"""Anybody may send one, and it is in memory whole."""


class SignInPages(Controller):
    """`/sign-in` and `/sign-out`."""

    include_in_schema = False
    opt = needs(OPEN)
    request_max_body_size = LARGEST_FORM

    @get("/sign-in")
    async def ask(self, request: Asked, desk: NamedDependency[Desk]) -> Response[Any]:
        """Ask for a token; who has signed in already goes on."""
        wanted = own_address(request.query_params.get("next", HOME))
        session = identity_in(desk.secret, sent_cookie(request))
        if desk.dev or (session and await desk.client.tokens.signed_in(session)):
            return Redirect(wanted, status_code=303)
        return bare_page(request, desk, "sign_in.html", next=wanted, problem="")

    @post("/sign-in", status_code=200)
    async def sign_in(self, request: Asked, desk: NamedDependency[Desk]) -> Response[Any]:
        """A session for whoever has a token, its id a new one: what was known before it stands for nobody."""
        given = await submission_of(request)
        wanted = own_address(first(given, "next", HOME))
        address, now = request.client.host if request.client else "", desk.client.now()
        if wait := desk.attempts.wait(address, now):
            problem = f"Too many attempts from your address. Try again in {describe(wait)}."
            page = bare_page(request, desk, "sign_in.html", status=429, next=wanted, problem=problem)
            page.headers["retry-after"] = str(int(wait.total_seconds()) + 1)
            return page
        fresh = new_session(desk.secret)
        if await desk.client.tokens.sign_in(first(given, "token").strip(), identity_in(desk.secret, fresh)) is None:
            desk.attempts.has_failed(address, now)
            return bare_page(request, desk, "sign_in.html", status=401, next=wanted, problem=NO_GOOD)
        await _end(request, desk)
        return Redirect(wanted, status_code=303, cookies=[cookie(request, fresh)])

    @post("/sign-out")
    async def sign_out(self, request: Asked, desk: NamedDependency[Desk]) -> Redirect:
        """End the session, in every inbox, and have the browser forget what it kept of it."""
        await _end(request, desk)
        gone = [cookie(request, "", lasts=AT_ONCE)]
        return Redirect("/sign-in", status_code=303, cookies=gone, headers={"clear-site-data": FORGOTTEN})


async def _end(request: Asked, desk: Desk) -> None:
    """The session this browser has, if somebody signed in with it, is over."""
    if session := identity_in(desk.secret, sent_cookie(request)):
        await desk.client.tokens.sign_out(session)


def own_address(wanted: str) -> str:
    """The address if it is one of this inbox, as a path; else the first page. Nobody is sent elsewhere.

    A browser takes two slashes, either way round, for another site, and leaves out tabs and line ends before it looks.
    """
    is_plain = wanted.isascii() and wanted.isprintable() and "\\" not in wanted and len(wanted) <= LONGEST_ADDRESS
    path = wanted.partition("?")[0].partition("#")[0]
    is_own = path.startswith("/") and "//" not in path and not path.startswith("/sign-")
    return wanted if is_plain and is_own else HOME
