"""What an approval binds: a digest of what will run, and of nothing that only describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.errors import NotAsDecided
from agentflow.payloads import canonical, digest

if TYPE_CHECKING:
    from agentflow.approvals.pointers import Json, Schema


def schema_digest(schema: Schema) -> str:
    """The name of a schema by its content, "sha256:…"."""
    return digest(canonical(schema))


def approval_digest(*, task: str, key: str, value: Json, schema: Schema, tool: str = "") -> str:
    """The digest of the task, the gate's key, the tool, the data and its schema: what a person answers for, "sha256:…".

    Titles, summaries and reasons are left out on purpose: rewording them neither renews nor voids an approval. So are
    an agent's own words.
    """
    bound = {"approval": 1, "data": value, "key": key, "schema": schema_digest(schema), "task": task}
    return digest(canonical(bound | {"tool": tool} if tool else bound))


def value_digest(value: Json) -> str:
    """The digest of data as it was decided, whichever way its JSON was written: what `Approval.digest` holds."""
    return digest(canonical(value))


def require_decided(value: Json, decided: str, *, what: str) -> None:
    """Raise `NotAsDecided` unless this is the very data that was decided; what would use it has not run then."""
    found = value_digest(value)
    if found != decided:
        raise NotAsDecided(
            f"{what} was not run: its data ({found}) is not what was decided ({decided}). A decision holds for the "
            "data it was made about and no other; ask again"
        )
