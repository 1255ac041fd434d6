"""The arithmetic of completion rules: when branches have done enough, and when they no longer can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentflow import Branches, BranchResult, all_succeed, at_least, first_success, tolerate
from agentflow.errors import DefinitionError

if TYPE_CHECKING:
    from agentflow.runtime.parallel.completion import Completion

outcomes = st.lists(st.booleans(), min_size=1, max_size=12)


def decided_after(rule: Completion, ends: list[bool]) -> tuple[int, bool]:
    """After how many ends the rule is decided, and whether it is met."""
    terms = rule.terms(len(ends))
    for count in range(1, len(ends) + 1):
        succeeded = sum(ends[:count])
        if terms.is_decided(succeeded, count - succeeded):
            return count, not terms.is_broken(count - succeeded)
    raise AssertionError("every rule is decided by the last branch")


def by_hand(ends: list[bool], *, least: int, tolerated: int, early: bool) -> tuple[int, bool]:
    """The same, told from the definition: the first end after which nothing to come can change the answer."""
    for count in range(1, len(ends) + 1):
        succeeded = sum(ends[:count])
        if early and succeeded >= least:
            return count, True
        if count - succeeded > tolerated:
            return count, False
    return len(ends), True


@given(outcomes)
def test_all_have_to_succeed(ends: list[bool]) -> None:
    assert decided_after(all_succeed(), ends) == by_hand(ends, least=len(ends), tolerated=0, early=True)


@given(outcomes, st.integers(1, 12))
def test_so_many_successes_are_enough(ends: list[bool], n: int) -> None:
    if n > len(ends):
        with pytest.raises(DefinitionError, match="never be met"):
            at_least(n).terms(len(ends))
    else:
        assert decided_after(at_least(n), ends) == by_hand(ends, least=n, tolerated=len(ends) - n, early=True)
        assert decided_after(first_success(), ends) == decided_after(at_least(1), ends)


@given(outcomes, st.integers(0, 12))
def test_so_many_failures_are_tolerated_and_every_branch_is_seen_to_its_end(ends: list[bool], count: int) -> None:
    assert decided_after(tolerate(count=count), ends) == by_hand(ends, least=0, tolerated=count, early=False)


@example(29, 100)
@given(st.integers(0, 1000), st.integers(0, 1000))
def test_a_share_means_what_is_written_whatever_floating_point_makes_of_it(hundredths: int, count: int) -> None:
    share = (hundredths % 101) / 100
    assert tolerate(share=share).terms(count).tolerated == (hundredths % 101) * count // 100


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: at_least(0), r"at_least\(0\)"),
        (lambda: at_least(True), r"at_least\(True\)"),
        (lambda: at_least(1.5), r"at_least\(1.5\)"),
        (tolerate, "either count= or share="),
        (lambda: tolerate(count=1, share=0.5), "either count= or share="),
        (lambda: tolerate(count=-1), r"count=-1"),
        (lambda: tolerate(count=True), r"count=True"),
        (lambda: tolerate(share=1.01), r"share=1.01"),
        (lambda: tolerate(share=-0.1), r"share=-0.1"),
        (lambda: tolerate(share=float("nan")), r"share=nan"),
        (lambda: tolerate(share=True), r"share=True"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_where_it_is_written(make: Any, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        make()


@pytest.mark.parametrize("rule", [all_succeed(), tolerate(count=0), tolerate(share=1)])
def test_nothing_to_do_meets_a_rule_that_asks_for_no_success(rule: Completion) -> None:
    assert not rule.terms(0).is_broken(0)


def test_branches_are_a_sequence_of_what_became_of_each() -> None:
    error = ValueError("no")
    found: Branches[int] = Branches(
        [
            BranchResult(index=0, status="succeeded", value=7),
            BranchResult(index=1, status="failed", error=error),
            BranchResult(index=2, status="succeeded", value=None),
            BranchResult(index=3, status="cancelled"),
        ]
    )
    assert (found.values, found.errors, found.succeeded, len(found)) == ((7, None), (error,), 2, 4)
    assert [one.index for one in found] == [0, 1, 2, 3]
    assert (found[1].error, [one.status for one in found[2:]]) == (error, ["succeeded", "cancelled"])
    assert repr(found) == "<branches sfsc>"
