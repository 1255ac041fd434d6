"""What a step has used of language models, and what its run may use yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import DefinitionError
from agentflow.records import CallOutlook
from agentflow.requests import BeforeCall
from agentflow.runtime.operations.heartbeats import current_pulse
from agentflow.runtime.operations.leaf import InStep
from agentflow.tasks.calling import current_caller

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import ThreadPart
    from agentflow.requests.spending import Kept
    from agentflow.usage import Usage


NOTHING: Final = CallOutlook(budgets=(), has_mail=False)


def report_usage(usage: Usage) -> None:
    """Say, from within a step, what a call of a language model has used.

    It is counted once, with the attempt that used it, whether that succeeds or fails: in the transaction that records
    it. Outside a step of a run it does nothing.
    """
    pulse = current_pulse.get()
    if pulse is not None:
        pulse.usage = (*pulse.usage, usage)


# -- for steps of ours: what they say to the store as a part of the turn


def in_step(of: str) -> InStep:
    """The step that the present code is. Raises `DefinitionError` elsewhere."""
    caller = current_caller.get()
    if not isinstance(caller, InStep):
        raise DefinitionError(f"{of} belongs in a step of a run")
    return caller


async def outlook(*, mail: str | None = None) -> CallOutlook:
    """The budgets over the step that this is, and whether an event `mail` waits for its run; nothing outside a run."""
    caller = current_caller.get()
    if not isinstance(caller, InStep):
        return NOTHING
    request = BeforeCall(run_id=caller.turn.run.id, key=caller.key, mail=mail)
    found: CallOutlook = await caller.turn.sure(caller.turn.store.before_call, request)
    return found


def keep(one: Kept) -> None:
    """Keep a budget, a grant, or a part of a conversation, in the transaction that records the step that this is.

    Outside a step of a run it does nothing.
    """
    pulse = current_pulse.get()
    if pulse is not None:
        pulse.kept = (*pulse.kept, one)


# -- conversations


async def thread_length(thread: str) -> int:
    """How many parts a conversation has, asked in a step."""
    caller = in_step("thread_length()")
    parts: Sequence[ThreadPart] = await caller.turn.sure(caller.turn.store.thread, thread)
    return parts[-1].seq if parts else 0


async def read_thread(thread: str, *, upto: int) -> Sequence[ThreadPart] | None:
    """The parts of a conversation up to this one. Code of a run may read them: they do not change.

    None in a rehearsal, which has the run's own journal and nothing else.
    """
    caller: Any = current_caller.get()
    scope = caller.scope
    if scope.turn.rehearsal is not None:
        return None
    scope.busy += 1  # it is the run that waits, and for no more than the database
    try:
        found: Sequence[ThreadPart] = await scope.turn.sure(lambda: scope.turn.store.thread(thread, upto=upto))
        return found
    finally:
        scope.busy -= 1
