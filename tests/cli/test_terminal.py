"""What a command prints: one document for a program, text that cannot act on the terminal for a person."""

from __future__ import annotations

import json

import pytest

from agentflow.cli.terminal import Terminal, pretty, safe, write, write_table

ESCAPE = "\x1b]0;pwned\x07\x1b[2J"


def terminal(**given: bool) -> Terminal:
    return Terminal(database="sqlite:///x.db", **given)


def test_with_json_stdout_is_one_document_in_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    terminal(as_json=True).answer({"title": "Köln \ud800 " + ESCAPE}, lambda: write("for people"))
    out = capsys.readouterr().out
    assert json.loads(out) == {"title": "Köln \ud800 " + ESCAPE}
    assert out.isascii()
    assert "for people" not in out


def test_notes_go_to_stderr_and_can_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    terminal().note("careful")
    terminal(quiet=True).note("silence")
    assert capsys.readouterr() == ("", "careful\n")


@pytest.mark.parametrize("text", [ESCAPE, "pay \u202eEUR 1", "zero\u200bwidth", "back\x08space"])
def test_control_and_hidden_characters_are_named_and_not_sent(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(text)
    write_table(["title"], [[text]])
    out = capsys.readouterr().out
    assert "⟨U+" in out
    assert not set(out) & {"\x1b", "\x07", "\u202e", "\u200b", "\x08"}


def test_markup_of_the_terminal_library_is_only_text(capsys: pytest.CaptureFixture[str]) -> None:
    write("[bold red]URGENT[/] :warning:")
    assert capsys.readouterr().out == "[bold red]URGENT[/] :warning:\n"


def test_a_pipe_gets_one_row_a_line_separated_by_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    write_table(["id", "title"], [["apr_1", "two\nlines\tand a tab " + "x" * 200]])
    assert capsys.readouterr().out == "id\ttitle\napr_1\ttwo lines and a tab " + "x" * 200 + "\n"


def test_a_long_line_in_a_pipe_is_not_folded(capsys: pytest.CaptureFixture[str]) -> None:
    write("x" * 500)
    assert capsys.readouterr().out == "x" * 500 + "\n"


def test_ordinary_text_of_any_language_is_left_alone() -> None:
    assert safe("Köln 東京 👍") == "Köln 東京 👍"
    assert pretty({"city": "Köln"}) == '{\n  "city": "Köln"\n}'


def test_without_a_terminal_progress_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal().progress("waiting") as say:
        say("still waiting")
    assert capsys.readouterr() == ("", "")
