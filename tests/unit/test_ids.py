"""Ids sort by the time they were made at, those of earlier releases among them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from agentflow.ids import RUN, new_id

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
OF_AN_EARLIER_RELEASE = "run_01kjmp10a0zzzzzzzzzzzzzzzz"
"""Made at this instant, with the greatest of its random parts."""


def test_an_id_is_its_kind_and_22_letters_that_are_not_mistaken_for_others() -> None:
    assert re.fullmatch(r"run_[0-9a-hjkmnp-tv-z]{22}", new_id(RUN, AT))


def test_ids_made_at_one_instant_begin_alike_and_are_different() -> None:
    made = {new_id(RUN, AT) for _ in range(1000)}
    assert len(made) == 1000
    assert {one[:14] for one in made} == {OF_AN_EARLIER_RELEASE[:14]}


def test_ids_sort_by_the_milliseconds_they_were_made_at() -> None:
    later = [new_id(RUN, AT + timedelta(milliseconds=number)) for number in range(1, 1000)]
    assert later == sorted(later)
    assert later[0] > OF_AN_EARLIER_RELEASE
    assert new_id(RUN, AT - timedelta(milliseconds=1)) < OF_AN_EARLIER_RELEASE
