"""/api/v1/callbacks: where another system answers a run. The token in the address is its right to."""

from functools import partial

from litestar import Controller, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from agentflow.errors import CallbackLapsed, CallbackNotFound, CallbackResolved, NotRecordable, PayloadTooLarge
from approvals_ui.access import OPEN, needs
from approvals_ui.api.endpoint import endpoint, reply
from approvals_ui.api.reading import body_of
from approvals_ui.api.shapes.callbacks import CallbackView, Completion, Failing, SignOfLife, callback_view
from approvals_ui.desk import Desk
from approvals_ui.views import Asked

ANSWERED = (CallbackNotFound, CallbackResolved, CallbackLapsed)
about = partial(endpoint, tag="callbacks", scope=None, gives=CallbackView)


class CallbackEndpoints(Controller):
    """Callbacks."""

    path = "/callbacks/{token:str}"
    opt = needs(OPEN)

    @post(
        "/complete",
        status_code=200,
        opt=about(
            "completeCallback",
            "Complete a callback",
            takes=Completion,
            raises=(*ANSWERED, NotRecordable, PayloadTooLarge),
            examples={"paid": {"result": {"paid": True}}},
        ),
    )
    async def complete(self, request: Asked, desk: NamedDependency[Desk], token: FromPath[str]) -> Response[bytes]:
        """Give the run its result; it goes on at once. The same answer again is no error."""
        asked = await body_of(request, Completion)
        return reply(callback_view(await desk.client.complete_callback(token, asked.result)))

    @post(
        "/fail",
        status_code=200,
        opt=about(
            "failCallback",
            "Fail a callback",
            takes=Failing,
            raises=ANSWERED,
            examples={"unknown": {"error": "no such account"}},
        ),
    )
    async def fail(self, request: Asked, desk: NamedDependency[Desk], token: FromPath[str]) -> Response[bytes]:
        """Tell the run that there will be no result, and why. The same answer again is no error."""
        asked = await body_of(request, Failing)
        return reply(callback_view(await desk.client.fail_callback(token, asked.error)))

    @post(
        "/heartbeat",
        status_code=200,
        opt=about(
            "beatCallback",
            "Keep a callback alive",
            takes=SignOfLife,
            is_body_optional=True,
            raises=(CallbackNotFound, CallbackResolved, CallbackLapsed, NotRecordable, PayloadTooLarge),
            examples={"half": {"details": {"percent": 50}}},
        ),
    )
    async def heartbeat(self, request: Asked, desk: NamedDependency[Desk], token: FromPath[str]) -> Response[bytes]:
        """Say that the work goes on: the callback's heartbeat time begins anew."""
        asked = await body_of(request, SignOfLife)
        return reply(callback_view(await desk.client.beat_callback(token, asked.details)))
