"""What became of an operation that runs at most once and was cut off, asked of its lookup, as an operation within."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow.errors import DefinitionError
from agentflow.payloads import decode, record
from agentflow.runtime.operations.leaf import InStep
from agentflow.runtime.operations.performing import Work, perform
from agentflow.runtime.scope import Scope
from agentflow.runtime.scoping import alone
from agentflow.runtime.signals import Ambiguous
from agentflow.tasks.lookup import NOT_DONE, Done

if TYPE_CHECKING:
    from agentflow.records import Entry
    from agentflow.tasks.step import Step

HAPPENED, DID_NOT, UNKNOWN = "done", "not_done", "unknown"


async def look_up(work: Work, lookup: Step[..., Any], scope: Scope, started: Entry) -> Done[Any] | None:
    """What the operation gave if it had happened, None if it had not.

    Raises `Suspend` where the lookup cannot tell or fails: the run needs attention then.
    """
    key = started.key or ""
    inner = Scope(scope.turn, key, scope.branch)
    inner.enter()
    asking = _asking(work, lookup, inner)
    for earlier in scope.turn.index.order.get(key, ()):
        if earlier.final is not None and earlier.final.seq < started.seq:
            inner.ask(asking.name, asking.operation)  # an answer about an earlier start
    try:
        said, text = await perform(inner, asking)
    except Exception as error:
        raise scope.turn.stop(
            Ambiguous(key=key, because=f"its lookup failed ({type(error).__name__}: {error})")
        ) from error
    if said == UNKNOWN:
        raise scope.turn.stop(Ambiguous(key=key, because="its lookup could not tell either"))
    return Done(decode(text, work.result)) if said == HAPPENED else None


def _asking(work: Work, lookup: Step[..., Any], inner: Scope) -> Work:
    async def call(key: str, attempt: int) -> list[str]:
        return _said(await alone(InStep(inner, key, attempt), lookup, work.args, work.kwargs), lookup, work)

    asking = Work.of_step(lookup, call, work.args, work.kwargs)
    asking.result = list[str]
    return asking


def _said(found: Any, lookup: Step[..., Any], work: Work) -> list[str]:
    """The answer as two texts, the second of which is the encoded result of the operation that was asked about."""
    if isinstance(found, Done):
        return [HAPPENED, record(found.value, work.result, of=work.name)[0]]
    if found is NOT_DONE or found is None:
        return [DID_NOT if found is NOT_DONE else UNKNOWN, ""]
    raise DefinitionError(f"lookup {lookup.name} returned {found!r}: wanted Done(result), NOT_DONE, or None")
