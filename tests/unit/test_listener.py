"""Listeners as declared: which names a pattern fits, what is refused where it is written, and what tasks are given."""

from __future__ import annotations

import functools
import operator
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import Listener, task
from agentflow.errors import DefinitionError, InvalidInput
from agentflow.requests.patterns import fits
from agentflow.tasks.listener import on
from agentflow.tasks.payload_functions import PayloadFunction, mapped_input, payload_input

if TYPE_CHECKING:
    from nowhere import Missing


@task
async def none() -> None: ...


@task
async def one(n: int) -> None: ...


@task
async def two(n: int, at: date | None = None) -> None: ...


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        ("a.b", ["a.b"], ["a", "a.b.c", "A.B", "a.bc"]),
        ("*", ["a", "a.b", "a b"], []),
        ("a.*", ["a.b", "a.b.c"], ["a", "ab.c", "b.a"]),
        ("a.*.c", ["a.b.c", "a.*.c"], ["a.c", "a.b.b.c", "a.b"]),
        ("*.c", ["b.c"], ["c", "a.b.c"]),
        ("a.*.*", ["a.b.c", "a.b.c.d"], ["a.b"]),
        ("paid in full", ["paid in full"], ["paid"]),
        ("a+b[1]", ["a+b[1]"], ["aab1"]),
    ],
)
def test_a_pattern_fits_these_names_and_no_others(pattern: str, fitting: list[str], others: list[str]) -> None:
    assert [name for name in fitting + others if fits(pattern, name)] == fitting


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("invoice*", "did you mean 'invoice.*'?"),
        ("*invoice", "did you mean '*.invoice'?"),
        ("invoice.**", "did you mean 'invoice.*'?"),
        ("in*ce.paid", "did you mean '*.paid'?"),
        ("invoice..paid", "nothing between two dots or at an end; did you mean 'invoice.paid'?"),
        ("invoice.", "did you mean 'invoice'?"),
        ("invoice:paid", "a colon, which no event's name has; did you mean 'invoice.paid'?"),
        (" paid", "a space around it; did you mean 'paid'?"),
        ("pa\nid", "a control character in it; did you mean 'paid'?"),
        ("", "which is empty; wanted a name such as"),
        ("..", "wanted a name such as"),
        ("x" * 201, "longer than 200 characters"),
        (7, "wanted a text such as 'invoice.*'"),
    ],
)
def test_a_pattern_that_cannot_be_one_is_refused_with_the_nearest(pattern: Any, said: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        Listener(pattern, task="book")
    assert said in str(refused.value)


def test_a_listener_is_counted_under_its_task_and_pattern_unless_it_has_an_id() -> None:
    assert Listener("a.*", task=one).id == "one:a.*"
    assert Listener("a.*", task="one", id="mine").id == "mine"
    for wrong in (" x", "a\nb", "x" * 301):
        with pytest.raises(DefinitionError, match="printable"):
            Listener("a", task=one, id=wrong)
    with pytest.raises(DefinitionError, match="wanted a task"):
        Listener("a", task=operator)  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="is no task; put it above @task"):
        on("a")(lambda: None)  # type: ignore[type-var]


def test_a_task_listens_for_several_patterns_and_for_each_once() -> None:
    @task.on("a")
    @task.on("b")
    @task
    async def both() -> None: ...

    assert {listener.pattern for listener in both.listeners} == {"a", "b"}
    with pytest.raises(DefinitionError, match="listens for 'a' twice"):
        task.on("a")(both)


@pytest.mark.parametrize("wrong", [lambda: None, lambda a, b, c: (a, b, c), lambda a, *, b: (a, b), 7])
def test_a_function_that_cannot_take_a_payload_is_refused(wrong: Any) -> None:
    with pytest.raises(DefinitionError, match="wanted a function of the payload"):
        Listener("a", task=one, where=wrong)


def test_a_function_is_given_what_it_asks_for() -> None:
    def typed(payload: date, received: Missing) -> Any:
        return payload, received

    def call(function: Any, payload: Any) -> Any:
        return PayloadFunction.of(function, name="where=").call(payload, "received", task="one")

    assert call(typed, "2026-11-22") == (date(2026, 11, 22), "received")
    assert call(lambda payload, so_far=3: (payload, so_far), 1) == (1, 3)
    assert call(lambda *payload: payload, 1) == (1,)
    assert call(operator.itemgetter("n"), {"n": 1}) == 1
    assert call(functools.partial(operator.add, 1), 2) == 3
    with pytest.raises(InvalidInput, match="of task 'one'"):
        call(typed, "soon")


def test_an_annotation_that_is_nowhere_is_refused_at_start_up() -> None:
    def typed(payload: Missing) -> bool:
        return bool(payload)

    listener = Listener("a", task=one, where=typed)
    with pytest.raises(DefinitionError, match="Missing"):
        listener.check()


def test_a_payload_becomes_the_input_of_its_task() -> None:
    assert payload_input(none, {"what": "ever"}) == "{}"
    assert payload_input(one, 3) == '{"n":3}'
    assert payload_input(two, {"n": 3}).startswith('{"n":3')
    for payload in ("3", {"n": 3}, None):
        with pytest.raises(InvalidInput):
            payload_input(one, payload)
    for payload in (3, {"n": 3, "more": 1}, {}):
        with pytest.raises(InvalidInput):
            payload_input(two, payload)


def test_what_a_function_gives_becomes_the_input_by_name_or_as_the_only_value() -> None:
    assert mapped_input(one, 3) == mapped_input(one, {"n": 3}) == '{"n":3}'
    assert mapped_input(two, {"n": 3}).startswith('{"n":3')
    with pytest.raises(InvalidInput, match="an object of its parameters by name: n, at"):
        mapped_input(two, 3)
