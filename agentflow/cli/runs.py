"""Runs: start one, list them, look at one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentflow.cli.command import command, whole_number
from agentflow.cli.selecting import status_of
from agentflow.cli.terminal import Terminal, write

if TYPE_CHECKING:
    from agentflow.cli.targets import Application
    from agentflow.records import Run
    from agentflow.tasks.options import Options

PANEL = "Runs"
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or a beginning of it that fits no other.")]


def register(application: typer.Typer) -> None:
    """Add these commands."""
    command(application, "trigger", panel=PANEL)(trigger)
    command(application, "trigger-batch", panel=PANEL)(trigger_batch)
    command(application, "runs", panel=PANEL)(runs)
    command(application, "why", panel=PANEL)(why)


def trigger(
    terminal: Terminal,
    target: Annotated[str, typer.Argument(metavar="APP:TASK", help="Such as app.py:task or package.module:task.")],
    *,
    input: Annotated[
        str, typer.Option("--input", "-i", metavar="JSON|@FILE|-", help="The task's parameters by name.")
    ] = "{}",
    key: Annotated[
        str | None, typer.Option("--key", metavar="KEY", help="The same key never makes a second run.")
    ] = None,
    delay: Annotated[str | None, typer.Option("--delay", metavar="SPAN", help='Not before this, such as "5m".')] = None,
    priority: Annotated[
        int | None, typer.Option("--priority", metavar="SECONDS", help="A head start before other runs of its queue.")
    ] = None,
    ttl: Annotated[
        str | None, typer.Option("--ttl", metavar="SPAN", help="It expires if it did not start within this.")
    ] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="What runs are found by; may be repeated.")
    ] = None,
    metadata: Annotated[
        str | None, typer.Option("--metadata", metavar="JSON|@FILE|-", help="A JSON object that is kept with the run.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it ends; exit 1 unless it completed.")] = False,
) -> int:
    """Start a run of a task and print its id and status."""
    from agentflow.cli.inputs import read_json
    from agentflow.cli.targets import load, named_task

    application = load(target)
    task = named_task(application)
    given = read_json(input, option="--input")
    options: Options = {"idempotency_key": key, "delay": delay, "priority": priority, "ttl": ttl, "tags": tags}
    if metadata is not None:
        options["metadata"] = read_json(metadata, option="--metadata")
    return asyncio.run(_trigger(terminal, application, task.id, given, options, wait=wait))


async def _trigger(
    terminal: Terminal,
    application: Application,
    task: str,
    given: Any,
    options: Options,
    *,
    wait: bool,
) -> int:
    from agentflow.cli.documents import run_result
    from agentflow.cli.following import note_if_nobody_works, outcome_code, settled
    from agentflow.cli.session import opened
    from agentflow.cli.views import write_outcome

    async with opened(terminal, catalog=application.catalog, may_create=True) as client:
        run = await client.trigger_json(task, given, origin="cli", **options)
        if not wait:
            terminal.answer({"id": run.id, "status": str(run.status)}, lambda: write(f"{run.id}  {run.status}"))
            return 0
        terminal.note(f"{run.id}  {run.status}")
        await note_if_nobody_works(terminal, client)
        with terminal.progress(f"{run.id} {run.status}") as say:
            ended = await settled(client, run.id, changed=say)
        return _answer_ended(terminal, ended, run_result(ended), write_outcome, outcome_code(ended))


def trigger_batch(
    terminal: Terminal,
    app: Annotated[str, typer.Argument(metavar="APP", help="Such as app.py or package.module.")],
    items: Annotated[
        str,
        typer.Option("--items", metavar="JSON|@FILE|-", help='As [{"task": "ship", "input": {"order": 7}}].'),
    ],
) -> int:
    """Start many runs, each item for itself: what is wrong with one keeps no other back. Exit 1 if one was refused."""
    from agentflow.cli.batches import read_items, trigger_items
    from agentflow.cli.targets import load_with_tasks

    application = load_with_tasks(app)
    return asyncio.run(trigger_items(terminal, application, read_items(items)))


def _answer_ended(terminal: Terminal, run: Run, document: Any, write_outcome: Any, code: int) -> int:
    def write_all() -> None:
        write(f"{run.id}  {run.status}")
        write_outcome(run)

    terminal.answer(document, write_all)
    return code


def runs(
    terminal: Terminal,
    status: Annotated[
        list[str] | None, typer.Option("--status", metavar="STATUS", help="Only these; may be given several times.")
    ] = None,
    task: Annotated[str | None, typer.Option("--task", metavar="TASK", help="Only runs of this task.")] = None,
    *,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="Only runs with all of these; may be repeated.")
    ] = None,
    queue: Annotated[str | None, typer.Option("--queue", metavar="QUEUE", help="Only runs of this queue.")] = None,
    origin: Annotated[
        str | None, typer.Option("--origin", metavar="ORIGIN", help='Only runs started so, as "schedule nightly".')
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="COUNT", parser=whole_number(1), help="At most so many.")
    ] = 50,
) -> int:
    """List runs, newest first."""
    from agentflow.cli.session import missing_database

    statuses = [status_of(text) for text in status or ()]
    if sentence := missing_database(terminal.database):
        terminal.note(sentence)
        terminal.answer([], lambda: None)
        return 0
    wanted = {"statuses": statuses, "task": task, "tags": tags or (), "queue": queue, "origin": origin}
    return asyncio.run(_runs(terminal, wanted, limit))


async def _runs(terminal: Terminal, wanted: dict[str, Any], limit: int) -> int:
    from agentflow.cli.documents import run_summary
    from agentflow.cli.session import opened
    from agentflow.cli.views import write_runs

    found: list[Run] = []
    cursor: str | None = None
    async with opened(terminal) as client:
        while len(found) < limit:
            page = await client.runs(**wanted, cursor=cursor, limit=min(limit - len(found), 200))
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        now = client.now()
    terminal.answer([run_summary(run) for run in found], lambda: write_runs(found, now=now))
    if cursor is not None:
        terminal.note(f"there are more; --limit shows more than {limit}")
    elif not found:
        terminal.note(f"no run{' like that' if any(wanted.values()) else ''} in {terminal.place}")
    return 0


def why(terminal: Terminal, run: RunId) -> int:
    """Say in one sentence why a run is where it is, and what moves it on."""
    return asyncio.run(_why(terminal, run))


async def _why(terminal: Terminal, given: str) -> int:
    from agentflow.cli.lookup import find_run
    from agentflow.cli.session import opened

    async with opened(terminal) as client:
        found = await find_run(client, given)
        sentence = await client.why(found.id)
    document = {"id": found.id, "status": str(found.status), "why": sentence}
    terminal.answer(document, lambda: write(sentence))
    return 0
