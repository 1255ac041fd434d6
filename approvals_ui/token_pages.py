"""The page of API tokens: who has one, what it may do, making and revoking them."""

from typing import Any, Final

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from agentflow.access import EVERYTHING, SCOPES, parse_scopes, scopes_of
from agentflow.approvals import Submission
from agentflow.errors import InvalidName, InvalidSetting, TokenNameTaken
from agentflow.records import ApiToken
from approvals_ui.access import caller_of, needs
from approvals_ui.caller import Caller
from approvals_ui.desk import Desk
from approvals_ui.forms import first, submission_of
from approvals_ui.problems import Refused
from approvals_ui.views import Asked, page

LIVES: Final = {"7d": "in 7 days", "30d": "in 30 days", "90d": "in 90 days", "365d": "in a year", "": "never"}
USUAL_LIFE: Final = "90d"


class TokenPages(Controller):
    """`/tokens`."""

    path = "/tokens"
    include_in_schema = False
    opt = needs("tokens:write")

    @get()
    async def listing(self, request: Asked, desk: NamedDependency[Desk]) -> Response[str]:
        """Every token, those that hold first, and the form that makes one."""
        return await _shown(request, desk)

    @post(status_code=201)
    async def create(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller]
    ) -> Response[str]:
        """Make a token and show it, this once."""
        typed = await submission_of(request)
        try:
            scopes = parse_scopes(typed.get("scope", ()))
            require_own(caller, scopes)
            life = first(typed, "expires_in", USUAL_LIFE) or None
            token, text = await desk.client.tokens.create(
                first(typed, "name"), scopes=scopes, by=caller.name, expires_in=life
            )
        except (InvalidName, InvalidSetting, TokenNameTaken) as error:
            status = 409 if isinstance(error, TokenNameTaken) else 422
            return await _shown(request, desk, typed=typed, problem=str(error), status=status)
        return await page(request, desk, "token_made.html", status=201, token=token, text=text, scopes=scopes)

    @post("/{token_id:str}/revoke")
    async def revoke(
        self, desk: NamedDependency[Desk], caller: NamedDependency[Caller], token_id: FromPath[str]
    ) -> Redirect:
        """It holds no more, and nobody is signed in with it any more."""
        await desk.client.tokens.revoke(token_id, by=caller.name)
        return Redirect("/tokens", status_code=303)


def require_own(caller: Caller, scopes: tuple[str, ...]) -> None:
    """Refuse to give what the caller has not got. Raises `Refused`; no token was made then."""
    if missing := caller.lacks(scopes):
        what = "every scope" if missing == [EVERYTHING] else f"the scope {', '.join(missing)}"
        raise Refused(403, f"{caller.name} has not {what}, and cannot give what it has not. No token was made.")


async def _shown(
    request: Asked, desk: Desk, *, typed: Submission | None = None, problem: str = "", status: int = 200
) -> Response[str]:
    now = desk.client.now()
    tokens = sorted(await desk.client.tokens.all(), key=lambda one: not one.holds_at(now))
    given = typed or {}
    shown: dict[str, Any] = {
        "tokens": [(one, scopes_of(one.scopes), _state(one, holds=one.holds_at(now))) for one in tokens],
        "grantable": {scope: said for scope, said in SCOPES.items() if caller_of(request).may(scope)},
        "everything": EVERYTHING if caller_of(request).may(EVERYTHING) else "",
        "lives": LIVES,
        "typed": {"name": first(given, "name"), "scope": given.get("scope", ())},
        "life": first(given, "expires_in", USUAL_LIFE),
        "problem": problem,
    }
    return await page(request, desk, "tokens.html", status=status, **shown)


def _state(token: ApiToken, *, holds: bool) -> str:
    return "holds" if holds else "revoked" if token.revoked_at else "expired"
