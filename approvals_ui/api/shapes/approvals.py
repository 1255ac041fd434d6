"""Requests for decisions, decisions, and standing approvals."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from agentflow.approvals.terms import Term, TermKind, in_words, terms_of
from agentflow.records import Approval, BackTest, Decision, Standing
from agentflow.states import ApprovalStatus, Verdict
from approvals_ui.api.fields import (
    LARGEST,
    LONGEST_COMMENT,
    ApprovalId,
    Asked,
    Count,
    Cursor,
    DecisionId,
    Digest,
    Instant,
    Json,
    Key,
    Limit,
    Reason,
    RunId,
    Search,
    Span,
    StandingId,
    TaskId,
    Text,
    Told,
    Who,
)
from approvals_ui.api.shapes.reading import parsed, same

Comment = Annotated[str, Meta(max_length=LONGEST_COMMENT, examples=["checked with the supplier"])]
ToolName = Annotated[str, Meta(min_length=1, max_length=200, examples=["issue_refund"])]


class ApprovalsQuery(Asked):
    """Which requests: with `pending=true` those that want a decision, with `pending=false` the others."""

    pending: bool | None = None
    run: RunId | None = None
    q: Search | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


class NewDecision(Asked):
    """An answer. `data` is the final data; leave it out to accept what was proposed.

    The same `decision_id` again is the same decision. `version` refuses the answer if the request has changed.
    """

    verdict: Verdict
    data: Json | UnsetType = UNSET
    comment: Comment = ""
    decision_id: DecisionId | None = None
    version: Annotated[int, Meta(ge=0, le=LARGEST)] | None = None


class ApprovalView(Told):
    """A request for a decision, and the decision once there is one."""

    id: ApprovalId
    run_id: RunId
    task: TaskId
    key: Key
    status: ApprovalStatus
    title: Text
    summary: str
    body: str
    reason: str
    risk: Annotated[str, Meta(examples=["high"])]
    priority: int
    confidence: Annotated[float, Meta(ge=0, le=1, examples=[0.72])] | None
    field_confidence: Json
    evidence: Json
    tags: Json
    allow: list[Verdict]
    data: Json
    schema: Json
    digest: Digest
    version: Count
    created_at: Instant
    deadline_at: Instant | None
    decided_at: Instant | None
    decided_by: Who | None
    channel: Annotated[str, Meta(examples=["api"])] | None
    comment: str
    final: Json
    patch: Json
    decision_id: DecisionId | None
    tool: Annotated[str, Meta(examples=["issue_refund"], description='The tool that will be called, "" for none.')]
    standing_id: StandingId | None


class ApprovalPage(Told):
    """Some requests; pending ones by urgency, decided ones newest first. `next_cursor` fetches what follows."""

    items: list[ApprovalView]
    next_cursor: Cursor | None


class Receipt(Told):
    """A recorded decision. `repeated` if this very decision had been recorded before."""

    id: DecisionId
    approval_id: ApprovalId
    run_id: RunId
    verdict: Verdict
    outcome: ApprovalStatus
    decided_by: Who
    comment: str
    final: Json
    final_digest: Digest | None
    decided_at: Instant
    repeated: bool


class TermView(Asked):
    """What one argument may be: `any`, `is` the value, `at_most` a number, or `one_of` a list of values."""

    name: Annotated[str, Meta(min_length=1, max_length=200, examples=["amount"])]
    kind: TermKind
    value: Json = None


class Terms(Asked):
    """Which calls of a tool are meant: those whose arguments meet these terms, and that have no other argument."""

    task: TaskId
    tool: ToolName
    terms: Annotated[list[TermView], Meta(max_length=100)]


class NewStanding(Terms):
    """A standing approval to be made. The same `id` again, one of ours, is the same standing approval."""

    reason: Annotated[str, Meta(min_length=1, max_length=500, examples=["small refunds are routine"])]
    hold_for: Span
    most_uses: Annotated[int, Meta(ge=1, le=LARGEST)] | None = None
    approval_id: ApprovalId | None = None
    id: StandingId | None = None


class StandingsQuery(Asked):
    """Which standing approvals: with `holding` only those that may decide now."""

    holding: bool = False
    limit: Limit = 50


class StandingView(Told):
    """A standing approval. Once revoked, expired or used up it decides nothing more."""

    id: StandingId
    task: TaskId
    tool: ToolName
    terms: list[TermView]
    words: Annotated[str, Meta(examples=["where amount is a number from 0 to 50"])]
    made_by: Who
    reason: Reason
    approval_id: ApprovalId | None
    most_uses: Count | None
    uses: Count
    created_at: Instant
    expires_at: Instant
    revoked_at: Instant | None
    revoked_by: Who | None
    holds: bool


class StandingList(Told):
    """Standing approvals, newest first."""

    items: list[StandingView]


class BackTestView(Told):
    """What terms would have approved of the last `looked_at` calls, and what people said of those."""

    looked_at: Count
    covered: Count
    approved: Count
    corrected: Count
    rejected: Count


def approval_view(approval: Approval) -> ApprovalView:
    """The request as the API shows it."""
    texts = ("field_confidence", "evidence", "tags", "data", "schema", "final", "patch")
    parts: dict[str, Any] = {name: parsed(getattr(approval, name)) for name in texts}
    return ApprovalView(**same(ApprovalView, approval, "allow", *texts), allow=list(approval.allowed), **parts)


def receipt(decision: Decision) -> Receipt:
    """The recorded decision as the API shows it."""
    return Receipt(**same(Receipt, decision, "final"), final=parsed(decision.final))


def asked_terms(terms: list[TermView]) -> list[Term]:
    """The terms as they were asked for."""
    return [Term(one.name, one.kind, one.value) for one in terms]


def standing_view(standing: Standing, *, holds: bool) -> StandingView:
    """The standing approval as the API shows it."""
    terms = terms_of(parsed(standing.terms))
    return StandingView(
        **same(StandingView, standing, "terms", "words", "holds"),
        terms=[TermView(name=one.name, kind=one.kind, value=one.value) for one in terms],
        words=in_words(terms),
        holds=holds,
    )


def backtest_view(found: BackTest) -> BackTestView:
    """The back-test as the API shows it."""
    return BackTestView(**same(BackTestView, found))
