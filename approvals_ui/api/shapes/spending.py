"""What language models cost, how many runs there are, and who asks."""

from datetime import date
from typing import Annotated

from msgspec import Meta

from agentflow.records import CostsRow, Counts
from agentflow.states import RunStatus
from approvals_ui.api.fields import Asked, Count, Instant, TaskId, Told, Who

Money = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?$", examples=["1.250400"], description="US dollars.")]
ModelName = Annotated[str, Meta(max_length=200, examples=["claude-sonnet-5"])]


class CostsQuery(Asked):
    """Since when: an instant with `since`, or with `days` so many whole days (UTC), today the last of them."""

    days: Annotated[int, Meta(ge=1, le=3660, description="So many whole days, today the last of them.")] = 30
    since: Instant | None = None
    until: Instant | None = None
    task: TaskId | None = None
    model: ModelName | None = None


class CostsView(Told):
    """What the runs of a task spent on a model on one day (UTC); `unpriced_calls` have no known price."""

    day: Annotated[date, Meta(examples=["2026-11-23"])]
    task: TaskId
    model: ModelName
    calls: Count
    input_tokens: Count
    cached_tokens: Count
    output_tokens: Count
    cost_usd: Money
    unpriced_calls: Count


class CostsList(Told):
    """By day, task and model, the newest day first."""

    items: list[CostsView]


class CountsView(Told):
    """How many runs are in each status, and how many requests want a decision."""

    runs: Annotated[dict[RunStatus, Count], Meta(examples=[{"queued": 2, "waiting": 1}])]
    pending_approvals: Count


class CallerView(Told):
    """Who asks, as decisions are recorded under, and with which scopes ("*" for all)."""

    name: Who
    scopes: list[Annotated[str, Meta(examples=["runs:read"])]]


def costs_view(row: CostsRow) -> CostsView:
    """The sums as the API shows them."""
    spent = row.spent
    return CostsView(
        day=row.day,
        task=row.task,
        model=row.model,
        calls=spent.calls,
        input_tokens=spent.input_tokens,
        cached_tokens=spent.cached_tokens,
        output_tokens=spent.output_tokens,
        cost_usd=f"{spent.cost:f}",
        unpriced_calls=spent.unpriced,
    )


def counts_view(counts: Counts) -> CountsView:
    """The counts as the API shows them."""
    return CountsView(runs=dict(counts.runs), pending_approvals=counts.pending_approvals)
