"""What the killed processes run: tasks whose steps write to the effect ledger, and the programs around them."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentflow import AgentFlow, Retry, fallback, gather, log, operation, sleep, step, task, wait_for_approval
from agentflow.clock import SystemClock
from agentflow.settings import WorkerSettings
from tests.crash.holding import holds_a_thread, holds_a_thread_for_word
from tests.support import ledger
from tests.support.ledger import note, witness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime
    from multiprocessing.connection import Connection

    from agentflow.client import Client

PAYMENTS = 2
"""How many `pays_twice` makes side by side."""
RELEASED = "released"
"""The file beside the ledger that lets go on who stands still."""

# -- steps


@step
async def add(total: int, more: int) -> int:
    witness()
    return total + more


@step
def double(number: int) -> int:
    witness()
    return number * 2


@step(retry=Retry(max_attempts=3, min_delay="5ms", jitter=0))
async def second_time_lucky(number: int) -> int:
    witness()
    known = operation()
    if known is not None and known.attempt == 1:
        raise ValueError("not yet")
    return number + 1


@step(effect="at_most_once")
async def pay(amount: int) -> int:
    witness()
    return amount


@step(effect="at_most_once")
async def pay_beside(amount: int) -> int:
    """Its end cannot be recorded before the other payment has begun too."""
    witness()
    while len(ledger.starts(Path(os.environ[ledger.VARIABLE]))) < PAYMENTS:  # noqa: ASYNC110 it may have begun in a process that is gone
        await asyncio.sleep(0.001)
    return amount


async def broken(number: int) -> int:
    raise ValueError(f"{number} is not to be had here")


@step
async def tenfold(number: int) -> int:
    witness()
    return number * 10


# -- tasks


@task
async def twenty_steps(seed: int) -> int:
    total = seed
    for number in range(20):
        total = await add(total, number * number)
    return total


@task
async def short(n: int) -> int:
    log.info("on my way")
    return await add(n, 1)


@task
async def parent(n: int) -> int:
    child = await short.trigger(n)
    return await add(await child, 100)


@task
async def asks(n: int) -> dict[str, Any]:
    wanted = await add(n, 1)
    decision = await wait_for_approval({"total": wanted}, title=f"Pay {wanted}?", timeout="1h")
    return {"outcome": decision.outcome, "total": decision.data and decision.data["total"]}


@task
async def asks_beside(n: int) -> list[Any]:
    return list(await gather(asks(n), twenty_steps(n)))


@task
async def naps(n: int) -> int:
    await sleep("10m")
    return await add(n, 1)


@task
async def pays(n: int) -> int:
    return await pay(n)


@task
async def pays_twice(n: int) -> list[int]:
    return list(await gather(pay_beside(n), pay_beside(n + 1)))


@task
async def mixed(n: int) -> dict[str, Any]:
    """A bit of everything. What people answer depends on `n` only, so the result does too."""
    first = await double(n)
    left, right = await gather(short(first), double(first + 1))
    found = await fallback(broken, tenfold)(left + right)
    await sleep("10ms")
    lucky = await second_time_lucky(found)
    child = await short.trigger(lucky)
    total = await child
    decision = await wait_for_approval({"total": total}, title=f"Pay {total}?", tags={"n": str(n)})
    return {"outcome": decision.outcome, "total": decision.data and decision.data["total"]}


def mixed_result(n: int) -> dict[str, Any]:
    """What `mixed` returns undisturbed."""
    total = ((n * 2 + 1) + (n * 2 + 1) * 2) * 10 + 1 + 1
    answers = {
        "approve": {"outcome": "approved", "total": total},
        "correct": {"outcome": "corrected", "total": total + 1},
        "reject": {"outcome": "rejected", "total": None},
    }
    return answers[verdict_on(n)]


def verdict_on(n: int) -> str:
    return ("approve", "correct", "reject")[n % 3]


# -- tasks that harm or hold up the process they run in


@step
async def stop_the_first_time() -> str:
    """Have the effect, and stand still before it is recorded; whoever comes second does not."""
    witness()
    known = operation()
    assert known is not None
    witness(f"effect {known.idempotency_key}")
    if _is_first():
        _stand_still()
    return "done"


def _stand_still() -> None:
    """Until it is released: woken before, as when it was in the middle of a write, it ends that and stops again."""
    released = Path(os.environ[ledger.VARIABLE]).with_name(RELEASED)
    while not released.exists():
        os.kill(os.getpid(), signal.SIGSTOP)


def _is_first() -> bool:
    """Whether the present step has not been entered before."""
    known = operation()
    lines = ledger.read(Path(os.environ[ledger.VARIABLE]))
    return (
        known is not None
        and sum((line.run, line.key, line.phase) == (known.run_id, known.key, "start") for line in lines) == 1
    )


@task
async def stopped_after_its_effect(n: int) -> int:
    await stop_the_first_time()
    return await add(n, 1)


@step
async def block_the_loop(fifo: str) -> str:
    """Hold up the whole event loop until somebody writes to the pipe."""
    witness()
    with open(fifo, encoding="utf-8") as pipe:  # noqa: ASYNC230, PTH123  blocking is what it is for
        return pipe.read()


@task
async def blocks(fifo: str) -> str:
    return await block_the_loop(fifo)


@step
async def die(how: str) -> None:
    witness()
    if how == "exit":
        os._exit(7)
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    ctypes.string_at(0)


@task
async def poison(how: str) -> None:
    await die(how)


@step
def swallow_memory() -> int:
    """As much as there is, and then some."""
    witness()
    held: list[bytearray] = []
    while True:
        held.append(bytearray(16 * 1024 * 1024))


@task
async def swallows() -> int:
    return await swallow_memory()


@step
async def wait_for_word(fifo: str) -> str:
    """Until somebody writes to the pipe, without holding anybody up."""
    witness()
    return await asyncio.to_thread(Path(fifo).read_text, encoding="utf-8")


@step
async def stop_then_wait(fifo: str) -> str:
    """Whoever comes first stands still and is late; whoever comes second waits for word."""
    witness()
    if _is_first():
        _stand_still()
        return "of the late one"
    return await asyncio.to_thread(Path(fifo).read_text, encoding="utf-8")


@task
async def two_at_once(fifo: str) -> str:
    return await stop_then_wait(fifo)


@task
async def asks_while_deaf(word: str, block: str) -> list[Any]:
    """Asks, and then holds up its whole process, in which nobody hears of the answer."""

    async def deaf() -> str:
        await wait_for_word(word)
        return await block_the_loop(block)

    return list(await gather(asks(3), deaf()))


@task
async def takes_long(fifo: str, n: int) -> int:
    before = await add(n, 1)
    await wait_for_word(fifo)
    return await add(before, 1)


TASKS = [
    twenty_steps,
    short,
    parent,
    asks,
    asks_beside,
    naps,
    pays,
    pays_twice,
    mixed,
    stopped_after_its_effect,
    blocks,
    poison,
    swallows,
    holds_a_thread,
    holds_a_thread_for_word,
    takes_long,
    two_at_once,
    asks_while_deaf,
]

# -- programs


class Ahead:
    """The host's clock, set forward."""

    def __init__(self, by: timedelta) -> None:
        self._clock = SystemClock()
        self._by = by

    def now(self) -> datetime:
        return self._clock.now() + self._by

    async def sleep(self, span: timedelta) -> None:
        await self._clock.sleep(span)


def settings(**seconds: float) -> WorkerSettings:
    """A lease nobody outlives in a test, unless another is asked for; as many recoveries as it takes."""
    counts: dict[str, Any] = {"max_recoveries": 1000}
    counts |= {name: int(seconds.pop(name)) for name in ("max_recoveries", "concurrency", "threads") if name in seconds}
    spans = {"lease_for": 600.0, "heartbeat_every": 60.0, "hold_for": 0.0} | seconds
    return WorkerSettings(**counts, **{name: timedelta(seconds=span) for name, span in spans.items()})


@asynccontextmanager
async def opened(database: str, *, worker: bool, ahead: float = 0.0, **seconds: float) -> AsyncIterator[AgentFlow]:
    clock = Ahead(timedelta(hours=ahead)) if ahead else None
    async with AgentFlow(*TASKS, database=database, worker=worker, settings=settings(**seconds), clock=clock) as app:
        yield app


def work(channel: Connection, database: str, options: dict[str, Any]) -> None:
    """A worker: says that it has started, works until it is told to end or asked to by SIGTERM."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ending = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, ending.set)
        loop.add_reader(channel.fileno(), ending.set)
        async with opened(database, worker=True, **options) as app:
            assert app.worker is not None
            channel.send(app.worker.id)
            await ending.wait()

    asyncio.run(main())


def see_through(channel: Connection, database: str, task_id: str, given: dict[str, Any]) -> None:
    """Ask for the one run there is to be, again after a crash, and execute it until it has ended."""

    async def main() -> None:
        async with opened(database, worker=True) as app:
            run = await trigger(app.client, task_id, given)
            channel.send((await app.client.result(run)).status)

    asyncio.run(main())


async def trigger(client: Client, task_id: str, given: dict[str, Any], *, key: str = "the run") -> str:
    """The id of the run for `key`; what was promised is in the ledger."""
    run = await client.trigger_json(task_id, given, idempotency_key=key)
    note("TRIGGERED", run.id)
    return run.id


def call_and_decide(channel: Connection, database: str, numbers: list[int]) -> None:
    """Ask for a run of `mixed` for each number and answer what they ask, until all of them have ended."""

    async def main() -> None:
        async with opened(database, worker=False) as app:
            runs = [await trigger(app.client, "mixed", {"n": n}, key=f"mixed {n}") for n in numbers]
            async for _ in app.client.changes():
                for approval in (await app.client.approvals(limit=200)).items:
                    await answer(app.client, approval)
                if all([(await app.client.run(run)).is_finished for run in runs]):
                    return

    asyncio.run(main())


async def answer(client: Client, approval: Any) -> None:
    """Decide as the number in its tags says; the decision's id is the same whoever makes it after whichever crash."""
    verdict = verdict_on(int(json.loads(approval.tags)["n"]))
    final = {"total": json.loads(approval.data)["total"] + 1} if verdict == "correct" else None
    changes = {} if final is None else {"data": final}
    made = await client.decide(approval.id, verdict, by="the test", decision_id=f"dec-{approval.id}", **changes)
    note("DECIDED", made.id)


def see_through_when_told(channel: Connection, database: str, task_id: str, given: dict[str, Any]) -> None:
    """As `see_through`, once somebody has said so: whoever watches the process attaches to it first."""
    channel.recv()
    see_through(channel, database, task_id, given)
