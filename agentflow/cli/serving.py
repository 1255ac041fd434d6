"""One program, one loop: its parts started in order, and stopped in order when a signal asks."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack, redirect_stdout
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from agentflow.app import AgentFlow
from agentflow.cli.announcing import announce
from agentflow.cli.exits import ExitCode
from agentflow.cli.probes import Condition, Probes
from agentflow.cli.signals import Ending, end
from agentflow.cli.voices import speak
from agentflow.clock import SystemClock
from agentflow.later import lasting
from agentflow.settings import WorkerSettings

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from agentflow.cli.targets import Application
    from agentflow.cli.terminal import Terminal

LONGEST_END: Final = timedelta(seconds=10)
"""What the end of a program may take beside the time its runs and its pages are given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What this program is to run: pages where there is a `listener`, which answers to the names `hosts`.

    With `dev` whoever is on this machine may do everything on them, and what is fit for trying out only is not refused.
    On `health` it says how it is. Asked to end, its pages go on for `linger` and say that they are not ready.
    """

    worker: bool = False
    schedules: bool = False
    listener: socket.socket | None = None
    hosts: tuple[str, ...] = ()
    dev: bool = False
    health: socket.socket | None = None
    linger: timedelta = timedelta(0)
    settings: WorkerSettings = field(default_factory=WorkerSettings)


def run(terminal: Terminal, application: Application | None, parts: Parts) -> int:
    """Run the parts until a signal. A first signal lets runs come to rest; a second one ends the program at once."""
    speak(quiet=terminal.quiet)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(terminal, application, parts))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop of uvloop where that is installed (`agentflow[speed]`)."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _run(terminal: Terminal, application: Application | None, parts: Parts) -> int:
    within = parts.linger + LONGEST_END + (parts.settings.drain_for if parts.worker else timedelta(0))
    ending = Ending(terminal, within=within.total_seconds())
    condition = Condition(ending.asked)
    modules = [application.module] if application else []
    for webhook in application.catalog.webhooks.values() if application and parts.listener else ():
        webhook.require_ready(dev=parts.dev)  # before anything is started that would have to be ended again
    async with AsyncExitStack() as started:
        if parts.health is not None:
            await _start_probes(condition, parts.health, started)
        agentflow = await started.enter_async_context(
            AgentFlow(*modules, database=terminal.database, worker=parts.worker, settings=parts.settings, dev=parts.dev)
        )
        troubles = [await _start_ticker(agentflow, started)] if parts.schedules else []
        if (worker := agentflow.worker) is not None:
            troubles.append(lambda: worker.trouble)
        if (teller := agentflow.teller) is not None:
            troubles.append(lambda: teller.trouble)
        condition.has_started(agentflow, *troubles)
        pages = await _start_pages(agentflow, parts, condition, started) if parts.listener else None
        announce(terminal, application, parts, unopened=await _unopened(agentflow, parts))
        if terminal.as_json:
            started.enter_context(redirect_stdout(sys.stderr))  # the answer was given; what tasks print is none
        await _first(ending.asked.wait(), *([pages] if pages else []))
        if parts.listener:
            await SystemClock().sleep(parts.linger)  # until whoever balances the load has noticed
    _leave_behind(terminal, agentflow)
    return ExitCode.OK


def _leave_behind(terminal: Terminal, agentflow: AgentFlow) -> None:
    """End at once where code goes on that cannot be ended, and whose run has been handed back."""
    worker = agentflow.worker
    if worker is not None and (left := worker.steps_in_threads):
        terminal.note(f"{left} sync step{'s have' if left > 1 else ' has'} not returned; the program ends without")
        end(ExitCode.OK)
    if worker is not None and (left := worker.turns):
        terminal.note(f"the code of {left} run{' goes' if left == 1 else 's go'} on; the program ends without")
        end(ExitCode.OK)


async def _start_probes(condition: Condition, listener: socket.socket, started: AsyncExitStack) -> None:
    probes = Probes(condition.trouble)
    await probes.start(listener)
    started.push_async_callback(probes.stop)


async def _start_ticker(agentflow: AgentFlow, started: AsyncExitStack) -> Callable[[], str]:
    from schedulers.ticker import Ticker

    ticker = Ticker(agentflow.client)
    await ticker.start()
    started.push_async_callback(ticker.stop)
    return lambda: ticker.trouble


async def _start_pages(
    agentflow: AgentFlow, parts: Parts, condition: Condition, started: AsyncExitStack
) -> Awaitable[None]:
    with lasting():
        from agentflow.cli.pages import Pages

    assert parts.listener is not None
    pages = Pages(agentflow.client, parts.listener, dev=parts.dev, hosts=parts.hosts, trouble=condition.trouble)
    await pages.start()
    started.push_async_callback(pages.stop)
    return pages.ended()


async def _unopened(agentflow: AgentFlow, parts: Parts) -> bool:
    """Whether the pages are shut to everybody, because nobody has a token that holds."""
    if parts.listener is None or parts.dev:
        return False
    now = agentflow.client.now()
    return not any(token.holds_at(now) for token in await agentflow.client.tokens.all())


async def _first(*awaited: Awaitable[Any]) -> None:
    """Return, or raise, as the first of these does."""
    tasks = [asyncio.ensure_future(one) for one in awaited]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()
