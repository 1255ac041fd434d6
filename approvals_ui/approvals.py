"""The decision page: what is asked, what the reviewer made of it, and what became of it."""

from typing import Any

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from agentflow.approvals import Problem
from agentflow.client import UNCHANGED
from agentflow.errors import Conflict, InvalidDecision, StoreUnavailable
from agentflow.records import Approval
from agentflow.states import Verdict
from approvals_ui.access import caller_of, needs
from approvals_ui.actions import acted
from approvals_ui.desk import Desk
from approvals_ui.drafts import Draft
from approvals_ui.forms import first, submission_of
from approvals_ui.outcomes import outcome_context
from approvals_ui.problems import STATUS_OF
from approvals_ui.surroundings import surroundings
from approvals_ui.views import Asked, fragment, page

NOT_RECORDED = "The database went away over your decision and has not recorded it. Send it again: it counts once."


class ApprovalPages(Controller):
    """`/approvals/{id}` and what its form posts to."""

    path = "/approvals"
    include_in_schema = False
    opt = needs("approvals:read")

    @get("/{approval_id:str}")
    async def one(self, request: Asked, desk: NamedDependency[Desk], approval_id: FromPath[str]) -> Response[str]:
        """The request with its form, or what was decided."""
        approval = await desk.client.approval(approval_id)
        part = request.query_params.get("fragment")
        if part == "preview":
            return fragment(request, desk, "preview.html", approval=approval, draft=Draft(approval))
        if not approval.is_pending:
            context = await outcome_context(desk.client, approval)
            if part:
                return fragment(request, desk, "outcome.html", approval=approval, **context)
            around = await surroundings(desk.client, approval)
            return await page(request, desk, "approval_decided.html", approval=approval, **context, **around)
        if part:
            return fragment(request, desk, "undecided.html", approval=approval)
        return await _asked(request, desk, Draft(approval))

    @post("/{approval_id:str}/decisions", status_code=200, opt=needs("approvals:decide"))
    async def decide(self, request: Asked, desk: NamedDependency[Desk], approval_id: FromPath[str]) -> Response[Any]:
        """Record the decision, or show what is still missing for it: nothing else is stored."""
        approval = await desk.client.approval(approval_id)
        submission = await submission_of(request)
        draft = Draft(approval, submission)
        if action := first(submission, "action"):
            return await _asked(request, desk, acted(draft, action))
        if not approval.is_pending and first(submission, "decision_id") != approval.decision_id:
            return await _too_late(request, desk, draft, None)
        if first(submission, "verdict") == Verdict.REJECT:
            return await _reject(request, desk, draft)
        return await _accept(request, desk, draft)

    @post("/{approval_id:str}/preview", status_code=200)
    async def preview(self, request: Asked, desk: NamedDependency[Desk], approval_id: FromPath[str]) -> Response[str]:
        """The changes as typed so far, for the panel beside the form. Nothing is stored."""
        draft = Draft(await desk.client.approval(approval_id), await submission_of(request))
        return fragment(request, desk, "changes.html", draft=draft)


async def _reject(request: Asked, desk: Desk, draft: Draft) -> Response[Any]:
    if not draft.comment:
        problem = "A rejection needs a reason: the run, and whoever reads it later, gets it."
        return await _asked(request, desk, Draft(draft.approval, draft.submission, comment_problem=problem), status=422)
    return await _record(request, desk, draft, Verdict.REJECT)


async def _accept(request: Asked, desk: Desk, draft: Draft) -> Response[Any]:
    if draft.problems:
        return await _asked(request, desk, draft, status=422)
    wants_review = first(draft.submission or {}, "verdict") not in (Verdict.APPROVE, Verdict.CORRECT)
    if wants_review or not draft.is_reviewed:
        around = await surroundings(desk.client, draft.approval)
        return await page(request, desk, "approval_review.html", approval=draft.approval, draft=draft, **around)
    return await _record(request, desk, draft, Verdict.CORRECT if draft.is_changed else Verdict.APPROVE)


async def _record(request: Asked, desk: Desk, draft: Draft, verdict: Verdict) -> Response[Any]:
    approval = draft.approval
    try:
        await desk.client.decide(
            approval.id,
            verdict,
            by=caller_of(request).name,
            channel="web",
            comment=draft.comment,
            data=draft.value if verdict is Verdict.CORRECT else UNCHANGED,
            decision_id=draft.decision_id,
            expected_version=draft.version,
        )
    except InvalidDecision as error:
        found = [Problem(pointer=one.field, message=f"must be {one.wanted}; found {one.found}") for one in error.errors]
        return await _asked(request, desk, Draft(approval, draft.submission, extra_problems=found), status=422)
    except Conflict as error:
        latest = await desk.client.approval(approval.id)
        return await _too_late(request, desk, Draft(latest, draft.submission), error)
    except StoreUnavailable as error:
        if not error.may_be_stored:
            raise
        return await _as_it_stands(request, desk, draft, error)
    return Redirect(f"/approvals/{approval.id}", status_code=303)


async def _as_it_stands(request: Asked, desk: Desk, draft: Draft, error: StoreUnavailable) -> Response[Any]:
    """Nobody knows whether the decision was stored: look. The form sent again is the same decision, never a second."""
    try:
        latest = await desk.client.approval(draft.approval.id)
    except StoreUnavailable:
        raise error from None
    if latest.is_pending:
        again = Draft(latest, draft.submission, note=NOT_RECORDED)
        return await _asked(request, desk, again, status=503)
    if latest.decision_id != draft.decision_id:
        return await _too_late(request, desk, Draft(latest, draft.submission), None)
    return Redirect(f"/approvals/{latest.id}", status_code=303)


async def _asked(request: Asked, desk: Desk, draft: Draft, *, status: int = 200) -> Response[str]:
    around = await surroundings(desk.client, draft.approval)
    context = {"approval": draft.approval, "draft": draft, "form": draft.form, **around}
    return await page(request, desk, "approval.html", status=status, **context)


async def _too_late(request: Asked, desk: Desk, draft: Draft, error: Conflict | None) -> Response[str]:
    """Somebody, or time, was first. The draft is shown beside what ran, so that nothing typed is lost."""
    approval: Approval = draft.approval
    status = 409 if error is None else next(code for kind, code in STATUS_OF.items() if isinstance(error, kind))
    if approval.is_pending:
        return await _stale(request, desk, draft, status)
    if error is None and approval.status == "timed_out":
        status = 410
    context = await outcome_context(desk.client, approval)
    around = await surroundings(desk.client, approval)
    return await page(
        request, desk, "approval_conflict.html", status=status, approval=approval, draft=draft, **context, **around
    )


async def _stale(request: Asked, desk: Desk, draft: Draft, status: int) -> Response[str]:
    """The request changed under the reviewer: the same form against the newer request, to be looked at again."""
    sent = {name: values for name, values in (draft.submission or {}).items() if name not in ("version", "reviewed")}
    again = Draft(draft.approval, sent)
    around = await surroundings(desk.client, draft.approval)
    context = {"approval": draft.approval, "draft": again, "form": again.form, "is_stale": True, **around}
    return await page(request, desk, "approval.html", status=status, **context)
