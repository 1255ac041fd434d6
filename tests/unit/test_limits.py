"""Limits are read where they are written, and one that nothing could meet is refused there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from agentflow.errors import DefinitionError, InvalidSetting
from agentflow.limits import Budget, Limits, Rate, described
from agentflow.tasks.queue import Batch, Debounce, Queue

FULL = Limits(
    concurrency=20,
    per_key=2,
    per_worker=5,
    rate=Rate.of("100/min"),
    budget=Budget("tokens", "90_000/min"),
    backlog=10_000,
    fair=True,
)


@pytest.mark.parametrize(
    ("text", "amount", "seconds"),
    [
        ("100/min", 100, 60),
        ("5/s", 5, 1),
        ("1000/h", 1000, 3600),
        ("10/30s", 10, 30),
        ("10/1m30s", 10, 90),
        (" 1 / day ", 1, 86_400),
        ("90_000/minute", 90_000, 60),
        ("90,000/m", 90_000, 60),
    ],
)
def test_a_rate_is_an_amount_and_a_span(text: str, amount: int, seconds: int) -> None:
    assert Rate.of(text) == Rate(amount, timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "text",
    ["", "100", "/min", "100/", "0/s", "-1/s", "1.5/s", "1e9/s", "100/fortnight", "100/0s", "ten/s", "1/min/s", "1/-1s",
     "٣/s", "1/1ns", 100, None, True, b"1/s", "1/101y", "9" * 30 + "/s", "1_/200000000w"],
)  # fmt: skip
def test_a_text_that_is_no_rate_is_refused(text: Any) -> None:
    with pytest.raises(InvalidSetting):
        Rate.of(text)


@pytest.mark.parametrize("name", ["concurrency", "per_key", "per_worker", "backlog"])
@pytest.mark.parametrize("value", [0, -1, True, False, 1.5, "3", 10**16, float("nan")])
def test_a_limit_that_is_no_whole_number_above_nothing_is_refused(name: str, value: Any) -> None:
    with pytest.raises(DefinitionError, match=f"queue 'llm': {name} is .*wanted a whole number, 1 or more"):
        Queue("llm", **{name: value})


@pytest.mark.parametrize(
    "given", [{"rate": "0/s"}, {"budget": "tokens"}, {"fair": "yes"}, {"rate": 5}, {"budget": ("tokens", "5/s")}]
)
def test_a_limit_of_another_kind_is_refused(given: Any) -> None:
    with pytest.raises(DefinitionError, match="queue 'llm'"):
        Queue("llm", **given)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 101, None, 7, "a\n"])
def test_a_name_that_cannot_be_one_is_refused(name: Any) -> None:
    with pytest.raises(DefinitionError):
        Queue(name)
    with pytest.raises(InvalidSetting):
        Budget(name, "1/s")


def test_the_default_queue_takes_no_limits() -> None:
    assert Queue("default").limits == Limits()
    with pytest.raises(DefinitionError, match="give this one another name"):
        Queue("default", concurrency=3)


@pytest.mark.parametrize("limits", [Limits(), FULL, Limits(rate=Rate(3, timedelta(milliseconds=1500)))])
def test_limits_are_stored_and_read_again(limits: Limits) -> None:
    assert Limits.from_json(limits.to_json()) == limits


def test_limits_are_told_in_words() -> None:
    assert described(Limits()) == []
    assert described(FULL) == [
        "20 at a time",
        "2 of a key",
        "5 in a worker",
        "100 per 1m",
        "10,000 lined up",
        "90,000 per 1m of budget 'tokens'",
        "keys take turns",
    ]


@pytest.mark.parametrize(
    "made",
    [
        lambda: Debounce("0s"),
        lambda: Debounce("-1s"),
        lambda: Debounce("5s", most="4s"),
        lambda: Debounce(float("nan")),
        lambda: Debounce("200000d"),
        lambda: Batch(0, "5s"),
        lambda: Batch(True, "5s"),
        lambda: Batch(5, "0s"),
        lambda: Batch(5, "soon"),
    ],
)
def test_what_gathers_triggers_needs_a_span_and_a_size(made: Any) -> None:
    with pytest.raises(DefinitionError):
        made()
