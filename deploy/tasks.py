"""The tasks of compose.yaml: put your own here."""

from __future__ import annotations

from dataclasses import dataclass

from agentflow import sleep, step, task, wait_for_approval


@dataclass(frozen=True)
class Report:
    """What is sent once somebody has looked at it."""

    title: str
    rows: int


@step
async def collect() -> Report:
    """A stand-in for reading from somewhere."""
    return Report(title="Rows of the last hour", rows=12)


@step
async def send(report: Report) -> str:
    """A stand-in for sending it somewhere."""
    return f"sent {report.title!r} with {report.rows} rows"


@task.schedule("0 * * * *", id="hourly-report")
@task
async def report_hourly() -> str:
    """A report every hour, which somebody approves or corrects in the inbox within a day."""
    report = await collect()
    await sleep("2s")
    decision = await wait_for_approval(report, title=report.title, timeout="24h")
    if not decision.approved or decision.data is None:
        return "not sent"
    return await send(decision.data)
