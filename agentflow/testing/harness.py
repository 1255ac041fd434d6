"""Tasks under test: a real store and a real worker on a temporary file, with time that stands still."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from agentflow.app import AgentFlow
from agentflow.errors import DefinitionError
from agentflow.settings import WorkerSettings
from agentflow.states import Verdict
from agentflow.tasks.handle import outcome
from agentflow.testing.answers import name_of, token_of
from agentflow.testing.clock import FakeClock
from agentflow.testing.worker import TestWorker, with_every_label

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agentflow.client import Client
    from agentflow.events import Event as HistoryEvent
    from agentflow.records import Approval, Callback, Decision, Entry, Event, Run
    from agentflow.store import Store
    from agentflow.tasks.task import Task
    from agentflow.testing.answers import Answers
    from agentflow.testing.reviewer import Reviewer

# The clock is moved by days at a time; the lease of a worker that is alive must not run out by it.
UNHURRIED = WorkerSettings(lease_for=timedelta(days=3_650), drain_for=timedelta(seconds=1))


class Harness:
    """Runs tasks for a test: `async with Harness(my_task) as harness: run = await harness.trigger(my_task, 1)`.

    Time stands still until `advance`; only pauses too short to park a run pass by themselves. With
    `replay_always=True` a run is given back after each operation and goes on from its journal, so that a test which
    passes both ways shows that the task does not notice being replayed. A `reviewer` decides approvals as they appear,
    `answers` sends events and answers callbacks, and both are held to what they say at the end. The database is the one
    of this URL, or the file `path`, both of which are kept; or a file that is removed at the end.
    """

    def __init__(
        self,
        *definitions: Any,
        path: Path | str | None = None,
        database: str | None = None,
        clock: FakeClock | None = None,
        replay_always: bool = False,
        settings: WorkerSettings = UNHURRIED,
        reviewer: Reviewer | None = None,
        answers: Answers | None = None,
    ) -> None:
        self.clock = clock or FakeClock()
        self.reviewer = reviewer
        self.answers = answers
        self._definitions = definitions
        is_given = path is not None or database is not None
        self._folder = None if is_given else tempfile.mkdtemp(prefix="agentflow-")
        self._database = database or f"sqlite:///{Path(path or f'{self._folder}/runs.db').resolve()}"
        self._replay_always = replay_always
        self._settings = settings
        self._app: AgentFlow | None = None
        self._worker: TestWorker | None = None
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self._open.aclose()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        for script in (self.reviewer, self.answers):
            if script is not None and kind is None:
                script.check()

    async def _start(self, dead: str = "") -> None:
        app = AgentFlow(*self._definitions, database=self._database, clock=self.clock, worker=False)
        self._app = await self._open.enter_async_context(app)
        if dead:
            await app.store.bury([dead])
        store = self.store_of_worker()
        settings = with_every_label(self._settings, app.catalog)
        self._worker = TestWorker(store, app.catalog, settings, self.clock, replay_always=self._replay_always)
        await self._worker.start()
        self._open.push_async_callback(self._worker.stop)
        self._open.callback(self.clock.attach(self.until_idle, self.client.head, self.store.next_due_at))

    def store_of_worker(self) -> Store:
        """What the worker reads and writes."""
        return self.store

    @property
    def app(self) -> AgentFlow:
        """The open application. Raises `DefinitionError` outside `async with`."""
        if self._app is None:
            raise DefinitionError("Harness is not open; use it in `async with`")
        return self._app

    @property
    def client(self) -> Client:
        """What a program outside the runs holds."""
        return self.app.client

    @property
    def store(self) -> Store:
        """The store the worker uses."""
        return self.app.store

    @property
    def worker(self) -> TestWorker:
        """The worker. Raises `DefinitionError` outside `async with`."""
        if self._worker is None:
            raise DefinitionError("Harness is not open; use it in `async with`")
        return self._worker

    # -- runs

    async def trigger(self, task: Task[..., Any], /, *args: Any, **kwargs: Any) -> Run:
        """A new run; it begins as soon as the test awaits anything. Raises `InvalidInput`; no run was made then."""
        return await self.client.trigger(task, *args, **kwargs)

    async def run(self, task: Task[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """The result of a new run. Raises as `result` does."""
        return await self.result(await self.trigger(task, *args, **kwargs))

    async def until_idle(self) -> None:
        """Return when no run can go on: each has ended, or waits for a person or for time to pass."""
        await self.worker.until_idle()
        while await self._answer():
            await self.worker.until_idle()

    async def _answer(self) -> int:
        """Give the answers that are scripted; how many that were."""
        decided = 0 if self.reviewer is None else await self.reviewer.answer(self.client)
        return decided + (0 if self.answers is None else await self.answers.answer(self.client, self.store))

    async def result(self, run: Run | str) -> Any:
        """What the run returned, once nothing can go on any more.

        Raises `RunFailed` or `RunCancelled` as awaiting a handle does, and `AssertionError` with the reason if the run
        is still open.
        """
        await self.until_idle()
        found = await self.client.run(_id(run))
        if not found.is_finished:
            raise AssertionError(f"run {found.id} of {found.task} has not ended: {await self.why(found)}")
        task = self.app.catalog.task_for(found) or self.app.catalog.task(found.task)
        return outcome(task, found.id, found.status, found.output, found.error)

    async def status(self, run: Run | str) -> str:
        """Where the run is, once nothing can go on any more."""
        await self.until_idle()
        return (await self.client.run(_id(run))).status.value

    async def why(self, run: Run | str) -> str:
        """Why the run is where it is, in one sentence."""
        return await self.client.why(_id(run))

    async def journal(self, run: Run | str) -> Sequence[Entry]:
        """Everything recorded of the run, oldest first."""
        return await self.client.journal(_id(run))

    async def history(self, run: Run | str) -> Sequence[HistoryEvent]:
        """The journal as typed events, once nothing can go on any more."""
        await self.until_idle()
        return await self.client.history(_id(run))

    # -- approvals

    async def approvals(self, run: Run | str | None = None) -> Sequence[Approval]:
        """The pending approvals, of one run or of all, once nothing can go on without them."""
        await self.until_idle()
        return (await self.client.approvals(run_id=None if run is None else _id(run))).items

    async def only_approval(self, run: Run | str | None = None) -> Approval:
        """The one pending approval. Raises `AssertionError` if there is none, or more than one."""
        found = await self.approvals(run)
        if len(found) != 1:
            keys = ", ".join(f"{one.key} of {one.run_id}" for one in found) or "none"
            raise AssertionError(f"wanted one pending approval, there are {len(found)}: {keys}")
        return found[0]

    async def approve(self, approval: Approval | str, *, by: str = "tester", comment: str = "") -> Decision:
        """Decide for the data as proposed; the receipt."""
        return await self.client.decide(_id(approval), Verdict.APPROVE, by=by, comment=comment)

    async def correct(
        self, approval: Approval, data: Any = None, /, *, by: str = "tester", comment: str = "", **changes: Any
    ) -> Decision:
        """Decide for other data: `data` as a whole, or the proposed object with `changes` to its fields."""
        final = data if data is not None else json.loads(approval.data) | changes
        return await self.client.decide(approval.id, Verdict.CORRECT, by=by, comment=comment, data=final)

    async def reject(self, approval: Approval | str, *, by: str = "tester", comment: str = "") -> Decision:
        """Decide against it; the receipt."""
        return await self.client.decide(_id(approval), Verdict.REJECT, by=by, comment=comment)

    # -- other systems

    async def send_event(self, name: str, payload: Any = None, *, key: str = "") -> Event:
        """The event, sent: runs that wait for it go on, and those that come to wait for it find it."""
        return await self.client.send_event(name, payload, key=key, by="tester")

    async def complete_callback(self, run: Run | str, name: str = "callback", result: Any = None) -> Callback:
        """Answer the one open callback of this name, as a system does that was given its token."""
        callback = await self._only_callback(_id(run), name)
        return await self.client.complete_callback(await token_of(self.store, callback), result)

    async def fail_callback(self, run: Run | str, name: str = "callback", error: str = "it failed") -> Callback:
        """The same, with an error."""
        callback = await self._only_callback(_id(run), name)
        return await self.client.fail_callback(await token_of(self.store, callback), error)

    async def _only_callback(self, run_id: str, name: str) -> Callback:
        await self.until_idle()
        every = await self.client.callbacks(run_id)
        found = [one for one in every if one.is_pending and name_of(one.key) == name]
        if len(found) != 1:
            known = ", ".join(f"{one.key} ({one.status})" for one in every) or "none"
            raise AssertionError(f"wanted one open callback {name!r} of {run_id}, there are {len(found)}: {known}")
        return found[0]

    # -- time and death

    async def advance(self, by: str | float | timedelta) -> None:
        """Let everything come to rest, move time on, and return when all that fell due by it has been done."""
        await self.until_idle()
        await self.clock.advance(by)

    async def advance_to(self, instant: datetime) -> None:
        """The same, to an instant."""
        await self.until_idle()
        await self.clock.advance_to(instant)

    async def restart(self, *definitions: Any) -> None:
        """Stop in order and start anew on the same file, with these definitions if any are given."""
        await self._again(definitions)

    async def crash(self, *definitions: Any) -> None:
        """Die where it stands, nothing handed back, and start anew on the same file: what is begun is cut off."""
        dead = self.worker.id
        await self.worker.die()
        await self._again(definitions, dead)

    async def _again(self, definitions: tuple[Any, ...], dead: str = "") -> None:
        await self._open.aclose()
        self._open = AsyncExitStack()
        self._definitions = definitions or self._definitions
        await self._start(dead)


def _id(of: Run | Approval | str) -> str:
    return of if isinstance(of, str) else of.id
