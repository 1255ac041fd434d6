"""How values are written, and that nothing written by a task can act or hide."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import approvals_ui
from approvals_ui.markdown import render
from approvals_ui.text import is_large, percent, plain, pretty, relative, short, show, span

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("by", "words"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=-4), "just now"),
        (timedelta(seconds=-20), "20 s ago"),
        (timedelta(seconds=-200), "3 min ago"),
        (timedelta(days=-40, hours=-3), "40 d ago"),
        (timedelta(seconds=30), "in 30 s"),
        (timedelta(hours=2, minutes=59, seconds=40), "in 2 h 59 min"),
        (timedelta(days=3, hours=4, minutes=5), "in 3 d 4 h"),
        (timedelta(days=2, minutes=5), "in 2 d"),
    ],
)
def test_an_instant_is_told_from_now(by: timedelta, words: str) -> None:
    assert relative(NOW + by, NOW) == words


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(microseconds=4), "<0.1 ms"),
        (timedelta(microseconds=400), "0.4 ms"),
        (timedelta(milliseconds=14), "14 ms"),
        (timedelta(seconds=1.23), "1.2 s"),
        (timedelta(seconds=125), "2 min 5 s"),
        (timedelta(days=1, seconds=5), "1 d"),
        (None, ""),
    ],
)
def test_a_span_is_told_in_at_most_two_units(length: timedelta | None, words: str) -> None:
    assert span(length) == words


@given(st.text())
def test_shown_text_is_inert_and_hides_nothing(text: str) -> None:
    html = str(show(text))
    assert "<script" not in html.lower()
    assert re.fullmatch(r"(?:[^<>]|</?bdi>|</?mark[^<>]*>|</?span[^<>]*>)*", html)
    for hidden in ("\u202e", "\u200b", "\u2066", "\U000e0041", "\x1b", "\ufeff"):
        assert hidden not in html
        assert hidden not in plain(text + hidden)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "![x](https://evil.test/pixel.png)",
        "[click](javascript:alert(1))",
        "[click](data:text/html,<script>alert(1)</script>)",
        "<svg/onload=alert(1)>",
        '<https://evil.test/"onmouseover=alert(1)>',
        "# APPROVED\n\n=====",
        "<style>*{display:none}</style>",
        "[a]: javascript:alert(1)\n[a]",
    ],
)
def test_markdown_of_a_task_cannot_act_or_dress_up(text: str) -> None:
    html = str(render(text))
    tags = set(re.findall(r"<\s*/?\s*([a-z0-9]+)", html))
    assert tags <= {"p", "a", "em", "strong", "code", "pre", "br", "ul", "ol", "li"}
    for link in re.findall(r'href="([^"]*)"', html):
        assert link.startswith(("https://", "http://", "mailto:"))
    assert not re.search(r"<[^>]*\son\w+=", html)


def test_markdown_prints_where_a_link_goes() -> None:
    html = str(render("[your bank](https://evil.test/login) and <https://ours.test>"))
    assert "your bank</a> (https://evil.test/login)" in html
    assert html.count("https://ours.test") == 2, "its words are the address already"
    assert 'rel="noopener noreferrer nofollow"' in html


def test_payloads_are_shown_without_tags_and_never_fail() -> None:
    assert pretty('{"at": {"$datetime": "2026-01-01T00:00:00"}}') == '{\n  "at": "2026-01-01T00:00:00"\n}'
    assert "unreadable" in pretty("{not json")
    assert short('"' + "x" * 500 + '"').endswith("…")
    assert percent(0.615) == "62 %"
    assert is_large(list(range(5000)))
    assert not is_large({"a": [1, 2]})


# -- colours

STYLE = (Path(approvals_ui.__file__).parent / "static" / "style.css").read_text(encoding="utf-8")
TOKENS = dict(re.findall(r"--([\w-]+): light-dark\((#\w{6}), #\w{6}\)", STYLE))
DARK = dict(re.findall(r"--([\w-]+): light-dark\(#\w{6}, (#\w{6})\)", STYLE))
SURFACES = ("bg", "surface", "sunken")
PAIRS = [
    *((text, on) for text in ("text", "muted", "accent", "good", "warn", "bad", "wait") for on in SURFACES),
    *((text, f"{text}-soft") for text in ("accent", "good", "warn", "bad", "wait")),
    *(("text", soft) for soft in ("accent-soft", "bad-soft")),
    ("muted", "accent-soft"),
    ("bad", "accent-soft"),
    ("on-accent", "accent-fill"),
    ("on-bad", "bad-fill"),
]


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [TOKENS, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "on"), PAIRS)
def test_text_reads_well_on_what_it_stands_on(scheme: dict[str, str], text: str, on: str) -> None:
    assert contrast(scheme[text], scheme[on]) >= 4.5, f"{text} on {on}"


@pytest.mark.parametrize("scheme", [TOKENS, DARK], ids=["light", "dark"])
def test_borders_of_inputs_and_focus_rings_are_seen(scheme: dict[str, str]) -> None:
    for on in SURFACES:
        assert contrast(scheme["focus"], scheme[on]) >= 3
        assert contrast(scheme["strong-line"], scheme["surface"]) >= 3


def test_no_colour_is_written_outside_the_tokens() -> None:
    rules = STYLE.split("}", 1)[1]
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b(?![^{]*\{)", rules)
