"""What runs in a storm: tasks of every kind, the workers that execute them, and the callers that answer them.

A run's number says what it is and what it returns; two callers trigger every number and race to answer, each of them
killed at any moment and started anew.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentflow import (
    AgentFlow,
    Queue,
    create_callback,
    map,  # noqa: A004  it is agentflow's
    sleep,
    step,
    task,
    wait_for_approval,
    wait_for_event,
)
from agentflow.errors import Conflict, IllegalTransition
from agentflow.states import RunStatus
from tests.crash.programs import TASKS, add, answer, mixed_result, settings, short, trigger
from tests.support import ledger
from tests.support.ledger import note

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from agentflow.client import Client
    from agentflow.records import Approval, Run

CONCURRENCY = 2
NARROW = Queue("narrow", concurrency=CONCURRENCY)
LARGE = "x" * 200_000
TOKEN, BOOKED, UNBOOKED = "TOKEN", "BOOKED", "UNBOOKED"

# -- tasks


@task
async def hears(n: int) -> int:
    paid = await wait_for_event("paid", key=str(n), type=int, look_back="1h")
    return await add(n, paid)


@step
async def hand_over(n: int, token: str) -> None:
    note(TOKEN, f"{n} {token}")


@task
async def called_back(n: int) -> int:
    callback = await create_callback(type=int)
    await hand_over(n, callback.token)
    return await add(n, await callback)


async def unbook(n: int) -> None:
    note(UNBOOKED, str(n))


@step(undo=unbook)
async def book(n: int) -> None:
    note(BOOKED, str(n))


@task
async def fails_and_undoes(n: int) -> None:
    await book(n)
    raise ValueError("no more money")


@task
async def is_cancelled(n: int) -> None:
    await book(n)
    await wait_for_event("never", key=str(n))


@task(queue=NARROW)
async def lines_up(n: int) -> int:
    await sleep("20ms")
    return await add(n, 1)


@task
async def fans_out(n: int) -> list[int]:
    return list(await map(short, range(n, n + 3), concurrency=2))


@task
async def is_contested(n: int) -> str:
    decision = await wait_for_approval({"n": n}, title="Yes or no?", tags={"contested": str(n)}, timeout="300ms")
    return decision.outcome


@step
async def fetch_much(n: int) -> str:
    return LARGE


@task
async def is_paused(n: int) -> int:
    much = await fetch_much(n)
    await sleep("200ms")
    return await add(n, len(much))


STORM = [hears, called_back, fails_and_undoes, is_cancelled, lines_up, fans_out, is_contested, is_paused]
KINDS = ["mixed", *(one.id for one in STORM)]


def kind_of(n: int) -> str:
    return KINDS[n % len(KINDS)]


def results_of(numbers: list[int]) -> dict[str, Any]:
    """What the runs of these numbers return, where it does not depend on who wins a race."""
    by_kind: dict[str, Any] = {
        "mixed": mixed_result,
        "hears": lambda n: 3 * n,
        "called_back": lambda n: 3 * n,
        "lines_up": lambda n: n + 1,
        "fans_out": lambda n: [n + 1, n + 2, n + 3],
        "is_paused": lambda n: n + len(LARGE),
    }
    return {f"storm {n}": by_kind[kind_of(n)](n) for n in numbers if kind_of(n) in by_kind}


# -- workers


def work(channel: Connection, database: str, options: dict[str, Any]) -> None:
    """A worker, until it is told to end, or asked to by SIGTERM."""

    async def main() -> None:
        loop, ending = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, ending.set)
        loop.add_reader(channel.fileno(), ending.set)
        async with AgentFlow(*TASKS, *STORM, database=database, settings=settings(**options)) as app:
            channel.send("working")
            await ending.wait()
            assert app.worker is not None

    asyncio.run(main())


# -- callers


def call(channel: Connection, database: str, numbers: list[int], verdict: str) -> None:
    """Trigger a run of each number and answer what they ask, until all have ended."""
    asyncio.run(_Caller(numbers, verdict).see_all_end(database))


class _Caller:
    def __init__(self, numbers: list[int], verdict: str) -> None:
        self._numbers = numbers
        self._verdict = verdict
        self._runs: dict[int, str] = {}
        self._sent: set[int] = set()
        self._read = 0

    async def see_all_end(self, database: str) -> None:
        async with AgentFlow(*TASKS, *STORM, database=database, worker=False) as app:
            for n in self._numbers:
                if n % 2:  # some events are sent before anybody waits for them
                    await self._send(app.client, n)
                self._runs[n] = await trigger(app.client, kind_of(n), {"n": n}, key=f"storm {n}")
            async for _ in app.client.changes():
                if await self._answer_all(app.client):
                    return

    async def _answer_all(self, client: Client) -> bool:
        """Answer what there is to answer; whether all have ended."""
        runs = {n: await client.run(run_id) for n, run_id in self._runs.items()}
        for approval in (await client.approvals(limit=200)).items:
            with suppress(Conflict):
                await self._decide(client, approval)
        for n, token in self._tokens():
            if n in runs:
                with suppress(Conflict):
                    await client.complete_callback(token, 2 * n)
        for n, run in runs.items():
            with suppress(IllegalTransition):
                await self._steer(client, n, run)
        return all(run.is_finished for run in runs.values())

    async def _decide(self, client: Client, approval: Approval) -> None:
        if "contested" in json.loads(approval.tags):
            made = await client.decide(approval.id, self._verdict, by=self._verdict)
            note("DECIDED", made.id)
        else:
            await answer(client, approval)

    async def _steer(self, client: Client, n: int, run: Run) -> None:
        await self._send(client, n)
        match run.task, run.status:
            case "is_cancelled", RunStatus.WAITING:
                await client.cancel(run.id, by=self._verdict)
            case "is_paused", RunStatus.WAITING if n % 4 < 2:
                await client.pause(run.id, by=self._verdict)
            case _, RunStatus.PAUSED:
                await client.resume(run.id, by=self._verdict)

    async def _send(self, client: Client, n: int) -> None:
        if kind_of(n) == "hears" and n not in self._sent:
            self._sent.add(n)
            await client.send_event("paid", 2 * n, key=str(n), id=f"paid-{n}", by="both callers")

    def _tokens(self) -> list[tuple[int, str]]:
        """The tokens that were handed over since the last look."""
        path = Path(os.environ[ledger.VARIABLE])
        if not path.exists():
            return []
        with path.open(encoding="utf-8") as file:
            file.seek(self._read)
            lines = file.readlines()
            self._read = file.tell()
        given = [ledger.Line(*json.loads(line)) for line in lines]
        return [(int(one.run.split()[0]), one.run.split()[1]) for one in given if one.phase == TOKEN]
