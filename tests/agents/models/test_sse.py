"""Events come out of a stream as they were sent, however its bytes were cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.agents.models.sse import Event, EventReader


def read(*parts: bytes) -> list[Event]:
    reader = EventReader()
    return [event for part in parts for event in reader.feed(part)]


@pytest.mark.parametrize(
    ("stream", "found"),
    [
        (b"data: a\n\n", [("message", "a")]),
        (b"data: a\r\n\r\n", [("message", "a")]),
        (b"data: a\r\r", [("message", "a")]),
        (b"data:a\ndata: b\ndata\ndata:\n\n", [("message", "a\nb\n\n")]),
        (b"data:  two spaces\n\n", [("message", " two spaces")]),
        (b"event: ping\ndata: {}\n\ndata: x\n\n", [("ping", "{}"), ("message", "x")]),
        (b"event: nothing\n\ndata: x\n\n", [("message", "x")]),
        (b": a comment\n:\n\ndata: x\n: another\n\n", [("message", "x")]),
        (b"id: 7\nretry: 10\nunknown: y\ndata: x\n\n", [("message", "x")]),
        (b"\xef\xbb\xbfdata: x\n\n", [("message", "x")]),
        (b"data: x\n\n\n\ndata: y\n\n", [("message", "x"), ("message", "y")]),
        (b"data: a: b\n\n", [("message", "a: b")]),
        ("data: a\u2028b\x85c\x0bd\n\n".encode(), [("message", "a\u2028b\x85c\x0bd")]),
        (b"data: not yet\n", []),
        (b"data: not yet", []),
    ],
)
def test_a_stream_is_read_as_the_standard_says(stream: bytes, found: list[tuple[str, str]]) -> None:
    assert read(stream) == [Event(name, data) for name, data in found]
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == [Event(name, data) for name, data in found]


def test_the_two_halves_of_a_line_end_are_one_line_end() -> None:
    assert read(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n") == [Event("message", "a\nb")]
    assert read(b"data: a\r", b"", b"\n\n") == [Event("message", "a")]


def test_what_is_no_utf8_is_an_error_and_no_other_text() -> None:
    with pytest.raises(UnicodeDecodeError):
        read(b"data: caf\xe9\n\n")


lines = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12)


@given(
    sent=st.lists(st.tuples(st.text("abc", max_size=3), st.lists(lines, min_size=1, max_size=3)), max_size=5),
    end=st.sampled_from(["\n", "\r", "\r\n"]),
    cuts=st.lists(st.integers(0, 400), max_size=20),
)
def test_every_event_arrives_whole_wherever_the_bytes_are_cut(
    sent: list[tuple[str, list[str]]], end: str, cuts: list[int]
) -> None:
    text = "".join(
        (f"event: {name}{end}" if name else "") + "".join(f"data: {line}{end}" for line in data) + f": c{end}{end}"
        for name, data in sent
    )
    stream = text.encode()
    at = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    parts = [stream[start:stop] for start, stop in pairwise(at)]
    assert read(*parts) == [Event(name or "message", "\n".join(data)) for name, data in sent]


def test_a_line_of_a_million_bytes_in_many_pieces_is_one_line() -> None:
    parts = [b"data: ", *[b"x" * 100] * 10_000, b"\n\n"]
    assert read(*parts) == [Event("message", "x" * 1_000_000)]
