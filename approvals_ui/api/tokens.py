"""/api/v1/tokens: who may call this API."""

from functools import partial

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from agentflow.errors import InvalidDuration, InvalidName, InvalidSetting, TokenNameTaken, TokenNotFound
from approvals_ui.api.endpoint import endpoint, reply
from approvals_ui.api.reading import body_of
from approvals_ui.api.shapes.tokens import MadeToken, NewToken, TokenList, TokenView, made_view, token_view
from approvals_ui.caller import Caller
from approvals_ui.desk import Desk
from approvals_ui.problems import Refused
from approvals_ui.views import Asked

about = partial(endpoint, tag="tokens", scope="tokens:write")


class TokenEndpoints(Controller):
    """Tokens."""

    path = "/tokens"

    @get(opt=about("listTokens", "List tokens", gives=TokenList))
    async def listing(self, desk: NamedDependency[Desk]) -> Response[bytes]:
        """Every token, newest first; never their texts."""
        return reply(TokenList(items=[token_view(one) for one in await desk.client.tokens.all()]))

    @post(
        opt=about(
            "createToken",
            "Create a token",
            takes=NewToken,
            gives={201: MadeToken},
            said={201: "The token is made. `text` is shown this once."},
            raises=(InvalidName, InvalidSetting, InvalidDuration, TokenNameTaken),
            examples={"ci": {"name": "ci", "scopes": ["runs:read", "runs:write"], "expires_in": "30d"}},
        )
    )
    async def create(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller]
    ) -> Response[bytes]:
        """Make a token. Nobody gives scopes that are not their own (403)."""
        asked = await body_of(request, NewToken)
        if lacks := caller.lacks(asked.scopes):
            text = f"{caller.name} lacks the scopes {', '.join(lacks)}, and so cannot give them. Nothing was made."
            raise Refused(403, text, kind="scope-lacking")
        token, text = await desk.client.tokens.create(
            asked.name, scopes=asked.scopes, by=caller.name, expires_in=asked.expires_in
        )
        return reply(made_view(token, text), status=201, location="/tokens")

    @post(
        "/{token_id:str}/revoke",
        status_code=200,
        opt=about("revokeToken", "Revoke a token", gives=TokenView, raises=(TokenNotFound,)),
    )
    async def revoke(
        self, desk: NamedDependency[Desk], caller: NamedDependency[Caller], token_id: FromPath[str]
    ) -> Response[bytes]:
        """The token holds no more, at once and in every process, and nor do sessions of it. An id or a name will do."""
        return reply(token_view(await desk.client.tokens.revoke(token_id, by=caller.name)))
