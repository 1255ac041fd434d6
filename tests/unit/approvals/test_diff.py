from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow.approvals import ChangeKind, approval_digest, changes, outcome_of, patch
from agentflow.approvals.pointers import tokens
from agentflow.payloads import canonical

scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([1.0, 0.5, "a", "b", "", "a/b~c"])
keys = st.sampled_from(["a", "b", "a/b", "~1", "", "0", "ü"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(keys, inner, max_size=4), max_leaves=20
)


def applied(value: Any, operations: list[dict[str, Any]]) -> Any:
    """RFC 6902, as its section 4 says, for the three operations used."""
    whole = {"": copy.deepcopy(value)}
    for operation in operations:
        *way, last = ["", *tokens(operation["path"])]
        place: Any = whole
        for token in way:
            place = place[int(token)] if isinstance(place, list) else place[token]
        match operation["op"], place:
            case "remove", list():
                del place[int(last)]
            case "remove", _:
                del place[last]
            case "add", list():
                assert int(last) <= len(place)
                place.insert(int(last), operation["value"])
            case "replace", list():
                place[int(last)] = operation["value"]
            case _, _:
                assert (last in place) == (operation["op"] == "replace")
                place[last] = operation["value"]
    return whole[""]


@settings(max_examples=400)
@given(values, values)
def test_a_patch_turns_one_value_into_the_other(old: Any, new: Any) -> None:
    assert canonical(applied(old, patch(old, new))) == canonical(new)


@settings(max_examples=300)
@given(values, values)
def test_there_are_changes_exactly_when_it_is_a_correction(old: Any, new: Any) -> None:
    corrected = outcome_of(old, new) == "corrected"
    assert bool(changes(old, new)) == bool(patch(old, new)) == corrected


def test_an_inserted_row_is_one_addition_and_not_a_change_of_all_that_follow() -> None:
    old = [{"sku": name} for name in "abcd"]
    (change,) = changes(old, [old[0], {"sku": "x"}, *old[1:]])
    assert (change.kind, change.pointer, change.label) == (ChangeKind.ADDED, "/1", "2")


def test_a_row_that_changed_is_paired_with_itself_and_a_moved_one_is_said_to_have_moved() -> None:
    old = [{"n": 1}, {"n": 2}, {"n": 3}]
    assert [one.pointer for one in changes(old, [{"n": 1}, {"n": 9}, {"n": 3}])] == ["/1/n"]
    (moved,) = changes(old, [{"n": 3}, {"n": 1}, {"n": 2}])
    assert (moved.kind, moved.moved_from, moved.pointer) == (ChangeKind.MOVED, "/2", "/0")


def test_rows_with_a_key_are_followed_by_it() -> None:
    schema = {"type": "array", "x-key": "sku", "items": {"type": "object", "properties": {}}}
    old = [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]
    new = [{"sku": "b", "n": 5}, {"sku": "c", "n": 1}]
    kinds = {(one.kind, one.pointer) for one in changes(old, new, schema=schema)}
    assert kinds == {(ChangeKind.REMOVED, "/0"), (ChangeKind.CHANGED, "/0/n"), (ChangeKind.ADDED, "/1")}


def test_long_texts_are_compared_word_by_word() -> None:
    old = "Please pay the invoice within thirty days of receipt."
    (change,) = changes(old, old.replace("thirty", "sixty"))
    assert change.words is not None
    assert [(one.kind, one.text) for one in change.words if one.kind != "same"] == [("del", "thirty"), ("ins", "sixty")]
    assert "".join(one.text for one in change.words if one.kind != "ins") == old


def test_differences_the_eye_misses_are_made_visible() -> None:
    (spaces,) = changes("a b", "a  b ")
    assert spaces.words is not None
    assert "".join(one.text for one in spaces.words if one.kind == "ins").count("␠") >= 2
    (form,) = changes("é", "e\u0301")
    assert "Unicode form" in form.note


def test_very_long_lists_and_texts_are_compared_in_time() -> None:
    rows = [{"n": number} for number in range(3000)]
    assert len(changes(rows, list(reversed(rows)))) > 0
    text = " ".join(map(str, range(20_000)))
    assert changes(text, text[::-1])[0].words is not None


def test_the_digest_binds_what_will_run() -> None:
    bound: dict[str, Any] = {"task": "t", "key": "k", "value": {"a": 1}, "schema": {"type": "object"}}
    digest = approval_digest(**bound)
    assert digest == approval_digest(**{**bound, "value": {"a": 1.0}}) or outcome_of(1, 1.0) == "corrected"
    for name, other in {"task": "u", "key": "l", "value": {"a": 2}, "schema": {}}.items():
        assert approval_digest(**{**bound, name: other}) != digest
