"""What a run asks of the outside: an approval, an event, a callback, each with how to answer it in every way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentflow.errors import Conflict
from agentflow.states import OPEN, Verdict
from agentflow.testing.answers import Answers, every_run, name_of, token_of

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from datetime import datetime

    from agentflow.records import Approval, Callback
    from agentflow.testing.answers import Reply, Sending
    from agentflow.testing.crash.scenarios import WaitId
    from agentflow.testing.harness import Harness
    from agentflow.testing.reviewer import Reviewer


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(ABC):
    """Something that is asked, by which wait, and until when it may be answered."""

    id: str
    wait: WaitId
    due_at: datetime | None
    harness: Harness

    @abstractmethod
    async def answer(self) -> bool:
        """Answer it; False if there is no answer to give. Raises `Conflict` where it is too late."""

    @abstractmethod
    async def insist(self) -> None:
        """Answer it again, and then otherwise. Raises `AssertionError` if that makes a difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate(Question):
    """An approval."""

    approval: Approval
    reviewer: Reviewer | None

    async def answer(self) -> bool:
        if self.reviewer is None:
            raise AssertionError(f"{self.approval.key} asks for approval: give the crash test a reviewer=")
        return await self.reviewer.decide(self.harness.client, self.approval) is not None

    async def insist(self) -> None:
        assert self.reviewer is not None
        again = await self.reviewer.decide(self.harness.client, self.approval)
        assert again is not None
        if not again.repeated:
            raise AssertionError(f"the same decision on {self.approval.key} was taken twice")
        contrary = Verdict.APPROVE if again.verdict is Verdict.REJECT else Verdict.REJECT
        decided = self.harness.client.decide(self.id, contrary, by="somebody else", channel="test")
        await _refused(decided, f"{self.approval.key} was decided, and then decided again the other way")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected(Question):
    """An event that a run waits for."""

    sending: Sending
    answers: Answers

    async def answer(self) -> bool:
        await self.answers.send(self.harness.client, self.sending)
        return True

    async def insist(self) -> None:
        again = await self.answers.send(self.harness.client, self.sending)
        if not again.repeated:
            raise AssertionError(f"event {self.sending.name} was sent twice under one id and counts twice")
        other = self.answers.send(self.harness.client, self.sending, payload="something else")
        await _refused(other, f"event {self.sending.name} was sent, and then sent again with other content")


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised(Question):
    """A callback."""

    callback: Callback
    rule: Reply
    answers: Answers

    async def answer(self) -> bool:
        await self.answers.reply(self.harness.client, self.harness.store, self.callback, self.rule)
        return True

    async def insist(self) -> None:
        await self.answer()  # the same again is the same
        token = await token_of(self.harness.store, self.callback)
        client = self.harness.client
        contrary = client.complete_callback(token) if self.rule.error is not None else client.fail_callback(token, "no")
        await _refused(contrary, f"{self.callback.key} was answered, and then answered otherwise")


async def _refused(act: Awaitable[object], said: str) -> None:
    try:
        await act
    except Conflict:
        return
    raise AssertionError(said)


async def questions(harness: Harness, reviewer: Reviewer | None, answers: Answers | None) -> list[Question]:
    """Everything that is asked at present and has an answer; for an approval there has to be one."""
    found: list[Question] = [
        Gate(
            id=one.id,
            wait=(one.task, one.key),
            due_at=one.deadline_at,
            harness=harness,
            approval=one,
            reviewer=reviewer,
        )
        for one in (await harness.client.approvals(limit=200)).items
    ]
    return found if answers is None else [*found, *await _of_systems(harness, answers)]


async def _of_systems(harness: Harness, answers: Answers) -> list[Question]:
    found: list[Question] = []
    for run in await every_run(harness.store, OPEN):
        for wait in await harness.client.waits(run.id):
            sending = answers.sending_for(wait)
            if sending is not None:
                wait_id, asked_by = (run.task, wait.key), f"{wait.run_id}:{wait.key}"
                found.append(
                    Expected(
                        id=asked_by, wait=wait_id, due_at=wait.due_at, harness=harness, sending=sending, answers=answers
                    )
                )
        for callback in await harness.client.callbacks(run.id):
            rule = answers.reply_for(callback)
            if rule is not None:
                until = min((at for at in (callback.due_at, callback.lapses_at) if at is not None), default=None)
                found.append(
                    Promised(
                        id=callback.id,
                        wait=(run.task, name_of(callback.key)),
                        due_at=until,
                        harness=harness,
                        callback=callback,
                        rule=rule,
                        answers=answers,
                    )
                )
    return found
