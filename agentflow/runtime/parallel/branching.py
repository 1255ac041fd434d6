"""Branches of a run side by side: each a scope of its own, and in the journal how each stood when it was over.

The one entry of a `gather` or `map` holds statuses and no values: a replay goes through the branches that ended, whose
operations are recorded, and leaves alone those that were stopped. Until that entry is there nothing is settled, and
after a crash the branches go on from what each has recorded.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, Any, NoReturn, cast

from agentflow.errors import CompletionFailed
from agentflow.failures import Failure
from agentflow.requests import NewEntry
from agentflow.runtime.dry.rehearsal import rehearsed
from agentflow.runtime.operations.leaf import InStep
from agentflow.runtime.parallel.branches import Branch
from agentflow.runtime.parallel.completion import LETTERS, Branches, BranchResult, Terms, broken, completion_of
from agentflow.runtime.parallel.racing import Race
from agentflow.runtime.scope import Scope
from agentflow.runtime.signals import Divergence
from agentflow.states import EntryKind
from agentflow.tasks.calling import current_caller

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentflow.records import Entry
    from agentflow.runtime.callers import InRun
    from agentflow.runtime.parallel.completion import BranchStatus, Completion
    from agentflow.runtime.parallel.racing import Begin
    from agentflow.runtime.signals import Suspend


async def side_by_side(
    operation: str,
    count: int,
    begin: Begin,
    *,
    until: Completion | None = None,
    keep_errors: bool = False,
    limit: int | None = None,
) -> Branches[Any]:
    """What became of the branches that `begin` begins, by number.

    Without `until` all have to succeed, and the first error is raised; with `keep_errors` none is. Raises
    `CompletionFailed` for an `until` that cannot be met any more, and `DefinitionError` for one that never could; no
    branch was begun then.
    """
    rule = completion_of(until)
    terms = Terms.all_to_end(count) if keep_errors else rule.terms(count)
    if not count:
        return Branches(())
    caller = current_caller.get()
    if caller is not None and not isinstance(caller, InStep):
        scope = cast("InRun", caller).scope
        parallel = _Parallel(scope, operation, count, begin, until=until, terms=terms)
        return await rehearsed(scope, parallel.run(limit))
    results = await Race(range(count), begin, terms, limit=limit).run(count)
    if terms.is_broken(len(results.errors)):
        raise results.errors[0] if until is None else broken(operation, rule, results)
    return results


class _RecordedRace(Race):
    """Branches of a run: the run is parked when all that are at work wait."""

    def __init__(
        self, scope: Scope, key: str, numbers: Sequence[int], begin: Begin, terms: Terms, *, limit: int | None
    ) -> None:
        super().__init__(numbers, self._begin_in_scope, terms, limit=limit)
        self._begin_here = begin
        self._turn = scope.turn
        self._key = key
        self._around = scope.branch
        self._branches: dict[int, Branch] = {}
        self._is_forked = False

    def _open(self, number: int) -> None:
        self._branches[number] = Branch(self._around)
        if not self._is_forked:
            self._is_forked = True
            self._around.fork()

    async def _begin_in_scope(self, number: int) -> Any:
        inner = Scope(self._turn, f"{self._key}[{number}]", self._branches[number])
        inner.enter()
        current_caller.set(self._turn.caller_for(inner))
        value = await self._begin_here(number)
        inner.leave()
        return value

    async def _branch(self, number: int) -> None:
        await super()._branch(number)
        if not self._decided.done():  # else it counts as at work until the code around is: the run is not to be parked
            self._branches.pop(number).close()
            await self._turn.waits.finished_branch()

    async def _let_go(self) -> None:
        if self._turn.is_handing_back and self._tasks:  # the worker stops: each goes on to a checkpoint of its own
            await asyncio.wait(list(self._tasks.values()))

    async def _stop(self) -> None:
        if self._is_forked:
            self._is_forked = False
            self._around.join()
        for branch in self._branches.values():
            branch.stop()
        await super()._stop()
        for branch in self._branches.values():
            branch.close()


class _Parallel:
    """One `gather` or `map` of a run in one turn."""

    def __init__(
        self, scope: Scope, operation: str, count: int, begin: Begin, *, until: Completion | None, terms: Terms
    ) -> None:
        self._scope = scope
        self._turn = scope.turn
        self._operation = operation
        self._count = count
        self._begin = begin
        self._until = until
        self._terms = terms
        self._key = ""

    async def run(self, limit: int | None) -> Branches[Any]:
        self._key, recorded = self._scope.ask(self._operation, self._operation)
        width = self._turn.index.widths.get(self._key, 0)
        if width > self._count:
            raise self._diverged(f"{width} branches", f"{self._count}")
        final = None if recorded is None else recorded.final
        self._scope.busy += 1
        try:
            if final is None:
                return await self._first_time(limit)
            letters = json.loads(final.detail or "{}").get("branches")
            if letters is None:
                await self._pass_by(range(self._count))
                error = Failure.from_json(final.error or "").to_exception()
                self._turn.raised(error, self._key if recorded is None else recorded.failed_in)
                raise error
            return await self._again(final, letters, limit)
        finally:
            self._scope.busy -= 1

    async def _race(self, numbers: Sequence[int], terms: Terms, limit: int | None) -> Branches[Any]:
        return await _RecordedRace(self._scope, self._key, numbers, self._begin, terms, limit=limit).run(self._count)

    # -- the first time

    async def _first_time(self, limit: int | None) -> Branches[Any]:
        results = await self._race(range(self._count), self._terms, limit)
        if self._terms.is_broken(len(results.errors)):
            await self._fail(results)
        if self._until is not None:
            await self._keep(EntryKind.SUCCEEDED, results, None, {})
        return results

    async def _fail(self, results: Branches[Any]) -> NoReturn:
        """Record which error ended it, and every operation that a retry has to run again for it; raise the error."""
        error: Exception = results.errors[0]
        inner = [key for key in map(self._turn.key_of, results.errors) if key is not None]
        detail: dict[str, Any] = {"failed_in": inner}
        if self._until is None:
            detail["retry"] = self._turn.key_of(error) or self._key
            self._turn.raised(error, detail["retry"])
        else:
            error = broken(self._key, self._until, results)
            self._turn.raised(error, self._key)
        await self._keep(EntryKind.FAILED, results, error, detail)
        raise error

    async def _keep(
        self, kind: EntryKind, results: Branches[Any], error: Exception | None, detail: dict[str, Any]
    ) -> None:
        """The one entry of it; what the stopped branches waited for is withdrawn with it."""
        entry = NewEntry(kind, self._key, self._operation)
        if error is not None:
            entry.error = Failure.of(error).to_json()
        if self._until is not None:
            entry.output = json.dumps(Counter(LETTERS[letter] for letter in results.letters))
            detail = {"branches": results.letters, **detail}
        entry.detail = json.dumps(detail)
        await self._turn.settle(entry, self._key)

    # -- again

    async def _again(self, final: Entry, letters: str, limit: int | None) -> Branches[Any]:
        """What it gave or raised, from the branches that ended then."""
        if len(letters) != self._count:
            raise self._diverged(f"{len(letters)} branches", f"{self._count}")
        if self._until is None and final.kind is EntryKind.SUCCEEDED and set(letters) != {"s"}:
            raise self._diverged("a rule, by which not all branches succeeded", "until=None")
        statuses = [LETTERS[letter] for letter in letters]
        ended = [number for number, letter in enumerate(letters) if letter in "sf"]
        await self._pass_by(number for number, letter in enumerate(letters) if letter not in "sf")
        replayed = await self._race(ended, Terms.all_to_end(len(ended)), limit)
        results = Branches(_stood(one, statuses[one.index]) for one in replayed)
        for one, status in zip(results, statuses, strict=True):
            if one.status != status:
                raise self._diverged(f"a branch {one.index} that {status}", f"one that {one.status} ({one.error!r})")
        if final.kind is EntryKind.SUCCEEDED:
            return results
        error = CompletionFailed(Failure.from_json(final.error or "").message, branches=results)
        self._turn.raised(error, self._key)
        raise error from next(iter(results.errors), None)

    async def _pass_by(self, numbers: Iterable[int]) -> None:
        """Branches that are over and do not run again; a rehearsal may want to see how far they had come."""
        if self._turn.rehearsal is not None:
            await self._turn.rehearsal.pass_branches(self._scope, self._key, numbers, self._begin)

    def _diverged(self, recorded: str, asked: str) -> Suspend:
        before, now = f"{self._operation} {self._key} with {recorded}", f"the same with {asked}"
        return self._turn.stop(Divergence(key=self._key, recorded=before, asked=now))


def _stood(result: BranchResult[Any], status: BranchStatus) -> BranchResult[Any]:
    """A branch that did not run again, as it stood."""
    return result if status in {"succeeded", "failed"} else BranchResult(index=result.index, status=status)
