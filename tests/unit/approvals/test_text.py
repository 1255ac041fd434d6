from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.approvals import has_hidden, mixed_scripts, visible
from agentflow.approvals.text import escape_hidden

CONTROLS = [chr(point) for point in range(sys.maxunicode + 1) if unicodedata.category(chr(point)) in ("Cc", "Cf", "Cs")]
BLANK = ["\u034f", "\u115f", "\u2028", "\u2029", "\u2800", "\u3164", "\ufe00", "\U000e0100", "\U000e01ef", "\U000e0001"]


def test_every_control_and_format_character_is_shown_by_its_code() -> None:
    for char in [*CONTROLS, *BLANK]:
        if char in "\n\t":
            assert not has_hidden(f"a{char}b")
            continue
        assert has_hidden(char), hex(ord(char))
        before, piece, after = visible(f"a{char}b")
        assert (before.text, piece.hidden, after.text) == ("a", True, "b")
        assert piece.text == f"⟨U+{ord(char):04X} {piece.name}⟩"
        assert piece.name


@pytest.mark.parametrize("text", ["", "Ana Müller\n\tTotal: 1 200 €", "日本語", "❤\ufe0f", "שלום", "a\r\nb", "e\u0301"])
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert not has_hidden(text)
    assert "".join(piece.text for piece in visible(text)) == text


def test_a_message_in_variation_selectors_is_seen() -> None:
    assert has_hidden("a" + "\ufe0f\ufe0e" * 4)


@given(st.text())
def test_pieces_say_all_of_the_text_and_hide_nothing(text: str) -> None:
    pieces = visible(text)
    assert not any(has_hidden(piece.text) for piece in pieces)
    assert "".join(piece.text for piece in pieces if not piece.hidden) in text or any(piece.hidden for piece in pieces)
    assert any(piece.hidden for piece in pieces) == has_hidden(text)


@given(st.text(st.characters()))
def test_escaped_json_text_hides_nothing_and_means_the_same(text: str) -> None:
    escaped = escape_hidden(json.dumps(text, ensure_ascii=False))
    assert json.loads(escaped) == text
    assert not has_hidden(escaped)


@pytest.mark.parametrize(
    ("text", "mixed"),
    [
        ("pаypal", True),
        ("αmazon", True),
        ("paypal", False),
        ("Привет hello", False),
        ("Ω", False),
        ("naïve", False),
        ("a_б", False),
        ("аdmin_x", True),
    ],
)
def test_a_word_of_two_look_alike_scripts_is_noticed(text: str, mixed: bool) -> None:
    assert mixed_scripts(text) is mixed
