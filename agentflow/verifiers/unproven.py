"""No verification at all, for what may be started by everybody, or is guarded by something in front of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from agentflow.verifiers.base import Verifier, header_name

if TYPE_CHECKING:
    from agentflow.verifiers.base import Sent
    from agentflow.verifiers.secret import Secret


def unverified(*, id_header: str | None = None) -> Verifier:
    """Every request, whoever sends it: said at start-up and on the page of webhooks.

    `id_header` holds the delivery's id; without one the body's digest is its id, so that the same body never starts a
    second run. Raises `DefinitionError`.
    """
    return Unverified(None if id_header is None else header_name(id_header, "unverified()"))


@dataclass(frozen=True)
class Unverified(Verifier):
    """Verifies nothing."""

    id_header: str | None = None
    secrets: tuple[Secret, ...] = ()
    format: ClassVar[str] = "not verified"
    is_open: ClassVar[bool] = True

    def verify(self, sent: Sent) -> str:
        return sent.delivery_id(self.id_header)
