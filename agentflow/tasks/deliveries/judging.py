"""Whether an authentic request starts a run, and of what input: it is read, `where` is asked, `input` maps it."""

from __future__ import annotations

import asyncio
import inspect
import json
from dataclasses import dataclass
from datetime import timedelta
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, Final, TypeVar

from agentflow.durations import describe
from agentflow.errors import AgentflowError, FieldProblem, InvalidInput
from agentflow.requests import ReceiveDelivery
from agentflow.states import DeliveryOutcome
from agentflow.tasks.deliveries.keeping import by_name, kept_headers, text_of
from agentflow.tasks.deliveries.reading import Unfit, payload_of
from agentflow.tasks.payload_functions import mapped_input, payload_input
from agentflow.tasks.webhook import Received
from agentflow.verifiers.base import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from agentflow.requests import TriggerRun
    from agentflow.tasks.payload_functions import PayloadFunction
    from agentflow.tasks.task import Task
    from agentflow.tasks.webhook import Webhook

Made = TypeVar("Made")
LONGEST_CALL: Final = timedelta(seconds=10)
"""How long an `async` function may look at a request whose sender waits."""
LONGEST_TEXT: Final = 4000
NOT_WANTED: Final = "the payload is not one that this address can use"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """An authentic request: its delivery id, every header line, and the body byte for byte."""

    id: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    received_at: datetime


async def judge(webhook: Webhook, task: Task[..., Any], delivered: Delivered) -> ReceiveDelivery:
    """What is to be stored of this request: with the run it starts, or why it starts none. Raises nothing for it.

    The headers of one that was stored are what is left of them, and may come here again.
    """
    kept = kept_headers(delivered.headers, webhook.verifier.hidden)
    run, reason, detail = None, None, None
    try:
        run = await _run_of(webhook, task, _received(webhook, delivered, kept))
        outcome = DeliveryOutcome.STARTED if run is not None else DeliveryOutcome.IGNORED
    except Unfit as unfit:
        outcome, reason, detail = DeliveryOutcome.REFUSED, _storable(unfit.reason), _storable(unfit.detail)
    text, encoding = text_of(delivered.body)
    return ReceiveDelivery(
        webhook=webhook.path,
        delivery_id=delivered.id,
        digest=digest_of(delivered.body),
        headers=json.dumps(kept),
        body=text,
        encoding=encoding,
        outcome=outcome,
        reason=reason,
        detail=detail,
        run=run,
    )


def _storable(text: str) -> str:
    """The text as every database keeps it: what was sent, and is quoted in it, may hold what some of them do not."""
    return text[:LONGEST_TEXT].encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def _received(webhook: Webhook, delivered: Delivered, kept: Sequence[tuple[str, str]]) -> Received:
    headers = by_name(kept)
    payload = payload_of(delivered.body, content_type=headers.get("content-type", ""), max_depth=webhook.max_depth)
    return Received(id=delivered.id, headers=headers, payload=payload, received_at=delivered.received_at)


async def _run_of(webhook: Webhook, task: Task[..., Any], received: Received) -> TriggerRun | None:
    """The run it starts; None if it is to start none. Raises `Unfit`."""
    if webhook.where is not None and not await _asked(webhook.where, received, task):
        return None
    if webhook.input is None:
        encoded = _unmapped(task, received.payload)
    else:
        mapped = await _asked(webhook.input, received, task)
        encoded = _ours(lambda: mapped_input(task, mapped), f"what {webhook.input.name} gave")
    return _ours(lambda: task.request(encoded, origin=f"webhook {webhook.path}"), "the input")


def _unmapped(task: Task[..., Any], payload: Any) -> str:
    """The input that the payload is by itself: what does not fit is the sender's to know."""
    try:
        return payload_input(task, payload)
    except InvalidInput as error:
        raise _misfit(error, is_member=len(task.signature.parameters) == 1) from error
    except AgentflowError as error:  # larger than an input may be, say
        raise Unfit(NOT_WANTED, str(error)) from error


def _ours(made: Callable[[], Made], what: str) -> Made:
    """What a function of ours makes of what the user's code gave; the sender is not told of that code."""
    try:
        return made()
    except AgentflowError as error:
        raise Unfit(NOT_WANTED, f"{what} is refused: {error}") from error


async def _asked(function: PayloadFunction, received: Received, task: Task[..., Any]) -> Any:
    """What the user's function says of the request. It reads a stranger's text: what it cannot read does not fit."""
    try:
        async with asyncio.timeout(LONGEST_CALL.total_seconds()):
            given = function.call(received.payload, received, task=task.id)
            return await given if inspect.isawaitable(given) else given
    except InvalidInput as error:
        raise _misfit(error, is_member=True) from error
    except TimeoutError as error:
        raise Unfit(NOT_WANTED, f"{function.name} took longer than {describe(LONGEST_CALL)}") from error
    except Exception as error:
        raise Unfit(NOT_WANTED, f"{function.name} raised {_said(error)}") from error


def _misfit(error: InvalidInput, *, is_member: bool) -> Unfit:
    """`is_member` where the payload was checked as the value of a parameter, whose name the sender does not know."""
    found = [_of_payload(one) if is_member else one for one in error.errors]
    return Unfit(f"the payload does not fit: {'; '.join(map(str, found))}", str(error))


def _of_payload(problem: FieldProblem) -> FieldProblem:
    _, _, below = problem.field.removeprefix("/").partition("/")
    return FieldProblem(field=f"/{below}" if below else "", found=problem.found, wanted=problem.wanted)


def _said(error: Exception) -> str:
    places = extract_tb(error.__traceback__)
    where = f", at {places[-1].filename}:{places[-1].lineno}" if places else ""
    return f"{type(error).__name__}: {str(error)[:1000]}{where}"
