"""What an approval binds: a digest of what will run, and of nothing that only describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.payloads import canonical, digest

if TYPE_CHECKING:
    from agentflow.approvals.pointers import Json, Schema


def schema_digest(schema: Schema) -> str:
    """The name of a schema by its content, "sha256:…"."""
    return digest(canonical(schema))


def approval_digest(*, task: str, key: str, value: Json, schema: Schema) -> str:
    """The digest of the task, the gate's key, the data and its schema: what a person answers for, "sha256:…".

    Titles, summaries and reasons are left out on purpose: rewording them neither renews nor voids an approval.
    """
    bound = {"approval": 1, "data": value, "key": key, "schema": schema_digest(schema), "task": task}
    return digest(canonical(bound))
