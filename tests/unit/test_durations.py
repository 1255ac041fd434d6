from __future__ import annotations

import math
from datetime import timedelta

import pytest

from agentflow.durations import describe, duration
from agentflow.errors import InvalidDuration


@pytest.mark.parametrize(
    ("given", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("1.5h", timedelta(minutes=90)),
        ("3d", timedelta(days=3)),
        ("1h30m", timedelta(minutes=90)),
        ("1h 30m", timedelta(minutes=90)),
        (" 500ms ", timedelta(milliseconds=500)),
        ("2w", timedelta(weeks=2)),
        ("0s", timedelta(0)),
        (0, timedelta(0)),
        (1.5, timedelta(seconds=1.5)),
        (timedelta(days=1), timedelta(days=1)),
        ("36525d", timedelta(days=36_525)),
    ],
)
def test_a_span_is_read_from_text_numbers_and_timedeltas(given, span):
    assert duration(given) == span


@pytest.mark.parametrize(
    "given",
    [
        "", " ", "5", "s", "-5s", "1x", "1h1h", "30m1h", "1e3s", "١s", "1..5s", "9" * 500 + "d", "36526d", "nan", "inf",
        -1, math.nan, math.inf, True, None, 1e300, 10**400, [], timedelta(days=-1), timedelta.max,
    ],
)  # fmt: skip
def test_what_names_no_usable_span_is_refused_with_the_forms_that_do(given):
    with pytest.raises(InvalidDuration, match='"1h30m"') as caught:
        duration(given)
    assert isinstance(caught.value, ValueError)
    assert repr(given)[:20] in str(caught.value)


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(days=3, hours=4, minutes=5), "3d 4h"),
        (timedelta(days=3, seconds=5), "3d"),
        (timedelta(seconds=90), "1m 30s"),
        (timedelta(milliseconds=500), "500ms"),
        (timedelta(0), "0s"),
        (timedelta(microseconds=5), "<1ms"),
        (timedelta(hours=-2), "-2h"),
        (timedelta(days=400), "400d"),
    ],
)
def test_a_span_is_described_by_its_two_largest_units(span, text):
    assert describe(span) == text
