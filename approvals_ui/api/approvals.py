"""/api/v1/approvals: read requests and answer them."""

from functools import partial

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import UNSET

from agentflow.client import UNCHANGED
from agentflow.errors import (
    AlreadyDecided,
    ApprovalExpired,
    ApprovalNotFound,
    ApprovalWithdrawn,
    IdempotencyMismatch,
    InvalidDecision,
    InvalidSetting,
    PayloadTooLarge,
    StaleVersion,
)
from approvals_ui.api.endpoint import endpoint, reply
from approvals_ui.api.reading import body_of, query_of
from approvals_ui.api.shapes.approvals import (
    ApprovalPage,
    ApprovalsQuery,
    ApprovalView,
    NewDecision,
    Receipt,
    approval_view,
    receipt,
)
from approvals_ui.caller import Caller
from approvals_ui.desk import Desk
from approvals_ui.views import Asked

about = partial(endpoint, tag="approvals")


class ApprovalEndpoints(Controller):
    """Approvals."""

    path = "/approvals"

    @get(
        opt=about(
            "listApprovals",
            "List approvals",
            scope="approvals:read",
            query=ApprovalsQuery,
            gives=ApprovalPage,
            raises=(InvalidSetting,),
        )
    )
    async def listing(self, request: Asked, desk: NamedDependency[Desk]) -> Response[bytes]:
        """Requests: `pending=true` by urgency, `pending=false` the decided ones, newest first."""
        asked = query_of(request, ApprovalsQuery)
        found = await desk.client.approvals(
            pending=asked.pending, run_id=asked.run, search=asked.q, cursor=asked.cursor, limit=asked.limit
        )
        return reply(ApprovalPage(items=[approval_view(one) for one in found.items], next_cursor=found.next_cursor))

    @get(
        "/{approval_id:str}",
        opt=about(
            "getApproval",
            "Get an approval",
            scope="approvals:read",
            gives=ApprovalView,
            raises=(ApprovalNotFound,),
        ),
    )
    async def one(self, desk: NamedDependency[Desk], approval_id: FromPath[str]) -> Response[bytes]:
        """One request, and the decision once there is one. `schema` is the JSON Schema that its data has to fit."""
        return reply(approval_view(await desk.client.approval(approval_id)))

    @post(
        "/{approval_id:str}/decisions",
        opt=about(
            "decide",
            "Decide",
            scope="approvals:decide",
            takes=NewDecision,
            gives={201: Receipt, 200: Receipt},
            said={201: "The decision is recorded, and its run goes on.", 200: "It had been recorded before."},
            raises=(
                ApprovalNotFound,
                AlreadyDecided,
                ApprovalWithdrawn,
                IdempotencyMismatch,
                ApprovalExpired,
                StaleVersion,
                InvalidDecision,
                PayloadTooLarge,
            ),
            examples={
                "approve": {"verdict": "approve", "comment": "checked"},
                "correct": {
                    "verdict": "correct",
                    "data": {"total": "1250.50"},
                    "decision_id": "dec_mine",
                    "version": 1,
                },
                "reject": {"verdict": "reject", "comment": "no such supplier"},
            },
        ),
    )
    async def decide(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], approval_id: FromPath[str]
    ) -> Response[bytes]:
        """Answer the request, as the holder of the token. The same `decision_id` again is the same decision.

        409 somebody else was first, 410 it is too late, 412 the request has changed, 422 the data does not fit it.
        """
        asked = await body_of(request, NewDecision)
        decision = await desk.client.decide(
            approval_id,
            asked.verdict,
            by=caller.name,
            channel="api",
            comment=asked.comment,
            data=UNCHANGED if asked.data is UNSET else asked.data,
            decision_id=asked.decision_id,
            expected_version=asked.version,
        )
        return reply(receipt(decision), status=200 if decision.repeated else 201)
