"""Embed agentflow: a store, a client and, unless told otherwise, a worker, for as long as an `async with` lasts."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Self

from agentflow.errors import DefinitionError
from agentflow.later import is_imported, lasting, later
from agentflow.settings import database_url
from agentflow.tasks.calling import current_starter
from agentflow.tasks.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextvars import Token

    from agentflow import client as clients
    from agentflow import store as stores
    from agentflow import telling
    from agentflow import worker as workers
    from agentflow.client import Client
    from agentflow.clock import Clock
    from agentflow.records import Run
    from agentflow.runtime.dry import replaying
    from agentflow.settings import WorkerSettings
    from agentflow.store import Store
    from agentflow.tasks.calling import Starter
    from agentflow.tasks.task import Task
    from agentflow.telling import Teller
    from agentflow.worker import Worker
else:  # what runs tasks is imported when something is opened: not by a module of tasks that others import
    clients, stores, workers = later("agentflow.client"), later("agentflow.store"), later("agentflow.worker")
    telling = later("agentflow.telling")
    replaying = later("agentflow.runtime.dry.replaying")

OPENING: Final = ("agentflow.client", "agentflow.runtime.dry.replaying")
EXECUTING: Final = ("agentflow.worker", "agentflow.telling")
"""What is imported while a store is opened for the first time."""


class AgentFlow:
    """Tasks on a database: `async with AgentFlow(my_task, database="sqlite:///runs.db") as app`.

    `definitions` are tasks, or modules with tasks. Within the block `app.client` starts and steers runs,
    `my_task.trigger(...)` works, and with `worker=True` this process executes runs and tells subscribers of them (under
    `dev` those on this machine too). The database is `database`, else what `AGENTFLOW_DATABASE_URL` says, else
    `sqlite:///agentflow.db`.
    """

    def __init__(
        self,
        *definitions: Any,
        database: str | None = None,
        settings: WorkerSettings | None = None,
        clock: Clock | None = None,
        worker: bool = True,
        dev: bool = False,
    ) -> None:
        self.catalog = Catalog.collect(*definitions)
        self.database = database_url(database)
        self._settings = settings
        self._clock = clock
        self._with_worker = worker
        self._dev = dev
        self._store: Store | None = None
        self._client: Client | None = None
        self._token: Token[Starter | None] | None = None
        self.worker: Worker | None = None
        self.teller: Teller | None = None

    async def __aenter__(self) -> Self:
        if is_imported("agentflow.store.opening"):
            self._store = await stores.open_store(self.database, clock=self._clock)
        else:
            with lasting():
                self._store = await self._first_opened()
        self._client = clients.Client(self._store, self.catalog, replaying.misfit)
        try:
            await self._client.declare_queues()
            if self._with_worker:
                self.worker = workers.Worker(self._store, self.catalog, self._settings, self._clock)
                await self.worker.start()
                self.teller = telling.Teller(self._store, dev=self._dev)
                await self.teller.start()
        except BaseException:
            await self._stop()
            raise
        self._token = current_starter.set(_Starting(self._client, self._store))
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._token is not None:
            with suppress(ValueError):  # closed by another asyncio task, where it was never set
                current_starter.reset(self._token)
        await self._stop()

    async def _first_opened(self) -> Store:
        """The store, and while it is being opened what else is needed is imported."""
        opening = asyncio.create_task(stores.open_store(self.database, clock=self._clock))
        try:
            await asyncio.wait({opening}, timeout=0)  # it begins, and leaves the rest to a thread
            for module in (*OPENING, *(EXECUTING if self._with_worker else ())):
                import_module(module)
        except BaseException:
            opening.cancel()
            raise
        return await opening

    async def _stop(self) -> None:
        if self.worker is not None:
            await self.worker.stop()
        if self.teller is not None:
            await self.teller.stop()
        if self._store is not None:
            await self._store.close()

    @property
    def client(self) -> Client:
        """Starts runs and steers them, while this is open."""
        if self._client is None:
            raise DefinitionError("AgentFlow is not open; use it in `async with`")
        return self._client

    @property
    def store(self) -> Store:
        """The store, while this is open."""
        if self._store is None:
            raise DefinitionError("AgentFlow is not open; use it in `async with`")
        return self._store


class _Starting:
    """Lets `task.trigger(...)` outside of runs find this program's store."""

    def __init__(self, client: Client, store: Store) -> None:
        self._client = client
        self._store = store

    async def start(self, task: Task[..., Any], inputs: Sequence[str]) -> Sequence[str]:
        requests = [task.request(text, origin="program") for text in inputs]
        return [run.id for run in await self._store.trigger_many(requests)]

    async def ended(self, run_id: str) -> Run:
        return await self._client.result(run_id)
