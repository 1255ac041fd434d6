"""One scenario played: a run on a fresh database, disturbed as the scenario says and brought to its end."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from agentflow.errors import Conflict
from agentflow.states import RunStatus
from agentflow.testing.answers import every_run
from agentflow.testing.crash.asking import questions
from agentflow.testing.crash.mortal import Fate, MortalStore
from agentflow.testing.crash.scenarios import When
from agentflow.testing.harness import UNHURRIED, Harness

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from agentflow.events import Event
    from agentflow.records import Entry, Run, Wait
    from agentflow.store import Store
    from agentflow.store.sqlite.store import SqliteStore
    from agentflow.tasks.task import Task
    from agentflow.testing.answers import Answers
    from agentflow.testing.crash.asking import Question
    from agentflow.testing.crash.scenarios import Scenario
    from agentflow.testing.effects import Effects
    from agentflow.testing.reviewer import Reviewer

LATER: Final = timedelta(days=30)
MOMENT: Final = timedelta(milliseconds=1)
MOST_MOVES: Final = 10_000
SECOND: Final = 2
"""The write of a turn at which the next worker dies: the first is the claim, and who dies there gets nowhere."""
UNAFRAID: Final = replace(UNHURRIED, max_recoveries=MOST_MOVES)

Told = tuple["Run", "Sequence[Event]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What a scenario came to: the run, its histories and its children's, and what has to be allowed for."""

    run: Run
    writes: Sequence[str]
    told: Sequence[Told]
    deaths: int
    cut_off: Counter[tuple[str, str]]
    passed_deadline: bool


class Stage(Harness):
    """A harness whose worker may die at a write."""

    def __init__(self, *definitions: Any, path: Path, scenario: Scenario) -> None:
        super().__init__(*definitions, path=path, replay_always=scenario.replays, settings=UNAFRAID)
        self.fate = Fate(scenario.dies_at, scenario.place, spares_starts=scenario.dies_always)

    def store_of_worker(self) -> Store:
        return MortalStore(cast("SqliteStore", self.store), self.fate)


class Play:
    """Plays one scenario on a stage."""

    def __init__(
        self,
        stage: Stage,
        scenario: Scenario,
        *,
        reviewer: Reviewer | None,
        answers: Answers | None,
        effects: Effects,
        patience: float,
    ) -> None:
        self._stage = stage
        self._scenario = scenario
        self._reviewer = reviewer
        self._answers = answers
        self._effects = effects
        self._patience = patience
        self._fate = stage.fate
        self._waited_long: set[str] = set()
        self._deaths: list[tuple[dict[str, int], list[Entry]]] = []
        self._passed_deadline = False
        self._early: asyncio.Task[None] | None = None

    async def play(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Played:
        """Bring a run of the task to its end. Raises `AssertionError` if it comes to none."""
        self._look_early()
        try:
            run_id, before = await self._trigger(task, args, kwargs), None
            await self._send_ahead()
            for _ in range(MOST_MOVES):
                await self._rest()
                run = await self._stage.client.run(run_id)
                if run.is_finished or run.status is RunStatus.NEEDS_ATTENTION:
                    return await self._played(run)
                if await self._answer() or await self._pass_time():
                    continue
                now = (run.status, run.epoch, await self._stage.client.head())
                if now == before:  # seen twice: an early answer may have come between two looks
                    raise AssertionError(f"nothing moves the run on: {await self._stage.why(run)}")
                before = now
            raise AssertionError(f"the run does not end: {await self._stage.why(run_id)}")
        finally:
            await self._look_away()

    async def _trigger(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        text = task.encode_call(args, dict(kwargs))
        request = task.options(idempotency_key="crash test").request(text, origin="crash test")
        made = [await self._stage.store.trigger(request) for _ in range(self._scenario.sends)]
        if len({run.id for run in made}) > 1:
            raise AssertionError("one idempotency key made two runs")
        return made[0].id

    async def _played(self, run: Run) -> Played:
        runs = await every_run(self._stage.store)
        return Played(
            run=run,
            writes=tuple(self._fate.writes),
            told=[(one, await self._stage.client.history(one.id)) for one in runs],
            deaths=len(self._deaths),
            cut_off=sum((self._effects.cut_off(*death) for death in self._deaths), Counter()),
            passed_deadline=self._passed_deadline,
        )

    # -- coming to rest, and death

    async def _rest(self) -> None:
        """Return when nothing can go on; with another worker in place of one that died on the way."""
        while await self._has_died():
            await self._start_anew()

    async def _has_died(self) -> bool:
        """Whether the worker dies before nothing can go on."""
        fate = self._stage.fate
        died, idle = asyncio.ensure_future(fate.died.wait()), asyncio.ensure_future(self._stage.worker.until_idle())
        try:
            done, _ = await asyncio.wait({idle, died}, timeout=self._patience, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                last = fate.writes[-1] if fate.writes else "none"
                raise AssertionError(f"no rest within {self._patience} s; the last write was: {last}")
            if idle in done:
                idle.result()
        finally:
            died.cancel()
            idle.cancel()
        return fate.died.is_set()

    async def _start_anew(self) -> None:
        await self._look_away()
        runs = await every_run(self._stage.store)
        recorded = [entry for run in runs for entry in await self._stage.store.entries(run.id)]
        self._deaths.append(({run.id: run.epoch for run in runs}, recorded))
        always = self._scenario.dies_always
        self._stage.fate = Fate(SECOND, self._scenario.place, spares_starts=True) if always else Fate()
        await self._stage.crash()
        self._look_early()

    # -- answers

    async def _asked(self) -> list[Question]:
        return await questions(self._stage, self._reviewer, self._answers)

    async def _answer(self) -> bool:
        """Give what is asked for the answers that are not to be late; whether there were any."""
        in_time = [one for one in await self._asked() if self._scenario.when(one.wait) is not When.LATE]
        return any([await self._settle(one) for one in in_time])

    async def _settle(self, question: Question) -> bool:
        is_answered = await question.answer()
        if is_answered and self._scenario.when(question.wait) is When.TWICE:
            await question.insist()
        return is_answered

    async def _send_ahead(self) -> None:
        """Send the events that are to be there before anybody waits for them."""
        if self._scenario.ahead is not None and self._answers is not None:
            for sending in self._answers.sendings:
                if sending.subject == self._scenario.ahead:
                    await self._answers.send(self._stage.client, sending, ahead=True)

    def _look_early(self) -> None:
        if When.EARLY in self._scenario.answers.values() and self._scenario.ahead is None:
            self._early = asyncio.create_task(self._answer_early())

    async def _look_away(self) -> None:
        if self._early is not None:
            self._early.cancel()
            # What kept it from answering keeps the play from it too, which says so.
            await asyncio.gather(self._early, return_exceptions=True)
            self._early = None

    async def _answer_early(self) -> None:
        """Answer the moment something is asked, while other branches of the run may still be at work."""
        async with aclosing(self._stage.client.changes()) as changes:  # type: ignore[type-var]
            async for _ in changes:
                for question in await self._asked():
                    if self._scenario.when(question.wait) is When.EARLY:
                        with suppress(Conflict):
                            await question.answer()

    # -- time

    async def _pass_time(self) -> bool:
        """Move on to when something happens by itself; whether anything will."""
        for question in await self._asked():
            if self._scenario.when(question.wait) is When.LATE and question.id not in self._waited_long:
                self._waited_long.add(question.id)
                await self._answer_late(question)
                return True
        due_at = await self._stage.store.next_due_at()
        if due_at is None:
            return False
        wait = next((one for one in await self._waits() if one.due_at == due_at), None)
        await self._pass(due_at, None if wait is None else wait)
        return True

    async def _answer_late(self, question: Question) -> None:
        """Answer when there is no time left, or after a long time: too late is as legal as the answer itself."""
        now = self._stage.clock.now()
        target = now + LATER if question.due_at is None else max(now, question.due_at) + MOMENT
        await self._look_ahead(target)
        self._stage.clock.advance_to(target)
        with suppress(Conflict):
            await question.answer()

    async def _pass(self, due_at: datetime, wait: Wait | None) -> None:
        clock = self._stage.clock
        when = None if wait is None else await self._when_due(wait)
        if wait is not None and when is When.EARLY and due_at - MOMENT > clock.now():
            clock.advance_to(due_at - MOMENT)
            await self._rest()
            still = [one for one in await self._waits() if (one.run_id, one.key) == (wait.run_id, wait.key)]
            assert still, f"{wait.key} was due at {due_at} and fired before"
        if when is When.LATE:
            await self._look_ahead(due_at + LATER, but=wait)
            due_at += LATER
        clock.advance_to(max(due_at, clock.now()))

    async def _when_due(self, wait: Wait) -> When | None:
        return self._scenario.when(((await self._stage.client.run(wait.run_id)).task, wait.key))

    async def _waits(self) -> list[Wait]:
        runs = await every_run(self._stage.store)
        return [wait for run in runs if not run.is_finished for wait in await self._stage.client.waits(run.id)]

    async def _look_ahead(self, target: datetime, *, but: Wait | None = None) -> None:
        """Note if moving on to `target` passes what else is due: what comes of the run may be another then."""
        runs = await every_run(self._stage.store)
        due = [question.due_at for question in await self._asked()]
        due += [run.deadline_at for run in runs if not run.is_finished]
        due += [wait.due_at for wait in await self._waits() if wait != but]
        self._passed_deadline |= any(one is not None and one <= target for one in due)
