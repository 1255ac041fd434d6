"""The crash test: a task's run is disturbed in every way there is, and each time comes to the same end."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentflow.events import InputChanged, OperationStarted
from agentflow.testing.crash.judging import Ending, breaches, effects_breached, ending_of, in_doubt, reads_the_time
from agentflow.testing.crash.playing import Play, Stage
from agentflow.testing.crash.scenarios import UNDISTURBED, When, scenarios, waits_of
from agentflow.testing.effects import Effects
from agentflow.testing.stores import open_test_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from agentflow.tasks.task import Task
    from agentflow.testing.answers import Answers
    from agentflow.testing.crash.playing import Played
    from agentflow.testing.crash.scenarios import Scenario
    from agentflow.testing.model import ScriptedModel
    from agentflow.testing.reviewer import Reviewer
    from agentflow.testing.scripted import Scripted

ANYTHING: Final[Any] = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashReport:
    """What a crash test did. `result` is the undisturbed one; `changed_inputs` were asked for differently on replay."""

    task: str
    result: Any
    scenarios: Sequence[Scenario]
    kills: int
    changed_inputs: Sequence[str]

    def count(self, kind: str) -> int:
        """How many scenarios there were of a kind: `kill`, `replay`, `duplicate` or `wait`."""
        return Counter(scenario.kind for scenario in self.scenarios)[kind]

    def __str__(self) -> str:
        kinds = Counter(scenario.kind for scenario in self.scenarios)
        told = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        return f"crash test of {self.task}: {len(self.scenarios)} scenarios ({told}), {self.kills} deaths"


async def crash_test(
    task: Task[..., Any],
    *args: Any,
    kwargs: Mapping[str, Any] | None = None,
    definitions: Sequence[Any] = (),
    reviewer: Reviewer | None = None,
    answers: Answers | None = None,
    effects: Effects | None = None,
    scripts: Sequence[Scripted | ScriptedModel] = (),
    expect: Any = ANYTHING,
    same: Callable[[Any], Any] = lambda result: result,
    folder: Path | str | None = None,
    patience: float = 30.0,
) -> CrashReport:
    """Run the task undisturbed, then again in every disturbed way; raises `AssertionError` where something differs.

    The worker is killed before, inside and after each write of the run; the run is replayed at every operation; every
    delivery comes twice; every wait is answered early, late and twice. Each scenario has a database of its own, and
    `reviewer`, `answers`, `effects` and `scripts` start over. All must come to one result, with each effect once, or,
    where the operation was cut off, once more under the same idempotency key; an answer that is late for a deadline may
    change the result, and then only the run's own consistency is asked for.

    `definitions` are further tasks, such as children; `expect` is what the undisturbed result has to be; `same` is
    what of a result must not differ, where some of it may; a run that does not rest for `patience` seconds hangs.
    """
    async with _place(folder) as place:
        ledger = Effects() if effects is None else effects
        test = _CrashTest(task, args, kwargs or {}, definitions, reviewer, answers, ledger, scripts, same)
        return await test.run(place, expect, patience)


@asynccontextmanager
async def _place(folder: Path | str | None) -> AsyncIterator[Path]:
    """A folder with an empty database to be copied."""
    made = Path(tempfile.mkdtemp(prefix="agentflow-crash-", dir=folder))
    try:
        async with open_test_store(made / "empty.db"):
            pass
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _fresh(place: Path) -> Path:
    """A database without runs, in place of the last scenario's."""
    for left in place.glob("run.db*"):
        left.unlink()
    path = place / "run.db"
    shutil.copyfile(place / "empty.db", path)
    path.chmod(0o600)
    return path


@dataclass(slots=True)
class _CrashTest:
    task: Task[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    definitions: Sequence[Any]
    reviewer: Reviewer | None
    answers: Answers | None
    effects: Effects
    scripts: Sequence[Scripted | ScriptedModel]
    same: Callable[[Any], Any]

    async def run(self, place: Path, expect: Any, patience: float) -> CrashReport:
        first = await self._play(UNDISTURBED, place, patience)
        ending, totals = ending_of(self.task, first.run, self.same), self.effects.totals()
        self._require(UNDISTURBED, self._judged(first, ending, totals, is_lenient=False))
        if expect is not ANYTHING and ending != Ending("completed", self.same(expect)):
            raise AssertionError(f"crash test of {self.task.id}: undisturbed it {ending}, and not {expect!r}")
        kills, changed = 0, set[str]()
        planned = [UNDISTURBED, *scenarios(first.writes, waits_of(first.told))]
        for scenario in planned:
            played = await self._play(scenario, place, patience)
            late = When.LATE in scenario.answers.values() and reads_the_time(played.told)
            is_lenient = played.passed_deadline or late
            self._require(scenario, self._judged(played, ending, totals, is_lenient=is_lenient))
            kills += played.deaths
            changed |= {event.key for _, events in played.told for event in events if isinstance(event, InputChanged)}
        if not kills:
            raise AssertionError(f"crash test of {self.task.id}: no worker could be killed")
        return CrashReport(
            task=self.task.id,
            result=ending.value,
            scenarios=planned[1:],
            kills=kills,
            changed_inputs=sorted(changed),
        )

    async def _play(self, scenario: Scenario, place: Path, patience: float) -> Played:
        for part in self._parts():
            part.begin()
        try:
            async with Stage(self.task, *self.definitions, path=_fresh(place), scenario=scenario) as stage:
                play = Play(
                    stage,
                    scenario,
                    reviewer=self.reviewer,
                    answers=self.answers,
                    effects=self.effects,
                    patience=patience,
                )
                return await play.play(self.task, self.args, self.kwargs)
        except AssertionError as error:
            raise AssertionError(f"crash test of {self.task.id}, {scenario.said}: {error}") from error

    def _parts(self) -> Iterator[Reviewer | Answers | Effects | Scripted | ScriptedModel]:
        yield self.effects
        yield from self.scripts
        if self.reviewer is not None:
            yield self.reviewer
        if self.answers is not None:
            yield self.answers

    def _judged(
        self, played: Played, ending: Ending, totals: Counter[tuple[str, str, str]], *, is_lenient: bool
    ) -> Iterator[str]:
        """What is wrong with what a scenario came to."""
        cut_off = played.cut_off
        for run, events in played.told:
            yield from breaches(run, events)
            # What is to run at most once is not repeated; where it was cut off it may stop its run instead.
            is_lenient |= in_doubt(run, events)
            for event in events:
                if isinstance(event, OperationStarted):
                    del cut_off[run.task, event.key]
        yield from effects_breached(self.effects.totals(), totals, cut_off, is_lenient=is_lenient)
        if is_lenient:
            return
        came_to = ending_of(self.task, played.run, self.same)
        if came_to != ending:
            yield f"it {came_to}; undisturbed it {ending}"
        for part in self._parts():
            try:
                part.check()
            except AssertionError as error:
                yield f"{error} (it {came_to})"

    def _require(self, scenario: Scenario, problems: Iterator[str]) -> None:
        found = list(problems)
        if found:
            raise AssertionError(f"crash test of {self.task.id}, {scenario.said}: " + "; ".join(found))
