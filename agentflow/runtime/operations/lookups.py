"""What became of an operation that runs at most once and was cut off: asked of its lookup, and then of a person.

Both questions are operations within it, recorded with their answers. Those about an earlier start are passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import DefinitionError
from agentflow.payloads import decode, record
from agentflow.runtime.operations.leaf import InStep
from agentflow.runtime.operations.performing import Work, perform
from agentflow.runtime.operations.unknown import QUESTION, ask_whether
from agentflow.runtime.scope import Scope
from agentflow.runtime.scoping import alone
from agentflow.runtime.signals import Ambiguous
from agentflow.states import WaitKind
from agentflow.tasks.lookup import NOT_DONE, Done
from agentflow.tasks.step import ASK

if TYPE_CHECKING:
    from agentflow.records import Entry
    from agentflow.tasks.lookup import Found
    from agentflow.tasks.step import Step

HAPPENED, DID_NOT, UNKNOWN = "done", "not_done", "unknown"
_UNTOLD: Final = Done(object())


async def look_up(work: Work, step: Step[..., Any], scope: Scope, started: Entry, because: str = "") -> Found:
    """What the operation gave if it had happened, None if it had not, `NOT_DONE` where a person says to do it now.

    Raises `Suspend` where the lookup cannot tell or fails, until a person has been asked; without `on_unknown="ask"`
    the run needs attention then. Raises `OutcomeUnknown` if the person says to stop.
    """
    key = started.key or ""
    inner = Scope(scope.turn, key, scope.branch)
    inner.enter()
    _pass_over(inner, step, started)
    cause: Exception | None = None
    if step.lookup is not None:
        try:
            found = await _looked_up(work, step.lookup, inner)
        except Exception as error:  # noqa: BLE001  whatever keeps a lookup from telling, a person can
            because, cause = f"its lookup failed ({type(error).__name__}: {error})", error
        else:
            if found is not _UNTOLD:
                return found
            because = "its lookup could not tell either"
    if step.on_unknown == ASK:
        return await ask_whether(work, inner, started, because)
    raise scope.turn.stop(Ambiguous(key=key, because=because)) from cause


def _pass_over(inner: Scope, step: Step[..., Any], started: Entry) -> None:
    """Ask again for what is recorded about earlier starts, so that what comes next is about this one."""
    for earlier in inner.turn.index.order.get(inner.path, ()):
        answer = earlier.final or earlier.resolved
        if answer is None or answer.seq > started.seq:
            continue
        if earlier.operation == WaitKind.APPROVAL:
            inner.ask(QUESTION, "approval")
        elif step.lookup is not None:
            inner.ask(step.lookup.name, step.lookup.operation)


async def _looked_up(work: Work, lookup: Step[..., Any], inner: Scope) -> Done[Any] | None:
    """What the lookup says, `_UNTOLD` if nothing. Raises what it raises."""
    said, text = await perform(inner, _asking(work, lookup, inner))
    if said == UNKNOWN:
        return _UNTOLD
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
