"""What runs for long: everything in one program, or a worker, the inbox or the schedules alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentflow.cli.addresses import DEFAULT_PORT, FLAG
from agentflow.cli.command import command, whole_number
from agentflow.cli.exits import Refused
from agentflow.cli.terminal import Terminal

PANEL = "Serve"
HERE = "app.py"

App = Annotated[str, typer.Argument(metavar="APP", help="Such as app.py or package.module.")]
OptionalApp = Annotated[str | None, typer.Argument(metavar="APP", help="Such as app.py or package.module.")]
Host = Annotated[str, typer.Option("--host", metavar="HOST", help="Where pages are served.")]
Port = Annotated[
    int, typer.Option("--port", parser=whole_number(0, 65535), metavar="PORT", help="0 takes any free one.")
]
Exposed = Annotated[bool, typer.Option(FLAG, help="Let other machines reach pages nobody signs in to.")]
Hostnames = Annotated[
    list[str] | None,
    typer.Option("--hostname", metavar="NAME", help="What other machines call this one; may be given several times."),
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
    exposed: Exposed = False,
    hostnames: Hostnames = None,
) -> int:
    """Run everything in one program: the worker, the inbox and the schedules. APP is app.py if left out."""
    from agentflow.cli.addresses import bound, names
    from agentflow.cli.targets import load_with_tasks

    if app is None and not Path(HERE).is_file():
        raise Refused(f"found no {HERE} in this folder; wanted a module with tasks, as in `agentflow serve tasks.py`")
    application = load_with_tasks(app or HERE)
    listener = bound(host, port, exposed=exposed)
    from agentflow.cli.serving import Parts, run

    parts = Parts(worker=True, schedules=True, listener=listener, hosts=names(host, hostnames))
    return run(terminal, application, parts)


def worker(terminal: Terminal, app: App) -> int:
    """Execute runs, without pages and schedules."""
    from agentflow.cli.targets import load_with_tasks

    application = load_with_tasks(app)
    from agentflow.cli.serving import Parts, run

    return run(terminal, application, Parts(worker=True))


def ui(
    terminal: Terminal,
    app: OptionalApp = None,
    *,
    host: Host = "127.0.0.1",
    port: Port = DEFAULT_PORT,
    exposed: Exposed = False,
    hostnames: Hostnames = None,
) -> int:
    """Serve the inbox and the API alone. APP is needed to start runs by API or webhook, not to decide."""
    from agentflow.cli.addresses import bound, names
    from agentflow.cli.targets import load

    application = load(app) if app else None
    listener = bound(host, port, exposed=exposed)
    from agentflow.cli.serving import Parts, run

    return run(terminal, application, Parts(listener=listener, hosts=names(host, hostnames)))


def scheduler(terminal: Terminal, app: App) -> int:
    """Start runs when their schedules come round, and nothing else. Several may run: each time starts one run."""
    from agentflow.cli.targets import load_with_tasks

    application = load_with_tasks(app)
    from agentflow.cli.serving import Parts, run

    if not application.catalog.schedules:
        terminal.note(f"{app} declares no schedule; put @schedule(...) above a @task")
    return run(terminal, application, Parts(schedules=True))
