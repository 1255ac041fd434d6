"""Standing approvals: made from a request after a look at what they would mean, listed, revoked."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from agentflow.approvals.terms import covers, in_words, terms_of, terms_schema
from agentflow.durations import duration
from agentflow.errors import InvalidSetting
from agentflow.records import Approval, Standing
from approvals_ui.access import caller_of, needs
from approvals_ui.caller import Caller
from approvals_ui.desk import Desk
from approvals_ui.forms import first, submission_of
from approvals_ui.problems import Refused
from approvals_ui.terms import Always, always_of
from approvals_ui.views import Asked, page

MOST: Final = 200


@dataclass(frozen=True, slots=True)
class Listed:
    """A standing approval in words."""

    one: Standing
    words: str
    state: str
    tone: str


class StandingPages(Controller):
    """`/standing`, and what the form on a decision page posts to."""

    include_in_schema = False
    opt = needs("approvals:read")

    @get("/standing")
    async def listing(self, request: Asked, desk: NamedDependency[Desk]) -> Response[str]:
        """Every standing approval, those that hold first."""
        now = desk.client.now()
        found = [listed(one, now) for one in await desk.client.standings(limit=MOST)]
        ordered = sorted(found, key=lambda one: not one.one.holds_at(now))
        return await page(request, desk, "standings.html", standings=ordered)

    @post("/standing/{standing_id:str}/revoke", opt=needs("approvals:decide"))
    async def revoke(
        self, desk: NamedDependency[Desk], caller: NamedDependency[Caller], standing_id: FromPath[str]
    ) -> Redirect:
        """It decides nothing more."""
        revoked = await desk.client.revoke_standing(standing_id, by=caller.name)
        return Redirect(f"/standing#{revoked.id}", status_code=303)

    @post("/approvals/{approval_id:str}/standing", status_code=200, opt=needs("approvals:decide"))
    async def make(self, request: Asked, desk: NamedDependency[Desk], approval_id: FromPath[str]) -> Response[Any]:
        """Say in words what would be approved without asking, and make it once that was looked at."""
        approval = await desk.client.approval(approval_id)
        submission = await submission_of(request)
        always = always_of(approval, submission)
        if always is None:
            raise Refused(409, "No standing approval can be made from this request. Nothing was made.")
        try:
            return await _made(request, desk, approval, always, standing_id=first(submission, "standing_id"))
        except InvalidSetting as error:
            return await _again(request, desk, approval, submission, str(error))


async def _made(request: Asked, desk: Desk, approval: Approval, always: Always, *, standing_id: str) -> Response[Any]:
    terms, most_uses, span = always.terms, always.most_uses, always.span
    if not always.reason.strip():
        raise InvalidSetting("say why: whoever reads it later needs the reason")
    if not standing_id:
        back = await desk.client.backtest(approval.task, approval.tool, terms)
        covered = covers(terms_schema(terms), json.loads(approval.data))
        shown: dict[str, Any] = {"always": always, "back": back, "words": in_words(terms), "is_covered": covered}
        shown["expires_at"] = desk.client.now() + duration(span)
        shown["standing_id"] = desk.client.new_standing_id()
        return await page(request, desk, "standing_review.html", approval=approval, **shown)
    made = await desk.client.add_standing(
        approval.task,
        approval.tool,
        terms,
        by=caller_of(request).name,
        reason=always.reason,
        hold_for=span,
        most_uses=most_uses,
        approval_id=approval.id,
        id=standing_id,
    )
    return Redirect(f"/standing#{made.id}", status_code=303)


async def _again(request: Asked, desk: Desk, approval: Approval, sent: Any, problem: str) -> Response[str]:
    """The form alone, with what is wrong with it and all that was typed."""
    always = always_of(approval, sent, problem=problem)
    return await page(request, desk, "standing_form.html", status=422, approval=approval, always=always)


def listed(one: Standing, now: datetime) -> Listed:
    """A standing approval with its terms and state in words."""
    words = in_words(terms_of(json.loads(one.terms)))
    if one.revoked_at is not None:
        return Listed(one, words, "Revoked", "neutral")
    if now >= one.expires_at:
        return Listed(one, words, "Expired", "neutral")
    if not one.holds_at(now):
        return Listed(one, words, "Used up", "neutral")
    ends_soon = one.expires_at - now < timedelta(hours=1)
    return Listed(one, words, "Holds", "warn" if ends_soon else "good")
