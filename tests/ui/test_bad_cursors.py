"""Where a listing of the pages goes on stands in the address: what no listing gave is refused, and is no outage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.server import Served
    from tests.ui.seeding import Seeds

HUGE = "9" * 40


@pytest.mark.parametrize(
    "path",
    [
        f"/inbox?cursor={HUGE}.apr_1",
        f"/inbox?status=decided&cursor={HUGE}.apr_1",
        "/runs?cursor=%00",
        "/runs?cursor=%C3%A4",
        f"/deliveries?cursor={HUGE}.dlv_1",
        f"/live?after={HUGE}",
        f"/live?after=-{HUGE}",
    ],
)
async def test_a_cursor_no_page_gave_is_refused_as_one(site: Served, path: str) -> None:
    async with site.http() as http:
        answer = await http.get(path)
        assert answer.status_code == 400, answer.text


async def test_a_timeline_goes_on_after_no_entry_that_cannot_be(site: Served, seeds: Seeds) -> None:
    run = await seeds.finished()
    async with site.http() as http:
        for place in ("9" * 10, HUGE, f"-{HUGE}"):
            for path in (f"/runs/{run.id}?after={place}", f"/runs/{run.id}/tokens?after={HUGE}"):
                answer = await http.get(path)
                assert answer.status_code == 400, answer.text


async def test_a_place_of_a_stream_that_cannot_be_is_refused(site: Served) -> None:
    async with site.http() as http:
        for number in (HUGE, "9" * 5000, "²"):
            answer = await http.get("/live", headers={"last-event-id": number.encode()})
            assert answer.status_code == 400, answer.text
