"""What runs for long: everything in one program, or a worker, the inbox or the schedules alone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.addresses import DEFAULT_PORT, DEV
from agentflow.cli.command import command, whole_number
from agentflow.cli.exits import Refused
from agentflow.cli.terminal import Terminal
from agentflow.durations import describe, duration
from agentflow.errors import InvalidDuration
from agentflow.settings import HEALTH_VARIABLE, WorkerSettings

if TYPE_CHECKING:
    from agentflow.cli.targets import Application

PANEL = "Serve"
HERE = "app.py"
DRAIN = WorkerSettings().drain_for
CONCURRENCY = WorkerSettings().concurrency


def _span(given: str | timedelta) -> timedelta:
    try:
        return duration(given)
    except InvalidDuration as error:
        raise typer.BadParameter(str(error)) from error


App = Annotated[str, typer.Argument(metavar="APP", help="Such as app.py or package.module.")]
OptionalApp = Annotated[str | None, typer.Argument(metavar="APP", help="Such as app.py or package.module.")]
Host = Annotated[str, typer.Option("--host", metavar="HOST", help="Where pages are served.")]
Port = Annotated[
    int, typer.Option("--port", parser=whole_number(0, 65535), metavar="PORT", help="0 takes any free one.")
]
Dev = Annotated[bool, typer.Option(DEV, help="Let everybody on this machine in without a token; on 127.0.0.1 only.")]
Hostnames = Annotated[
    list[str] | None,
    typer.Option("--hostname", metavar="NAME", help="What other machines call this one; may be given several times."),
]
Health = Annotated[
    str | None,
    typer.Option(
        "--health",
        metavar="HOST:PORT",
        envvar=HEALTH_VARIABLE,
        help="Answer /health/live and /health/ready there.",
    ),
]
Linger = Annotated[
    timedelta,
    typer.Option(
        "--linger",
        parser=_span,
        metavar="SPAN",
        show_default=False,
        help="Serve pages so long after being asked to end, while /health/ready says no.",
    ),
]
Drain = Annotated[
    timedelta,
    typer.Option(
        "--drain-timeout",
        parser=_span,
        metavar="SPAN",
        show_default=describe(DRAIN),
        help="Asked to end, let steps go on so long; then hand their runs back.",
    ),
]
Concurrency = Annotated[
    int,
    typer.Option("--concurrency", parser=whole_number(1), metavar="COUNT", help="Execute so many runs at a time."),
]
Labels = Annotated[
    list[str] | None,
    typer.Option(
        "--label", metavar="LABEL", help="What this worker has for tasks that need it, such as gpu or region=eu."
    ),
]
Queues = Annotated[
    list[str] | None, typer.Option("--queue", metavar="QUEUE", help="Take runs of these queues only; repeatable.")
]
Tasks = Annotated[
    list[str] | None, typer.Option("--task", metavar="TASK", help="Take runs of these tasks only; repeatable.")
]


def register(application: typer.Typer) -> None:
    """Add these commands."""
    command(application, "serve", panel=PANEL)(serve)
    command(application, "worker", panel=PANEL)(worker)
    command(application, "ui", panel=PANEL)(ui)
    command(application, "scheduler", panel=PANEL)(scheduler)


def serve(
    terminal: Terminal,
    app: OptionalApp = None,
    *,
    host: Host = "127.0.0.1",
    port: Port = DEFAULT_PORT,
    dev: Dev = False,
    hostnames: Hostnames = None,
    labels: Labels = None,
    concurrency: Concurrency = CONCURRENCY,
    drain: Drain = DRAIN,
    linger: Linger = timedelta(),
    health: Health = None,
) -> int:
    """Run everything in one program: the worker, the inbox and the schedules. APP is app.py if left out."""
    from agentflow.cli.addresses import bound, health_listener, names
    from agentflow.cli.targets import load_with_tasks

    if app is None and not Path(HERE).is_file():
        raise Refused(f"found no {HERE} in this folder; wanted a module with tasks, as in `agentflow serve tasks.py`")
    application = load_with_tasks(app or HERE)
    listener = bound(host, port, dev=dev)
    from agentflow.cli.serving import Parts, run

    parts = Parts(
        worker=True,
        schedules=True,
        listener=listener,
        hosts=names(host, hostnames),
        dev=dev,
        health=health_listener(health),
        linger=linger,
        settings=WorkerSettings(concurrency=concurrency, drain_for=drain, labels=tuple(labels or ())),
    )
    return run(terminal, application, parts)


def worker(
    terminal: Terminal,
    app: App,
    *,
    labels: Labels = None,
    queues: Queues = None,
    tasks: Tasks = None,
    concurrency: Concurrency = CONCURRENCY,
    drain: Drain = DRAIN,
    health: Health = None,
) -> int:
    """Execute runs, without pages and schedules. Any number may do so, on any number of hosts."""
    from agentflow.cli.addresses import health_listener
    from agentflow.cli.targets import load_with_tasks

    application = load_with_tasks(app)
    settings = WorkerSettings(
        concurrency=concurrency,
        drain_for=drain,
        labels=tuple(labels or ()),
        queues=tuple(queues or ()),
        tasks=tuple(tasks or ()),
    )
    _require_known(application, settings)
    listener = health_listener(health)
    from agentflow.cli.serving import Parts, run

    return run(terminal, application, Parts(worker=True, health=listener, settings=settings))


def ui(
    terminal: Terminal,
    app: OptionalApp = None,
    *,
    host: Host = "127.0.0.1",
    port: Port = DEFAULT_PORT,
    dev: Dev = False,
    hostnames: Hostnames = None,
    linger: Linger = timedelta(),
    health: Health = None,
) -> int:
    """Serve the inbox and the API alone. APP is needed to start runs by API or webhook, not to decide."""
    from agentflow.cli.addresses import bound, health_listener, names
    from agentflow.cli.targets import load

    application = load(app) if app else None
    listener = bound(host, port, dev=dev)
    from agentflow.cli.serving import Parts, run

    parts = Parts(
        listener=listener, hosts=names(host, hostnames), dev=dev, health=health_listener(health), linger=linger
    )
    return run(terminal, application, parts)


def scheduler(terminal: Terminal, app: App, *, health: Health = None) -> int:
    """Start runs when their schedules come round, and nothing else. Several may run: each time starts one run."""
    from agentflow.cli.addresses import health_listener
    from agentflow.cli.targets import load_with_tasks

    application = load_with_tasks(app)
    listener = health_listener(health)
    from agentflow.cli.serving import Parts, run

    if not application.catalog.schedules:
        terminal.note(f"{app} declares no schedule; put @task.schedule(...) above a @task")
    return run(terminal, application, Parts(schedules=True, health=listener))


def _require_known(application: Application, settings: WorkerSettings) -> None:
    """Raise `Refused` for a task the module does not define, or a queue that none of its tasks lines up in."""
    catalog = application.catalog
    for name in settings.tasks:
        catalog.task(name)
    lined_up = {task.queue for name in catalog.tasks for task in catalog.versions(name).values()}
    for name in settings.queues:
        if name not in lined_up:
            raise Refused(f"found --queue {name}, in which no task lines up; there are: {', '.join(sorted(lined_up))}")
