"""One program, one loop: its parts started in order, and stopped in order when a signal asks."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agentflow.app import AgentFlow
from agentflow.cli.addresses import address_of
from agentflow.cli.exits import ExitCode
from agentflow.cli.terminal import write
from agentflow.cli.voices import speak

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from agentflow.cli.targets import Application
    from agentflow.cli.terminal import Terminal

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What this program is to run: pages where there is a `listener`, which answers to the names `hosts`."""

    worker: bool = False
    schedules: bool = False
    listener: socket.socket | None = None
    hosts: tuple[str, ...] = ()


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
    stopping = asyncio.Event()
    _listen(terminal, stopping)
    modules = [application.module] if application else []
    async with AsyncExitStack() as started:
        agentflow = await started.enter_async_context(
            AgentFlow(*modules, database=terminal.database, worker=parts.worker)
        )
        if parts.schedules:
            await _start_ticker(agentflow, started)
        pages = await _start_pages(agentflow, parts, parts.listener, started) if parts.listener else None
        _announce(terminal, application, parts)
        if terminal.as_json:
            started.enter_context(redirect_stdout(sys.stderr))  # the answer was given; what tasks print is none
        await _first(stopping.wait(), *([pages] if pages else []))
    if agentflow.worker is not None and (left := agentflow.worker.steps_in_threads):
        terminal.note(f"{left} sync step{'s have' if left > 1 else ' has'} not returned; the program ends without")
        _end(ExitCode.OK)
    return ExitCode.OK


def _end(code: ExitCode) -> None:
    """End here and now. Durable work needs no farewell: whoever starts next goes on from here."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


async def _start_ticker(agentflow: AgentFlow, started: AsyncExitStack) -> None:
    from schedulers.ticker import Ticker

    ticker = Ticker(agentflow.client)
    await ticker.start()
    started.push_async_callback(ticker.stop)


async def _start_pages(
    agentflow: AgentFlow, parts: Parts, listener: socket.socket, started: AsyncExitStack
) -> Awaitable[None]:
    from agentflow.cli.pages import Pages

    for webhook in agentflow.catalog.webhooks.values():
        webhook.require_secrets()  # else its first request would be the first to say that one is missing
    pages = Pages(agentflow.client, listener, hosts=parts.hosts)
    await pages.start()
    started.push_async_callback(pages.stop)
    return pages.ended()


async def _first(*awaited: Awaitable[Any]) -> None:
    """Return, or raise, as the first of these does."""
    tasks = [asyncio.ensure_future(one) for one in awaited]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()


def _listen(terminal: Terminal, stopping: asyncio.Event) -> None:
    def asked(number: int) -> None:
        if stopping.is_set():
            _end(ExitCode.INTERRUPTED)
        terminal.note(f"{signal.Signals(number).name}: letting runs come to rest; once more ends at once")
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        if sys.platform == "win32":
            signal.signal(number, lambda number, _: loop.call_soon_threadsafe(asked, number))
        else:
            loop.add_signal_handler(number, asked, number)


def _announce(terminal: Terminal, application: Application | None, parts: Parts) -> None:
    catalog = application.catalog if application else None
    tasks = sorted(catalog.tasks) if catalog else []
    schedules = len(catalog.schedules) if catalog and parts.schedules else 0
    webhooks = sorted(catalog.webhooks) if catalog and parts.listener else []
    address = address_of(parts.listener) if parts.listener else None
    document = {
        "address": address,
        "database": terminal.database,
        "tasks": tasks,
        "schedules": schedules,
        "webhooks": webhooks,
        "worker": parts.worker,
        "pid": os.getpid(),
    }

    def write_all() -> None:
        lines = {
            "inbox": address,
            "database": terminal.database,
            "tasks": ", ".join(tasks),
            "schedules": str(schedules) if schedules else "",
            "webhooks": ", ".join(webhooks),
        }
        for name, text in lines.items():
            if text:
                write(f"{name:<10} {text}")

    terminal.answer(document, write_all)
    terminal.note("Ctrl-C stops it")
