"""/api/v1/approvals: read requests and answer them."""

from typing import Annotated

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET

from agentflow.client import UNCHANGED
from approvals_ui.api.shapes import ApprovalPage, ApprovalView, NewDecision, Receipt, approval_view, receipt
from approvals_ui.desk import Desk


class ApprovalEndpoints(Controller):
    """Approvals."""

    path = "/approvals"
    tags = ("approvals",)

    @get(operation_id="listApprovals")
    async def listing(
        self,
        *,
        desk: NamedDependency[Desk],
        pending: FromQuery[bool | None] = None,
        run: FromQuery[str | None] = None,
        q: FromQuery[str | None] = None,
        cursor: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    ) -> ApprovalPage:
        """Requests: `pending=true` by urgency, `pending=false` the decided ones, newest first."""
        found = await desk.client.approvals(pending=pending, run_id=run, search=q, cursor=cursor, limit=limit)
        return ApprovalPage(items=[approval_view(one) for one in found.items], next_cursor=found.next_cursor)

    @get("/{approval_id:str}", operation_id="getApproval")
    async def one(self, desk: NamedDependency[Desk], approval_id: FromPath[str]) -> ApprovalView:
        """One request."""
        return approval_view(await desk.client.approval(approval_id))

    @post("/{approval_id:str}/decisions", operation_id="decide")
    async def decide(
        self, desk: NamedDependency[Desk], approval_id: FromPath[str], data: JSONBody[NewDecision]
    ) -> Response[Receipt]:
        """Answer the request. 201: recorded, and its run goes on; 200: this very decision had been recorded before.

        409 somebody else was first, 410 expired, 412 the request has changed, 422 the data does not fit.
        """
        decision = await desk.client.decide(
            approval_id,
            data.verdict,
            by=desk.reviewer,
            channel="api",
            comment=data.comment,
            data=UNCHANGED if data.data is UNSET else data.data,
            decision_id=data.decision_id,
            expected_version=data.version,
        )
        return Response(receipt(decision), status_code=200 if decision.repeated else 201)
