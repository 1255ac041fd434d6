"""What can be looked at without a run: the tasks of a module, the version."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentflow._version import __version__
from agentflow.cli.command import command
from agentflow.cli.terminal import Terminal, write, write_table

if TYPE_CHECKING:
    from agentflow.tasks.task import Task

PANEL = "Definitions"


def register(application: typer.Typer) -> None:
    """Add these commands."""
    command(application, "tasks", panel=PANEL)(tasks)
    command(application, "version", panel=PANEL)(version)


def tasks(
    terminal: Terminal,
    app: Annotated[str, typer.Argument(metavar="APP", help="Such as app.py or package.module.")],
) -> int:
    """List the tasks of a module, with what they take, their schedules and their webhooks."""
    from agentflow.cli.targets import load

    application = load(app)
    from agentflow.cli.documents import task_document

    found = [task for _, task in sorted(application.catalog.tasks.items())]
    rows = [(task.id, _parameters(task), task.queue, _triggers(task)) for task in found]
    terminal.answer(
        [task_document(task) for task in found],
        lambda: write_table(("id", "input", "queue", "triggers"), rows),
    )
    if not found:
        terminal.note(f"{app} defines no task; put @task over an async function in it")
    return 0


def version(terminal: Terminal) -> int:
    """Print the version of agentflow."""
    document = {"version": __version__, "python": platform.python_version()}
    terminal.answer(document, lambda: write(f"agentflow {__version__} (Python {document['python']})"))
    return 0


def _parameters(task: Task[..., Any]) -> str:
    schema = task.signature.json_schema()
    required = schema.get("required", ())
    return ", ".join(name if name in required else f"{name}?" for name in schema.get("properties", {}))


def _triggers(task: Task[..., Any]) -> str:
    schedules = [f"{schedule.rule} {schedule.timezone}" for schedule in task.schedules]
    return "; ".join([*schedules, *(f"POST {webhook.path}" for webhook in task.webhooks)])
