"""What language models cost: by day, task and model."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from agentflow.records import CostsRow, Spent
from approvals_ui.access import needs
from approvals_ui.desk import Desk
from approvals_ui.problems import Refused
from approvals_ui.views import Asked, page

SPANS: Final = (7, 30, 90)
HEIGHT: Final = 120
WIDTH: Final = 900
FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for a formula when a cell begins with it."""
COLUMNS: Final = (
    "day",
    "task",
    "model",
    "calls",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "cost_usd",
    "unpriced_calls",
)
MOST_ROWS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One day of the chart, in its own units: from the left, from the top, how wide and how high."""

    x: float
    y: float
    width: float
    height: float
    day: date
    spent: Spent


class CostPages(Controller):
    """`/costs` and its download."""

    path = "/costs"
    include_in_schema = False
    opt = needs("costs:read")

    @get()
    async def costs(
        self,
        request: Asked,
        desk: NamedDependency[Desk],
        days: FromQuery[int] = 30,
        task: FromQuery[str | None] = None,
        model: FromQuery[str | None] = None,
    ) -> Response[str]:
        """The sums of some days, of all or of one task or model."""
        _require_span(days)
        rows = await desk.client.costs(since=timedelta(days=days), task=task or None, model=model or None)
        shown: dict[str, Any] = {
            "days": days,
            "spans": SPANS,
            "chosen": {"task": task or "", "model": model or ""},
            "total": total(row.spent for row in rows),
            "by_task": summed(rows, "task"),
            "by_model": summed(rows, "model"),
            "by_day": summed(rows, "day"),
            "by_money": any(row.spent.cost for row in rows),
        }
        last = desk.client.now().date()
        bars = bars_of(shown["by_day"], last=last, days=days, by_money=shown["by_money"])
        return await page(
            request,
            desk,
            "costs.html",
            **shown,
            bars=bars,
            width=WIDTH,
            height=HEIGHT,
            link=lambda **changed: _link(shown, changed),
        )

    @get("/costs.csv")
    async def download(
        self,
        desk: NamedDependency[Desk],
        days: FromQuery[int] = 30,
        task: FromQuery[str | None] = None,
        model: FromQuery[str | None] = None,
    ) -> Response[str]:
        """The same rows for a spreadsheet; a name that it would take for a formula stands behind an apostrophe."""
        _require_span(days)
        rows = await desk.client.costs(since=timedelta(days=days), task=task or None, model=model or None)
        headers = {"content-disposition": f'attachment; filename="costs-{days}-days.csv"'}
        return Response(csv_of(rows), media_type="text/csv; charset=utf-8", headers=headers)


def _require_span(days: int) -> None:
    if days not in SPANS:
        raise Refused(400, f"The costs are shown for {', '.join(map(str, SPANS))} days.")


def _link(shown: Mapping[str, Any], changed: Mapping[str, Any]) -> str:
    """The address of the page with other choices."""
    wanted = {"days": shown["days"], **shown["chosen"], **changed}
    return urlencode({name: value for name, value in wanted.items() if value != ""})


def total(spent: Any) -> Spent:
    """The sum of several sums."""
    whole = list(spent)
    counts = {
        name: sum(getattr(one, name) for one in whole)
        for name in ("calls", "input_tokens", "output_tokens", "cached_tokens", "unpriced")
    }
    return Spent(cost=sum((one.cost for one in whole), Decimal(0)), **counts)


def summed(rows: Sequence[CostsRow], by: str) -> list[tuple[Any, Spent]]:
    """The sums by day (the newest first), task or model (the dearest first)."""
    groups: dict[Any, list[Spent]] = {}
    for row in rows:
        groups.setdefault(getattr(row, by), []).append(row.spent)
    found = [(name, total(spent)) for name, spent in groups.items()]
    if by == "day":
        return sorted(found, key=lambda one: one[0], reverse=True)
    return sorted(found, key=lambda one: (-one[1].cost, -one[1].tokens, one[0]))[:MOST_ROWS]


def bars_of(by_day: Sequence[tuple[date, Spent]], *, last: date, days: int, by_money: bool) -> list[Bar]:
    """A bar for each day up to the last, as high as its cost, or as its tokens where no price is known."""
    of = dict(by_day)
    nothing = total(())
    step = WIDTH / days
    high = max((_amount(spent, by_money=by_money) for spent in of.values()), default=0.0) or 1.0
    bars = []
    for place in range(days):
        day = last - timedelta(days=days - 1 - place)
        spent = of.get(day, nothing)
        height = _amount(spent, by_money=by_money) / high * (HEIGHT - 4)
        height = max(height, 1.5) if spent.calls else 0.0
        x, y = round(place * step + step * 0.1, 2), round(HEIGHT - height, 2)
        bars.append(Bar(x=x, y=y, width=round(step * 0.8, 2), height=round(height, 2), day=day, spent=spent))
    return bars


def _amount(spent: Spent, *, by_money: bool) -> float:
    return float(spent.cost) if by_money else float(spent.tokens)


def csv_of(rows: Sequence[CostsRow]) -> str:
    """The rows as CSV (RFC 4180)."""
    written = io.StringIO()
    out = csv.writer(written)
    out.writerow(COLUMNS)
    for row in rows:
        spent = row.spent
        counts: list[int | Decimal] = [
            spent.calls,
            spent.input_tokens,
            spent.cached_tokens,
            spent.output_tokens,
            spent.cost,
            spent.unpriced,
        ]
        out.writerow([row.day.isoformat(), _cell(row.task), _cell(row.model), *map(_number, counts)])
    return written.getvalue()


def _number(value: Decimal | int) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULAS) else text
