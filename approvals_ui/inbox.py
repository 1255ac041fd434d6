"""The inbox: what waits for a decision, most urgent first, and what was decided."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Redirect

from agentflow.records import Approval
from approvals_ui.access import SIGNED_IN, needs
from approvals_ui.caller import Caller
from approvals_ui.desk import Desk
from approvals_ui.drafts import Draft
from approvals_ui.views import Asked, fragment, page

PAGE_SIZE: Final = 50
HOMES: Final = (
    ("approvals:read", "/inbox"),
    ("runs:read", "/runs"),
    ("queues:read", "/queues"),
    ("costs:read", "/costs"),
    ("schedules:read", "/schedules"),
    ("webhooks:read", "/webhooks"),
    ("tokens:write", "/tokens"),
)
OVERDUE, TODAY, LATER = "Overdue", "Due within a day", "Later"
SAMPLE: Final = """from agentflow import task, wait_for_approval

decision = await wait_for_approval(draft, title="Invoice 4711", timeout="24h")
await pay(decision.data)  # runs once somebody here has approved, perhaps with corrections"""


class InboxPages(Controller):
    """`/` and `/inbox`."""

    include_in_schema = False
    opt = needs("approvals:read")

    @get("/", opt=needs(SIGNED_IN))
    async def home(self, caller: NamedDependency[Caller]) -> Redirect:
        """The inbox is the first page, or for whoever may not read that the first of the others."""
        return Redirect(next((path for scope, path in HOMES if caller.may(scope)), "/inbox"), status_code=303)

    @get("/inbox")
    async def listing(
        self,
        *,
        request: Asked,
        desk: NamedDependency[Desk],
        tab: FromQuery[str] = "pending",
        q: FromQuery[str] = "",
        cursor: FromQuery[str | None] = None,
        selected: FromQuery[str] = "",
    ) -> Response[str]:
        """Pending requests in groups of urgency, or decided ones, newest first."""
        is_pending = tab != "decided"
        search = q.strip() or None
        found = await desk.client.approvals(pending=is_pending, search=search, cursor=cursor, limit=PAGE_SIZE)
        shown: dict[str, Any] = {
            "approvals": found,
            "groups": groups_of(found.items, desk.client.now()) if is_pending else [("", list(found.items))],
            "tab": "pending" if is_pending else "decided",
            "q": q,
            "cursor": cursor,
            "counts": await desk.client.counts(),
        }
        if request.query_params.get("fragment"):
            return fragment(request, desk, "inbox_rows.html", **shown, is_first_run=False, sample=SAMPLE)
        focused = next((one for one in found.items if one.id == selected), next(iter(found.items), None))
        shown["is_first_run"] = not found.items and not q and await _is_first_run(desk)
        shown.pop("counts")
        return await page(
            request, desk, "inbox.html", **shown, sample=SAMPLE, focused=focused, draft=focused and Draft(focused)
        )


def groups_of(approvals: Iterable[Approval], now: datetime) -> list[tuple[str, list[Approval]]]:
    """The requests under the headings a reviewer plans by; empty ones are left out."""
    groups: dict[str, list[Approval]] = {OVERDUE: [], TODAY: [], LATER: []}
    for approval in approvals:
        if approval.deadline_at is None or approval.deadline_at - now > timedelta(days=1):
            groups[LATER].append(approval)
        else:
            groups[OVERDUE if approval.deadline_at <= now else TODAY].append(approval)
    return [(heading, members) for heading, members in groups.items() if members]


async def _is_first_run(desk: Desk) -> bool:
    """Nothing was ever asked: the page explains how to ask."""
    return not (await desk.client.approvals(pending=None, limit=1)).items
