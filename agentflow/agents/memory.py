"""Conversations that go on across runs: each run adds what it said once, and reads what came before by reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow.agents.conversation import plain_text, said_in
from agentflow.errors import Fatal
from agentflow.requests import NewThreadPart
from agentflow.runtime.operations.spending import in_step, keep, read_thread
from agentflow.tasks.step import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.agents.beginning import Begun
    from agentflow.agents.messages import Message


class ThreadStep(Step[..., int]):
    """What a run adds to its conversation."""

    operation = "thread"

    @property
    def result(self) -> Any:
        return int


async def thread_messages(begun: Begun) -> list[Message]:
    """What was said before this run began. Raises `Fatal` where a part of it is no longer kept."""
    if begun.thread is None or not begun.thread_seq:
        return []
    parts = await read_thread(begun.thread, upto=begun.thread_seq)
    if parts is None:
        return []  # what the models answered is recorded, whatever they had been told
    if not parts or parts[-1].seq != begun.thread_seq or len(parts) != begun.thread_seq:
        raise Fatal(
            f"thread {begun.thread!r} had {begun.thread_seq} parts when the run began and has {len(parts)} of them "
            "now: retention removed them. Start the conversation anew under another name"
        )
    return said_in(part.messages for part in parts)


async def keep_thread(thread: str, messages: Sequence[Message], *, instead: bool) -> None:
    """Add these messages to the conversation, once; `instead` of all that it has so far."""

    async def add(name: str, count: int) -> int:
        text = plain_text(messages, instead=instead)
        keep(NewThreadPart(thread=name, key=in_step("keep_thread()").key, messages=text, count=count))
        return count

    await ThreadStep(add, name="thread")(thread, len(messages))
