"""The costs page: sums by task, model and day, and a download that no spreadsheet takes for a program."""

from __future__ import annotations

import csv
import io
import re
from decimal import Decimal
from typing import TYPE_CHECKING

from tests.ui.talking import PRIMARY, SECOND, a_talk

if TYPE_CHECKING:
    from tests.ui.conftest import Browsing, MovedClock
    from tests.ui.seeding import Seeds


async def spend(seeds: Seeds, task: str, cost: str | None, model: str = PRIMARY) -> None:
    talk = await a_talk(seeds, task)
    await talk.answers("ok", model=model, used={"cost": None if cost is None else Decimal(cost)})


def row(text: str, name: str) -> str:
    """What the tables say after a name."""
    found = re.search(rf"{re.escape(name)} (.{{0,80}})", text)
    assert found, f"{name} is not in {text}"
    return found[1]


async def test_sums_by_task_model_and_day(mia: Browsing, seeds: Seeds, clock: MovedClock) -> None:
    await spend(seeds, "triage", "0.0004")
    clock.advance(days=2)
    await spend(seeds, "triage", "1.50", SECOND)
    await spend(seeds, "refunds", "12.25")
    page = await mia.open("/costs")
    tables = page.text.partition("By task")[2]
    assert row(tables, "refunds").startswith("1 1,204 (1,024 cached) 88 $12.25")
    assert row(tables, "triage").startswith("2 2,408 (2,048 cached) 176 $1.50")
    assert row(tables, PRIMARY).startswith("2 2,408 (2,048 cached) 176 $12.25")
    assert row(tables, "2026-11-24").startswith("2 2,408 (2,048 cached) 176 $13.75")
    assert row(tables, "2026-11-22").startswith("1 1,204 (1,024 cached) 88 $0.0004")
    assert "$13.75" in page.text.partition("By task")[0]
    bars = re.findall(r'height="([\d.]+)"><title>', page.html)
    assert len(bars) == 30
    assert [bar for bar in bars if float(bar)] == ["1.5", "116.0"]


async def test_filters_are_links_and_add_up(mia: Browsing, seeds: Seeds, clock: MovedClock) -> None:
    await spend(seeds, "triage", "1", SECOND)
    clock.advance(days=20)
    await spend(seeds, "triage", "2")
    await spend(seeds, "re&f=1", "4")
    page = await mia.open("/costs")
    assert "$7.00" in page.text
    week = await mia.open("/costs?days=7")
    assert "$6.00" in week.text
    assert 'href="/costs?days=7&amp;task=re%26f%3D1"' in week.html
    one = await mia.open("/costs?days=7&task=re%26f%3D1")
    assert "$4.00" in one.text
    assert "triage" not in one.text
    assert "Nothing was spent on that in 7 days" in (await mia.open(f"/costs?days=7&model={SECOND}")).text
    assert (await mia.open("/costs?days=8")).status == 400


async def test_calls_without_a_price_are_said_and_not_made_cheap(mia: Browsing, seeds: Seeds) -> None:
    await spend(seeds, "local", None)
    page = await mia.open("/costs")
    assert "Of 1 call no price is known" in page.text
    assert row(page.text.partition("By task")[2], "local").startswith("1 1,204 (1,024 cached) 88 no price known")
    assert "Tokens a day" in page.text
    await spend(seeds, "paid", "3")
    assert "US dollars a day" in (await mia.open("/costs")).text


async def test_an_empty_page_says_where_costs_come_from(mia: Browsing) -> None:
    page = await mia.open("/costs")
    assert page.status == 200
    assert "Nothing was spent in 30 days" in page.text
    assert "CSV" not in page.text


async def test_the_download_has_each_row_and_no_formula(mia: Browsing, seeds: Seeds) -> None:
    names = ["=HYPERLINK(1)", "+1", "-1", "@x", 'quo"te, comma', "plain"]
    for name in names:
        await spend(seeds, name, "0.000000001")
    shown = await mia.open("/costs/costs.csv?days=7")
    assert shown.response.headers["content-type"].startswith("text/csv")
    assert shown.response.headers["content-disposition"] == 'attachment; filename="costs-7-days.csv"'
    assert shown.response.headers["x-content-type-options"] == "nosniff"
    head, *rows = csv.reader(io.StringIO(shown.html))
    assert head[:3] == ["day", "task", "model"]
    assert {one[1] for one in rows} == {"'=HYPERLINK(1)", "'+1", "'-1", "'@x", 'quo"te, comma', "plain"}
    assert {one[7] for one in rows} == {"0.000000001"}


async def test_hostile_names_are_text(mia: Browsing, seeds: Seeds) -> None:
    await spend(seeds, "<img src=x onerror=alert(1)>\u202e", "1", "evil:<script>")
    page = await mia.open("/costs")
    assert "<img src=x" not in page.html
    assert "<script>" not in page.html.partition("<main")[2]
    assert "\u202e" not in page.html
