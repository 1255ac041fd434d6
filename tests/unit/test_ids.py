"""Ids sort by the time they were made at, and after those of earlier releases."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from agentflow.ids import APPROVAL, RUN, new_id

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
OF_AN_EARLIER_RELEASE = "run_01kjmp10a0zzzzzzzzzzzzzzzz"
"""Made at this instant, with the greatest of its random parts."""


def test_an_id_is_its_kind_and_18_letters_that_are_not_mistaken_for_others() -> None:
    assert re.fullmatch(r"run_[0-9a-hjkmnp-tv-z]{18}", new_id(RUN, AT))


def test_a_process_never_makes_an_id_twice_within_a_millisecond() -> None:
    """Not even from several threads: as few letters as chance alone has would do so once in some batches."""
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: new_id(RUN, AT), range(20_000)))
    assert len(set(made)) == 20_000
    assert {one[:13] for one in made} == {f"run_{OF_AN_EARLIER_RELEASE[5:14]}"}


def test_ids_of_one_millisecond_are_scattered_over_it() -> None:
    """A server's index that is filled in order, and later within, ends half empty."""
    made = [new_id(APPROVAL, AT) for _ in range(1000)]
    assert len({one[13] for one in made}) == 32
    assert made != sorted(made)


def test_ids_sort_by_the_milliseconds_they_were_made_at() -> None:
    later = [new_id(RUN, AT + timedelta(milliseconds=number)) for number in range(1, 1000)]
    assert later == sorted(later)
    assert new_id(RUN, AT - timedelta(milliseconds=1)) < later[0]
    assert later[0] > OF_AN_EARLIER_RELEASE
    assert new_id(RUN, datetime(3084, 1, 1, tzinfo=UTC)) > later[-1]
