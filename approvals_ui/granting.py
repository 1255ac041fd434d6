"""What nobody may have done by a scope they have: told what they may not read, signed as we do, said in our name."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from agentflow.access import EVERYTHING
from agentflow.requests import EventType, is_among
from approvals_ui.problems import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from approvals_ui.caller import Caller

READ_WITH: Final = {"run": "runs:read", "approval": "approvals:read"}
"""The scope that reads what events of a kind tell."""
ENVIRONMENT: Final = "env:"
OURS: Final = "agentflow."
"""What names of events begin with that this program sends itself, such as what agents are told."""
KIND: Final = "scope-lacking"


def require_readable(caller: Caller, events: Sequence[str]) -> None:
    """Refuse to have an address told what the caller may not read. Raises `Refused`; nothing was changed then."""
    told = {one.partition(".")[0] for one in EventType if is_among(events, one)}
    wanted = [scope for kind, scope in READ_WITH.items() if kind in told]
    if missing := caller.lacks(wanted):
        text = f"{caller.name} lacks the scope {', '.join(missing)}, and cannot have others told what that reads."
        raise Refused(HTTPStatus.FORBIDDEN, f"{text} Nothing was changed.", kind=KIND)


def require_own_secret(caller: Caller, secret: str | None) -> None:
    """Refuse to sign with what an environment variable holds, unless the caller may do everything.

    What is signed with a variable's value lets its reader try guesses at it, and sign as we do where it is used.
    """
    if (secret or "").strip().startswith(ENVIRONMENT) and not caller.may(EVERYTHING):
        text = f"{caller.name} has not every scope, and cannot name an environment variable of the programs that send."
        raise Refused(HTTPStatus.FORBIDDEN, f"{text} Nothing was changed.", kind=KIND)


def require_their_event(name: str) -> None:
    """Refuse an event in our own name: its payload says who told an agent what. Raises `Refused`; none was sent."""
    if name.startswith(OURS):
        text = f"Names of events that begin with {OURS} are this program's own; telling an agent takes runs:write."
        raise Refused(HTTPStatus.FORBIDDEN, f"{text} Nothing was sent.", kind="reserved-name")
