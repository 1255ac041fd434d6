"""Schedules: what starts runs at its times; looking at it, steering it, and filling in the past."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from agentflow.cli.command import command, whole_number
from agentflow.cli.terminal import Terminal, user, write
from agentflow.states import Overlap

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentflow.client import Client
    from agentflow.records import Schedule
    from agentflow.tasks.catalog import Catalog
    from agentflow.tasks.schedule import ScheduleOptions

PANEL = "Schedules"
UPCOMING: Final = 10
ScheduleId = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Its id, as `schedules list` shows it.")]
Limit = Annotated[
    int, typer.Option("--limit", "-n", metavar="COUNT", parser=whole_number(1, 1000), help="At most so many.")
]
App = Annotated[str, typer.Option("--app", metavar="APP", help="Where its task is.")]
Target = Annotated[str, typer.Argument(metavar="APP:TASK", help="Such as app.py:task or package.module:task.")]
RuleText = Annotated[str, typer.Argument(metavar="RULE", help='Such as "0 9 * * mon-fri" or "every 30s".')]
OwnId = Annotated[str, typer.Option("--id", metavar="ID", help="What it is changed by later.")]
Zone = Annotated[str, typer.Option("--timezone", metavar="ZONE", help='Such as "Europe/Berlin".')]
Input = Annotated[str, typer.Option("--input", "-i", metavar="JSON|@FILE|-", help="The task's parameters by name.")]
Spread = Annotated[str | None, typer.Option(metavar="SPAN", help="Start within this of the time, always as late.")]
CatchUp = Annotated[str, typer.Option(metavar="none|latest|all|all(N)", help="What of downtime is started.")]
Start = Annotated[str | None, typer.Option(metavar="TIME", help="Never before this.")]
End = Annotated[str | None, typer.Option(metavar="TIME", help="Never after this.")]
OccurrenceAs = Annotated[str | None, typer.Option(metavar="NAME", help="The parameter that gets the time.")]
Overlapping = Annotated[Overlap, typer.Option("--overlap", help="While a run of it is open.", show_choices=True)]


def register(application: typer.Typer) -> None:
    """Add these commands, as a group of their own."""
    group = typer.Typer(help="Look at schedules, steer them, and fill in the past.", no_args_is_help=True)
    command(group, "list", panel=PANEL)(listed)
    command(group, "show", panel=PANEL)(show)
    command(group, "plan", panel=PANEL)(plan)
    command(group, "upsert", panel=PANEL)(upsert)
    command(group, "remove", panel=PANEL)(remove)
    command(group, "pause", panel=PANEL)(pause)
    command(group, "resume", panel=PANEL)(resume)
    command(group, "trigger", panel=PANEL)(trigger)
    command(group, "backfill", panel=PANEL)(backfill)
    command(group, "backfills", panel=PANEL)(backfills)
    command(group, "cancel-backfill", panel=PANEL)(cancel_backfill)
    application.add_typer(group, name="schedules", rich_help_panel=PANEL)


# -- looking


def listed(terminal: Terminal) -> int:
    """List the schedules: what each starts, by which rule, and when it fires next."""
    from agentflow.cli.schedule_views import schedule_document, write_schedules

    async def look(client: Client) -> None:
        found, now = await client.schedules.all(), client.now()
        terminal.answer([schedule_document(one) for one in found], lambda: write_schedules(found, now=now))
        if not found:
            terminal.note(f"no schedule in {terminal.place}; put @task.schedule(RULE) above a @task, and serve it")

    return _on_client(terminal, look)


def show(terminal: Terminal, schedule: ScheduleId, limit: Limit = 10) -> int:
    """Show a schedule with its next ten times, its latest occurrences, and who changed it."""
    from agentflow.cli.schedule_views import Look, look_document, write_look

    async def look(client: Client) -> None:
        from schedulers import upcoming

        one = await client.schedules.one(schedule)
        found = Look(
            schedule=one,
            upcoming=upcoming(one, UPCOMING, client.now()),
            occurrences=(await client.schedules.occurrences(schedule, limit=limit)).items,
            backfills=await client.schedules.backfills(schedule, limit=limit),
            changes=await client.schedules.changes(schedule, limit=limit),
        )
        terminal.answer(look_document(found), lambda: write_look(found, now=client.now()))

    return _on_client(terminal, look)


def plan(
    terminal: Terminal,
    app: Annotated[str, typer.Argument(metavar="APP", help="Such as app.py or package.module.")],
) -> int:
    """Say what serving a module would add, change and remove; nothing is."""
    from agentflow.cli.schedule_views import reconciled_document, write_reconciled
    from agentflow.cli.targets import load_with_tasks

    async def look(client: Client) -> None:
        from schedulers.declaring import declare

        found = await declare(client, dry_run=True)
        terminal.answer(reconciled_document(found), lambda: write_reconciled(found))

    return _on_client(terminal, look, catalog=load_with_tasks(app).catalog, may_create=True)


# -- changing


def upsert(
    terminal: Terminal,
    target: Target,
    rule: RuleText,
    *,
    id: OwnId = "",
    timezone: Zone = "UTC",
    input: Input = "{}",
    spread: Spread = None,
    overlap: Overlapping = Overlap.ALLOW,
    catch_up: CatchUp = "latest",
    start: Start = None,
    end: End = None,
    occurrence_as: OccurrenceAs = None,
) -> int:
    """Make a schedule, or change the one of this id. One that is declared in code is changed there."""
    from agentflow.cli.inputs import read_json
    from agentflow.cli.schedule_views import schedule_document, write_schedules
    from agentflow.cli.targets import load, named_task
    from agentflow.tasks.schedule import Schedule

    application = load(target)
    options: ScheduleOptions = {
        "timezone": timezone,
        "input": read_json(input, option="--input"),
        "spread": spread,
        "overlap": overlap,
        "catch_up": catch_up,
        "start": start,
        "end": end,
        "occurrence_as": occurrence_as,
    }
    wanted = Schedule(named_task(application), rule, id=id, **options)

    async def make(client: Client) -> None:
        made = await client.schedules.upsert(wanted, by=user())
        terminal.answer(schedule_document(made), lambda: write_schedules([made], now=client.now()))

    return _on_client(terminal, make, catalog=application.catalog, may_create=True)


def remove(terminal: Terminal, schedule: ScheduleId) -> int:
    """Take out a schedule that a program made; its runs and occurrences stay."""

    async def take_out(client: Client) -> None:
        await client.schedules.remove(schedule, by=user())
        terminal.answer({"id": schedule, "removed": True}, lambda: write(f"schedule {schedule} is removed"))

    return _on_client(terminal, take_out)


def pause(
    terminal: Terminal,
    schedule: ScheduleId,
    reason: Annotated[str, typer.Option("--reason", "-m", metavar="TEXT", help="Kept with the change.")] = "",
) -> int:
    """Start nothing by this schedule until it is resumed."""
    return _changed(terminal, lambda client: client.schedules.pause(schedule, by=user(), reason=reason))


def resume(terminal: Terminal, schedule: ScheduleId) -> int:
    """Go on with a paused schedule, from now: what came round meanwhile is not started."""
    return _changed(terminal, lambda client: client.schedules.resume(schedule, by=user()))


def trigger(terminal: Terminal, schedule: ScheduleId, app: App = "app.py") -> int:
    """Start a run as the schedule would, now; paused or not, and whatever else runs."""
    from agentflow.cli.targets import load_with_tasks

    async def start(client: Client) -> None:
        run = await client.schedules.trigger(schedule, by=user())
        terminal.answer({"id": run.id, "status": str(run.status)}, lambda: write(f"{run.id}  {run.status}"))

    return _on_client(terminal, start, catalog=load_with_tasks(app).catalog)


# -- filling in the past


def backfill(
    terminal: Terminal,
    schedule: ScheduleId,
    *,
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="From here on, in the schedule's zone.")],
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Until before this; now if left out.")
    ] = None,
    overlap: Overlapping = Overlap.ALLOW,
) -> int:
    """Have each time of a range of the past started that has no run; schedulers do so bit by bit."""
    from agentflow.cli.schedule_views import backfill_document, write_backfills

    async def ask(client: Client) -> None:
        asked = await client.schedules.backfill(schedule, since=since, until=until, by=user(), overlap=overlap)
        terminal.answer(backfill_document(asked), lambda: write_backfills([asked]))

    return _on_client(terminal, ask)


def backfills(
    terminal: Terminal,
    schedule: Annotated[str | None, typer.Argument(metavar="SCHEDULE", help="Of this schedule; else of all.")] = None,
    limit: Limit = 50,
) -> int:
    """List backfills, newest first, with how far each has come."""
    from agentflow.cli.schedule_views import backfill_document, write_backfills

    async def look(client: Client) -> None:
        found = await client.schedules.backfills(schedule, limit=limit)
        terminal.answer([backfill_document(one) for one in found], lambda: write_backfills(found))
        if not found:
            terminal.note("nobody has asked for a backfill; `agentflow schedules backfill` does")

    return _on_client(terminal, look)


def cancel_backfill(
    terminal: Terminal, backfill: Annotated[str, typer.Argument(metavar="BACKFILL", help="Its id.")]
) -> int:
    """Let a backfill go no further; the runs it started go on."""
    from agentflow.cli.schedule_views import backfill_document, write_backfills

    async def end(client: Client) -> None:
        ended = await client.schedules.cancel_backfill(backfill, by=user())
        terminal.answer(backfill_document(ended), lambda: write_backfills([ended]))

    return _on_client(terminal, end)


# -- doing it


def _changed(terminal: Terminal, change: Callable[[Client], Awaitable[Schedule]]) -> int:
    from agentflow.cli.schedule_views import schedule_document, write_schedules

    async def steer(client: Client) -> None:
        after = await change(client)
        terminal.answer(schedule_document(after), lambda: write_schedules([after], now=client.now()))

    return _on_client(terminal, steer)


def _on_client(
    terminal: Terminal,
    act: Callable[[Client], Awaitable[Any]],
    *,
    catalog: Catalog | None = None,
    may_create: bool = False,
) -> int:
    async def run() -> None:
        from agentflow.cli.session import opened

        async with opened(terminal, catalog=catalog, may_create=may_create) as client:
            await act(client)

    asyncio.run(run())
    return 0
