"""The router of the API."""

from typing import Final

from litestar import Router

from approvals_ui.api.approvals import ApprovalEndpoints
from approvals_ui.api.callbacks import CallbackEndpoints
from approvals_ui.api.deliveries import DeliveryEndpoints
from approvals_ui.api.endpoint import PREFIX
from approvals_ui.api.events import EventEndpoints
from approvals_ui.api.following import FollowingEndpoints
from approvals_ui.api.queues import QueueEndpoints
from approvals_ui.api.reading import checked
from approvals_ui.api.runs import RunEndpoints
from approvals_ui.api.schedules import ScheduleEndpoints
from approvals_ui.api.spending import SumEndpoints
from approvals_ui.api.standing import StandingEndpoints
from approvals_ui.api.steering import SteeringEndpoints
from approvals_ui.api.subscriptions import SubscriptionEndpoints
from approvals_ui.api.tasks import TaskEndpoints
from approvals_ui.api.tokens import TokenEndpoints

ENDPOINTS: Final = (
    RunEndpoints,
    FollowingEndpoints,
    SteeringEndpoints,
    TaskEndpoints,
    ApprovalEndpoints,
    StandingEndpoints,
    EventEndpoints,
    ScheduleEndpoints,
    DeliveryEndpoints,
    SubscriptionEndpoints,
    QueueEndpoints,
    SumEndpoints,
    TokenEndpoints,
    CallbackEndpoints,
)


def api() -> Router:
    """Everything under the prefix; each request is checked before an endpoint reads it."""
    return Router(path=PREFIX, route_handlers=list(ENDPOINTS), before_request=checked)
