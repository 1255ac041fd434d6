"""Runs are found by their tags on the page of runs, and show them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agentflow.requests import TriggerRun

if TYPE_CHECKING:
    from tests.support.server import Served
    from tests.ui.conftest import Browsing


async def a_run(site: Served, *tags: str, metadata: str | None = None) -> str:
    run = await site.store.trigger(TriggerRun(task="ship", version="1", input="{}", tags=tags, metadata=metadata))
    return run.id


def listed(html: str) -> list[str]:
    return re.findall(r'data-row="([^"]+)"', html)


async def test_a_tag_on_a_runs_page_leads_to_all_runs_that_have_it(site: Served, mia: Browsing) -> None:
    europe = await a_run(site, "eu & co", "<b>vip</b>", metadata='{"ticket":"T-9"}')
    await a_run(site, "us")
    page = await mia.open(f"/runs/{europe}")
    assert "T-9" in page.text
    assert "<b>vip</b>" not in page.html
    assert 'href="/runs?tag=eu%20%26%20co"' in page.html
    assert listed((await mia.open("/runs?tag=eu%20%26%20co")).html) == [europe]
    assert listed((await mia.open("/runs?tag=eu%20%26%20co&tag=us")).html) == []


async def test_the_chosen_tags_stay_when_a_status_is_chosen(site: Served, mia: Browsing) -> None:
    europe = await a_run(site, "eu")
    page = await mia.open("/runs?tag=eu")
    assert "status=queued&tag=eu" in page.html.replace("&amp;", "&")
    assert listed((await mia.open("/runs?status=queued&tag=eu")).html) == [europe]
    assert listed((await mia.open("/runs?status=completed&tag=eu")).html) == []
