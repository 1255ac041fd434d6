"""Whoever a request comes from, once that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentflow.access import EVERYTHING, allows, lacking

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from litestar.types import HTTPScope, Scope

SCOPE_KEY: Final = "user"


class Caller:
    """Somebody who signed in, or a program with a token: a name decisions are recorded under, and what it may do.

    `session` is that of a browser; a program that sends its token has none. Not a dataclass: Litestar would look into
    the types of its fields to check what it injects.
    """

    def __init__(self, name: str, scopes: Collection[str], *, token_id: str = "", session: str = "") -> None:
        self.name = name
        self.scopes = tuple(scopes)
        self.token_id = token_id
        self.session = session

    def may(self, scope: str) -> bool:
        """Whether the scope is one of the caller's."""
        return allows(self.scopes, scope)

    def lacks(self, scopes: Iterable[str]) -> list[str]:
        """Those of the scopes that are not the caller's, and so not the caller's to give."""
        return lacking(self.scopes, scopes)

    @property
    def is_program(self) -> bool:
        """Whether the token came with the request itself, which no page of another site can have done."""
        return bool(self.token_id) and not self.session

    @property
    def has_signed_in(self) -> bool:
        """Whether there is a session to sign out of."""
        return bool(self.session)


def everybody(name: str) -> Caller:
    """Whoever reaches a program that runs with `--dev`."""
    return Caller(name, (EVERYTHING,))


def caller_in(scope: HTTPScope | Scope) -> Caller | None:
    """The caller the guard has found out, None before it did or where nobody signed in."""
    found = scope.get(SCOPE_KEY)
    return found if isinstance(found, Caller) else None
