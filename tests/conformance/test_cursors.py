"""Cursors come back from pages, commands and programs: what no listing gave is refused as such."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from agentflow.errors import InvalidSetting
from agentflow.requests import ApprovalFilter, DeliveryFilter, DispatchFilter, RunFilter
from agentflow.store import Store

TOO_LARGE = str(2**63)
TOO_SMALL = str(-(2**63) - 1)
HUGE = "9" * 5000
NO_NUMBER = ("x", "1e5", "1_0", "+1", " 1", "--1", "-", "²", "٣", "\0", TOO_LARGE, TOO_SMALL, "9" * 19, HUGE)
NO_ID = ("", "a\0", "a b", "\ud800", "ä", "a" * 601)

Listing = Callable[[Store, str], Coroutine[Any, Any, Any]]
Reading = Callable[[Store, int], Coroutine[Any, Any, Any]]
PLACES: dict[str, Listing] = {
    "pending approvals": lambda store, cursor: store.approvals(ApprovalFilter(cursor=cursor)),
    "decided approvals": lambda store, cursor: store.approvals(ApprovalFilter(pending=False, cursor=cursor)),
    "all approvals": lambda store, cursor: store.approvals(ApprovalFilter(pending=None, cursor=cursor)),
    "deliveries": lambda store, cursor: store.deliveries(DeliveryFilter(cursor=cursor)),
    "dispatches": lambda store, cursor: store.dispatches(DispatchFilter(cursor=cursor)),
}
NUMBERS: dict[str, Listing] = {"occurrences": lambda store, cursor: store.occurrences("none", cursor=cursor)}
IDS: dict[str, Listing] = {
    "runs": lambda store, cursor: store.runs(RunFilter(cursor=cursor)),
    "runs of a tag": lambda store, cursor: store.runs(RunFilter(tags=("eu",), cursor=cursor)),
}
AFTER: dict[str, tuple[int, Reading]] = {
    "entries": (2**31 - 1, lambda store, after: store.entries("run_1", after=after)),
    "feed": (2**63 - 1, lambda store, after: store.feed(after=after, limit=10)),
    "chunks": (2**63 - 1, lambda store, after: store.chunks("run_1", after=after)),
}


@pytest.mark.parametrize("listing", PLACES.values(), ids=list(PLACES))
async def test_a_place_that_no_listing_gave_is_refused(store: Store, listing: Listing) -> None:
    for nonsense in (*NO_NUMBER, *(f"{one}.id_1" for one in NO_NUMBER), *(f"1.{one}" for one in NO_ID)):
        with pytest.raises(InvalidSetting, match="cursor"):
            await listing(store, nonsense)


@pytest.mark.parametrize("listing", NUMBERS.values(), ids=list(NUMBERS))
async def test_a_number_that_no_listing_gave_is_refused(store: Store, listing: Listing) -> None:
    for nonsense in (*NO_NUMBER, "1.5"):
        with pytest.raises(InvalidSetting, match="cursor"):
            await listing(store, nonsense)


@pytest.mark.parametrize("listing", IDS.values(), ids=list(IDS))
async def test_an_id_that_no_listing_gave_is_refused(store: Store, listing: Listing) -> None:
    for nonsense in (one for one in NO_ID if one):
        with pytest.raises(InvalidSetting, match="cursor"):
            await listing(store, nonsense)


@pytest.mark.parametrize("number", [-(2**63), 2**63 - 1])
async def test_a_cursor_at_the_ends_of_what_is_stored_is_one(store: Store, number: int) -> None:
    for listing in PLACES.values():
        assert (await listing(store, f"{number}.id_1")).items == []
    for listing in NUMBERS.values():
        assert (await listing(store, str(number))).items == []


@pytest.mark.parametrize(("last", "reading"), AFTER.values(), ids=list(AFTER))
async def test_a_place_in_an_order_that_cannot_be_stored_is_refused(store: Store, last: int, reading: Reading) -> None:
    assert list(await reading(store, last)) == []
    for number in (last + 1, -last - 1, 10**400):
        with pytest.raises(InvalidSetting, match="after"):
            await reading(store, number)
