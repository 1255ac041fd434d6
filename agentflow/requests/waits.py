"""Waits and approvals to be opened, and decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from agentflow.states import Verdict, WaitKind


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApproval:
    """An approval to be opened. Payloads are JSON text; `timeout` counts from the store's clock when it opens.

    `tool` names the tool that will be called with the data, where that is what is asked about, and `said` is what the
    agent says of it. With `standing` the store decides it at once by that standing approval, if it still holds.
    """

    id: str
    title: str
    summary: str
    body: str
    reason: str
    risk: str
    priority: int
    confidence: float | None
    field_confidence: str
    evidence: str
    tags: str
    allow: Sequence[Verdict]
    data: str
    schema: str
    digest: str
    timeout: timedelta | None
    on_timeout: str
    default: str | None
    tool: str = ""
    said: str = ""
    standing: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWait:
    """A wait to be opened under `key`; `subject` is the approval, child run, event or callback it is for.

    Of events those count that were sent from `since` on; None stands for when the run (or what it forks) began.
    """

    key: str
    kind: WaitKind
    subject: str | None = None
    due_at: datetime | None = None
    approval: NewApproval | None = None
    replaces: str | None = None
    detail: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """A person's decision. `id` is chosen by the caller: the same id again is the same decision, not a second one.

    `final` is the JSON text of the corrected data, or None where the data stands as the task proposed it.
    """

    id: str
    approval_id: str
    verdict: Verdict
    decided_by: str
    channel: str
    comment: str = ""
    final: str | None = None
    expected_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendEvent:
    """An event to be stored and then matched. The same id again is the same event, not a second one."""

    id: str
    name: str
    key: str
    payload: str
    sent_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveEvents:
    """The messages of one name and key that the run has not had yet, up to `limit`.

    Until it has had one, those count that were sent from `since` on, as in `OpenWait`.
    """

    name: str
    key: str
    limit: int
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCallback:
    """A callback to be made, with the digest of the token that another system will name it by."""

    id: str
    key: str
    token_digest: str
    timeout: timedelta | None
    heartbeat_for: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveCallback:
    """What another system says of a callback: `output` if it succeeded, `error` if it failed."""

    token_digest: str
    output: str | None = None
    error: str | None = None


def event_subject(name: str, key: str) -> str:
    """What a wait for an event waits for; a name has no colon."""
    return f"{name}:{key}"
