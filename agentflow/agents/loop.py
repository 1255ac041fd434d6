"""The loop of an agent: the model is asked, the tools it calls are run, and so on until it has an answer.

It is ordinary task code over the public parts: each call of a model and each call of a tool is an operation of the run,
and everything between them is computed from what those gave, so that a replay comes to the same.
"""

from __future__ import annotations

from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from agentflow.agents.answering import Answerer, Turned, call_mark
from agentflow.agents.asking import MAIL, Asked
from agentflow.agents.beginning import Begun, begin
from agentflow.agents.conversation import Conversation
from agentflow.agents.memory import keep_thread, thread_messages
from agentflow.agents.messages import Finish, Message, Request, Role
from agentflow.agents.spending import STORED, asked_for_more, granted, proposal
from agentflow.errors import AgentStuck, BudgetReached, OutputRefused
from agentflow.runtime.waiting.events import receive_events
from agentflow.tasks.calling import current_caller
from agentflow.tasks.step import Step

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from agentflow.agents.agent import Agent
    from agentflow.agents.asking import Answered
    from agentflow.agents.messages import Reply, ToolCall

REPEATS: Final = 3
"""How often the same call may give the same answer before the model is told; twice as often and it is stopped."""
LAST_CALL: Final = "Your budget is spent. Answer now with what you have; you cannot call tools any more."


_at_work: ContextVar[bool] = ContextVar("agentflow_agent_at_work", default=False)
"""Whether an agent is at work around this code: a message for the run is for the outermost one."""


async def converse(agent: Agent[Any], prompt: str | Sequence[Message], context: Any, thread: str | None) -> Any:
    """The agent's output. Raises `BudgetReached`, `OutputRefused`, `AgentStuck`, or what its models and tools raise."""
    begun = await begin(agent, prompt, context, thread)
    loop = Loop(agent, begun, context, takes_mail=agent.calling.takes_mail and not _at_work.get())
    for message in await thread_messages(begun):
        loop.talk.add(message)
    loop.talk.own_from = len(loop.talk.messages)
    for message in asked_messages(prompt):
        loop.talk.add(message)
    token = _at_work.set(True)
    try:
        return await loop.run()
    finally:
        _at_work.reset(token)


def asked_messages(prompt: str | Sequence[Message]) -> list[Message]:
    """What the agent is asked, as messages."""
    return [Message(role=Role.USER, text=prompt)] if isinstance(prompt, str) else list(prompt)


@dataclass(slots=True)
class Loop:
    """One agent call: what has been said, and what is left of its limits. All of it is made anew by a replay."""

    agent: Agent[Any]
    begun: Begun
    context: Any
    takes_mail: bool
    talk: Conversation = field(init=False)
    answerer: Answerer = field(init=False)
    turn: int = 0
    most_turns: int = 0
    time: timedelta | None = None
    has_mail: bool = False
    is_last: bool = False
    misfits: int = 0
    last_input: int = 0
    warnings: Sequence[str] = ()
    told: set[str] = field(default_factory=set)
    repeats: Counter[str] = field(default_factory=Counter)
    most_repeats: int = 2 * REPEATS

    def __post_init__(self) -> None:
        self.talk = Conversation(self.begun.text)
        self.answerer = Answerer(tools=self.begun.tools, hooks=self.agent.hooks)
        self.most_turns = self.agent.max_turns
        self.time = None if self.agent.budget is None else self.agent.budget.time

    async def run(self) -> Any:
        """Go on until there is an output."""
        while True:
            reply = await self._next_reply()
            calls = reply.message.calls
            if calls and not self.is_last:
                await self._call_tools(reply, calls)
                continue
            output, problem = self.agent.output.read(reply.message.text)
            if reply.finish is Finish.LENGTH:
                problem = "it was cut off at the most tokens an answer may have; be shorter"
            if problem:
                self._refuse(problem)
            elif not self.has_mail or self.is_last:
                break
        await self.agent.hooks.call("at_end", output)
        if self.begun.thread is not None:
            own = self.talk.messages[self.talk.own_from :]
            await keep_thread(self.begun.thread, own, instead=self.talk.is_compacted)
        return output

    # -- the model

    async def _next_reply(self) -> Reply:
        await self._take_mail()
        await self._compact()
        for warning in self.warnings:
            self._warn(warning)
        answered = await self._answered()
        self.has_mail = answered.has_mail
        reply = replace(answered.reply, message=_with_own_ids(answered.reply.message))
        self.last_input = reply.usage.input_tokens
        self.talk.add(reply.message)
        await self.agent.hooks.call("after_reply", reply)
        self.warnings = answered.warnings
        return reply

    async def _answered(self) -> Answered:
        """What the model says to all this, once the budget lets it be asked."""
        while True:
            taken = self.turn
            try:
                self._require_turn()
                self.turn += 1
                calling = replace(self.agent.calling, time=self.time, takes_mail=self.takes_mail)
                return await calling.call(self._request(), self._asked(), is_last=self.is_last)
            except BudgetReached as reached:
                self.turn = taken  # the model was not called
                await self._came_to_the_limit(reached)

    def _asked(self) -> Asked:
        notices = self.talk.taken_notices()
        count = len(self.talk.messages) + bool(self.talk.instructions)
        return Asked(turn=self.turn, messages=count, fingerprint=self.talk.fingerprint, notices=notices)

    def _request(self) -> Request:
        tools = () if self.is_last else tuple(tool.spec for tool in self.begun.tools.values())
        return Request(
            messages=self.talk.whole(), tools=tools, output=self.agent.output.spec, settings=self.agent.settings
        )

    # -- limits

    def _require_turn(self) -> None:
        if self.turn >= self.most_turns and not self.is_last:
            raise BudgetReached(f"{self.turn} of {self.most_turns} turns are taken", limit="turns")

    async def _came_to_the_limit(self, reached: BudgetReached) -> None:
        """Ask, finish or fail, as the agent's budget says; where nothing is said a person is asked."""
        on_reached = "ask" if self.agent.budget is None else self.agent.budget.on_reached
        if on_reached == "fail" or self.is_last:
            raise reached
        if on_reached == "finish":
            self._finish()
            return
        proposed = proposal(reached.limit, self._most(reached.limit))
        last = next((one.text for one in reversed(self.talk.messages) if one.role is Role.ASSISTANT and one.text), "")
        decided = await asked_for_more(self.agent.id, reached, proposed=proposed, last_words=last)
        choice = decided.data.choice if decided.approved else "stop"
        if choice == "stop":
            raise reached
        if choice == "finish":
            self._finish()
        elif reached.limit in STORED:
            await granted(reached, decided)
        else:
            self._give(reached.limit, decided.data.amount)
        self.told.clear()

    def _most(self, limit: str) -> Any:
        budget = self.agent.budget
        own = {
            "turns": self.agent.max_turns,
            "repeats": REPEATS,
            "time": 0 if budget is None or budget.time is None else budget.time.total_seconds(),
            "tokens": 0 if budget is None else budget.tokens,
            "cost": 0 if budget is None else budget.cost,
        }
        return own[limit] or 1

    def _give(self, limit: str, amount: Decimal) -> None:
        if limit == "turns":
            self.most_turns += int(amount)
        elif limit == "repeats":
            self.most_repeats += int(amount)
        elif self.time is not None:
            self.time += timedelta(seconds=float(amount))

    def _finish(self) -> None:
        self.is_last = True
        self.talk.notice(LAST_CALL)

    def _warn(self, warning: str) -> None:
        kind = warning.partition(" of ")[2]
        if kind not in self.told:
            self.told.add(kind)
            self.talk.notice(f"{warning}. Come to an end soon.")

    # -- tools

    async def _call_tools(self, reply: Reply, calls: Sequence[ToolCall]) -> None:
        turn = Turned(
            agent=self.agent.id, number=self.turn, context=self.context, said=reply.message.text, calls=tuple(calls)
        )
        answers = await self.answerer.answer(turn)
        for call, answer in zip(calls, answers, strict=True):
            self.talk.add(answer)
            self._count_repeats(call, answer)
        while self.repeats and max(self.repeats.values()) >= self.most_repeats and not self.is_last:
            worst, times = self.repeats.most_common(1)[0]
            called = worst.partition("\n")[0]
            said = f"{called} gave the same answer {times} times"
            await self._came_to_the_limit(BudgetReached(said, limit="repeats"))

    def _count_repeats(self, call: ToolCall, answer: Message) -> None:
        mark = call_mark(call)
        again = f"{mark}\n{answer.text}"
        for known in [one for one in self.repeats if one.startswith(f"{mark}\n") and one != again]:
            del self.repeats[known]  # another answer: the world has moved
        self.repeats[again] += 1
        if self.repeats[again] == REPEATS:
            self.talk.notice(
                f"{call.name} has given the same answer to the same arguments {REPEATS} times; do something else."
            )

    # -- answers that do not fit

    def _refuse(self, problem: str) -> None:
        self.misfits += 1
        if self.misfits > self.agent.output_retries or self.is_last:
            raise OutputRefused(f"the answer of agent {self.agent.id} is none after {self.misfits} tries: {problem}")
        self.talk.notice(f"Your answer is not taken: {problem}. Answer again, in full.")

    # -- what comes in between

    async def _take_mail(self) -> None:
        if not self.has_mail:
            return
        self.has_mail = False
        caller: Any = current_caller.get()
        for mail in await receive_events(MAIL, key=caller.turn.run.id, type=dict[str, Any]):
            self.talk.add(Message(role=Role.USER, text=str(mail.get("text", ""))))

    async def _compact(self) -> None:
        """Let the hook make the conversation smaller once it has grown beyond what the agent allows."""
        compact, limit = self.agent.compact, self.agent.compact_at
        if compact is None or limit is None or self.last_input < limit:
            return
        self.last_input = 0
        given = tuple(self.talk.messages)

        async def compaction(count: int) -> list[Message]:
            del count
            made = compact(given)
            return list(await made if hasattr(made, "__await__") else made)

        step: Step[Any, list[Message]] = Step(compaction, name="compaction")
        kept = await step(len(given))
        if not kept:
            raise AgentStuck(f"the compaction of agent {self.agent.id} left no message")
        self.talk.replace(kept)


def _with_own_ids(message: Message) -> Message:
    """The message with an id for each call that no other call of it has: providers' servers have given one twice."""
    seen: set[str] = set()
    calls = []
    for place, call in enumerate(message.calls):
        own = call if call.id and call.id not in seen else replace(call, id=f"{call.id or 'call'}_{place + 1}")
        seen.add(own.id)
        calls.append(own)
    return replace(message, calls=tuple(calls))
