"""/api/v1/standing: decisions made ahead."""

from functools import partial
from typing import Any, Final

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from agentflow.errors import (
    ApprovalNotFound,
    IdempotencyMismatch,
    InvalidDuration,
    InvalidSetting,
    StandingNotFound,
)
from approvals_ui.api.endpoint import endpoint, reply
from approvals_ui.api.reading import body_of, query_of
from approvals_ui.api.shapes.approvals import (
    BackTestView,
    NewStanding,
    StandingList,
    StandingsQuery,
    StandingView,
    Terms,
    asked_terms,
    backtest_view,
    standing_view,
)
from approvals_ui.caller import Caller
from approvals_ui.desk import Desk
from approvals_ui.views import Asked

about = partial(endpoint, tag="standing approvals")
CALLS: Final[dict[str, Any]] = {
    "task": "support",
    "tool": "issue_refund",
    "terms": [{"name": "amount", "kind": "at_most", "value": 50}, {"name": "order", "kind": "any"}],
}


class StandingEndpoints(Controller):
    """Standing approvals."""

    path = "/standing"

    @get(
        opt=about(
            "listStandingApprovals",
            "List standing approvals",
            scope="approvals:read",
            query=StandingsQuery,
            gives=StandingList,
        )
    )
    async def listing(self, request: Asked, desk: NamedDependency[Desk]) -> Response[bytes]:
        """Standing approvals, newest first."""
        asked = query_of(request, StandingsQuery)
        now = desk.client.now()
        found = await desk.client.standings(holding=asked.holding, limit=asked.limit)
        return reply(StandingList(items=[standing_view(one, holds=one.holds_at(now)) for one in found]))

    @post(
        opt=about(
            "makeStandingApproval",
            "Make a standing approval",
            scope="approvals:decide",
            takes=NewStanding,
            gives={201: StandingView},
            said={201: "It is made, and holds from now on."},
            raises=(InvalidSetting, InvalidDuration, ApprovalNotFound, IdempotencyMismatch),
            examples={
                "small refunds": CALLS | {"reason": "small refunds are routine", "hold_for": "7d", "most_uses": 20}
            },
        )
    )
    async def make(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller]
    ) -> Response[bytes]:
        """Have calls of a tool whose arguments meet the terms ask nobody, for 30 days at most.

        A call with an argument no term is about asks as before, and so does one of critical risk.
        """
        asked = await body_of(request, NewStanding)
        made = await desk.client.add_standing(
            asked.task,
            asked.tool,
            asked_terms(asked.terms),
            by=caller.name,
            reason=asked.reason,
            hold_for=asked.hold_for,
            most_uses=asked.most_uses,
            approval_id=asked.approval_id,
            id=asked.id,
        )
        view = standing_view(made, holds=made.holds_at(desk.client.now()))
        return reply(view, status=201, location=f"/standing/{made.id}")

    @post(
        "/backtest",
        status_code=200,
        opt=about(
            "backtestTerms",
            "Try terms",
            scope="approvals:read",
            takes=Terms,
            gives=BackTestView,
            raises=(InvalidSetting,),
            examples={"small refunds": CALLS},
        ),
    )
    async def backtest(self, request: Asked, desk: NamedDependency[Desk]) -> Response[bytes]:
        """What such terms would have approved of the last 200 calls that people decided. Nothing is made."""
        asked = await body_of(request, Terms)
        return reply(backtest_view(await desk.client.backtest(asked.task, asked.tool, asked_terms(asked.terms))))

    @get(
        "/{standing_id:str}",
        opt=about(
            "getStandingApproval",
            "Get a standing approval",
            scope="approvals:read",
            gives=StandingView,
            raises=(StandingNotFound,),
        ),
    )
    async def one(self, desk: NamedDependency[Desk], standing_id: FromPath[str]) -> Response[bytes]:
        """One standing approval, its terms in words too."""
        found = await desk.client.standing(standing_id)
        return reply(standing_view(found, holds=found.holds_at(desk.client.now())))

    @post(
        "/{standing_id:str}/revoke",
        status_code=200,
        opt=about(
            "revokeStandingApproval",
            "Revoke a standing approval",
            scope="approvals:decide",
            gives=StandingView,
            raises=(StandingNotFound,),
        ),
    )
    async def revoke(
        self, desk: NamedDependency[Desk], caller: NamedDependency[Caller], standing_id: FromPath[str]
    ) -> Response[bytes]:
        """It decides nothing more; what it has decided stands. Once revoked, asking again changes nothing."""
        return reply(standing_view(await desk.client.revoke_standing(standing_id, by=caller.name), holds=False))
