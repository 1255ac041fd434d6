"""Many runs at once, and finding runs by their tags."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.shell import Office


def items(*given: object) -> str:
    return json.dumps(given)


def test_each_item_of_a_batch_is_started_or_refused_for_itself(office: Office) -> None:
    good = {"task": "greet", "input": {"name": "mia"}, "idempotency_key": "batch-1"}
    bad = {"task": "greet", "input": {"name": 12}}
    unknown = {"task": "great", "input": {}}
    ended = office("trigger-batch", "app.py", "--items", items(good, bad, good, unknown), "--json")
    assert ended.code == 1
    first, refused, again, lost = ended.document
    assert first["status"] == "queued"
    assert again["id"] == first["id"]
    assert refused["error"]["type"] == "InvalidInput"
    assert refused["error"]["fields"][0]["field"] == "/name"
    assert "did you mean 'greet'" in lost["error"]["message"]


def test_a_batch_of_which_nothing_is_refused_ends_with_0(office: Office) -> None:
    one = {"task": "greet", "input": {"name": "mia"}}
    ended = office("trigger-batch", "app.py", "--items", "-", stdin=items(one, one))
    assert ended.code == 0
    assert [line.split()[2] for line in ended.out.splitlines()] == ["queued", "queued"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{}", "found dict; wanted a list of objects"),
        ("[7]", "item 0 is '7'; wanted an object"),
        ('[{"input": {}}]', "wanted an object with"),
        ('[{"task": "greet", "inptu": {}}]', "item 0"),
    ],
)
def test_a_list_that_is_no_batch_is_refused_before_anything_starts(office: Office, given: str, words: str) -> None:
    ended = office("trigger-batch", "app.py", "--items", given)
    assert ended.code == 2
    assert words in ended.err


def test_runs_are_found_by_tags_and_show_what_they_were_given(office: Office) -> None:
    made = office(
        "trigger", "app.py:greet", "--input", '{"name": "mia"}', "--tag", "eu", "--tag", "cli-batch",
        "--metadata", '{"ticket": "T-9"}', "--json",
    ).document  # fmt: skip
    [found] = office("runs", "--tag", "cli-batch", "--tag", "eu", "--json").document
    assert (found["id"], found["tags"], found["metadata"]) == (made["id"], ["eu", "cli-batch"], {"ticket": "T-9"})
    assert office("runs", "--tag", "cli-batch", "--tag", "us", "--json").document == []
    assert office("runs", "--tag", "cli-batch", "--origin", "cli", "--json").document != []
    shown = office("show", made["id"]).out
    assert "tagged eu, cli-batch" in shown
    assert '{"ticket": "T-9"}' in shown


def test_a_tag_that_cannot_be_is_refused(office: Office) -> None:
    ended = office("trigger", "app.py:greet", "--input", '{"name": "mia"}', "--tag", " eu")
    assert ended.code == 2
    assert "tags has ' eu' in it: wanted 1 to 100 printable characters" in ended.err
