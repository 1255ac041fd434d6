"""Tokens of the API."""

from typing import Annotated

from msgspec import Meta

from agentflow.access import EVERYTHING, SCOPES, scopes_of
from agentflow.records import ApiToken
from approvals_ui.api.fields import Asked, Instant, Span, TokenId, Told, Who
from approvals_ui.api.shapes.reading import same

Scope = Annotated[str, Meta(max_length=50, description="A scope.", extra_json_schema={"enum": [*SCOPES, EVERYTHING]})]
TokenName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=r"^[^:]*$",
        examples=["ci"],
        description="What is done with the token is recorded under this name.",
    ),
]


class NewToken(Asked):
    """A token to be made; without `expires_in` it holds until it is revoked."""

    name: TokenName
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=50, examples=[["runs:read", "runs:write"]])]
    expires_in: Span | None = None


class TokenView(Told):
    """A token: whose name it stands for and what it may do; never its text."""

    id: TokenId
    name: TokenName
    scopes: Annotated[list[Scope], Meta(examples=[["runs:read", "runs:write"]])]
    created_at: Instant
    created_by: Who
    expires_at: Instant | None
    revoked_at: Instant | None
    revoked_by: Who | None
    last_used_at: Instant | None


class MadeToken(TokenView):
    """A token that was just made, with its `text`, which is shown this once."""

    text: Annotated[str, Meta(examples=["af_01kajx5q9b2m8v0d7t3y_…"])]


class TokenList(Told):
    """Every token, newest first; revoked and expired ones too."""

    items: list[TokenView]


def token_view(token: ApiToken) -> TokenView:
    """The token as the API shows it."""
    return TokenView(**same(TokenView, token, "scopes"), scopes=list(scopes_of(token.scopes)))


def made_view(token: ApiToken, text: str) -> MadeToken:
    """The token as it is shown to whoever made it."""
    scopes = list(scopes_of(token.scopes))
    return MadeToken(**same(MadeToken, token, "scopes", "text"), scopes=scopes, text=text)
