"""JSON on the command line: nothing is guessed, and what is wrong is said in one line."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from agentflow.cli.exits import Refused
from agentflow.cli.inputs import parse_json, read_json


def test_the_text_itself_is_the_value() -> None:
    assert read_json('{"total": 12, "lines": [1.5, null]}', option="--input") == {"total": 12, "lines": [1.5, None]}


def test_a_file_is_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "input.json"
    path.write_bytes(b'\xef\xbb\xbf{"city": "K\xc3\xb6ln"}')
    assert read_json(f"@{path}", option="--input") == {"city": "Köln"}


def test_a_dash_means_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"[1]")))
    assert read_json("-", option="--data") == [1]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("{'a': 1}", "--input: found \"'a': 1}\" at line 1, column 2"),
        ('{"a": 1,}', "--input: found '}' at line 1, column 9"),
        ("hello", "--input: found 'hello' at line 1, column 1 (expecting value); wanted JSON, such as"),
        ("", "--input: found nothing; wanted JSON"),
        ('{"a": ', "--input: found the end at line 1, column 7 (expecting value); wanted JSON"),
        ('{"a": 1, "b": {"a": 1, "a": 2}}', "--input: found the key 'a' twice in one object"),
        ("[NaN]", "--input: found NaN, which is no JSON"),
        ("[-Infinity]", "--input: found -Infinity, which is no JSON"),
        ("@nowhere.json", "--input: cannot read nowhere.json: no such file or directory"),
        ("@.", "--input: cannot read .: is a directory"),
        ("[" * 100_000, "--input: found JSON nested too deeply"),
    ],
)
def test_what_is_no_json_is_refused_in_one_line_that_names_the_place(given: str, sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        read_json(given, option="--input")
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_utf8_is_refused_with_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "latin.json"
    path.write_bytes(b'{"city": "K\xf6ln"}')
    with pytest.raises(Refused, match="is no UTF-8 text \\(byte 11\\); save it as UTF-8"):
        read_json(f"@{path}", option="--input")


def test_a_file_name_without_its_at_sign_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "input.json"
    path.write_text("{}")
    with pytest.raises(Refused, match=f'to read that file write "@{path}"'):
        read_json(str(path), option="--input")


def test_large_whole_numbers_stay_exact() -> None:
    assert parse_json("9007199254740993", source="--data") == 9007199254740993
