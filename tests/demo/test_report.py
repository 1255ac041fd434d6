from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentflow.demo import questions
from agentflow.demo.findings import Answer, Distribution, Policy, Quote, Review, Reviewed
from agentflow.demo.report import as_markdown, write_report

AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
ACME = Distribution(name="acme", version="1.0")


def a_line(name: str = "acme", **facts: object) -> Reviewed:
    given = {"version": "1.0", "expression": "MIT", "outcome": "allowed", "found_by": "classifier", "confidence": 0.75}
    return Reviewed.model_validate({"distribution": name, **given, **facts})


def a_review(folder: Path | str) -> Review:
    return Review(output=str(folder), policy=Policy(), distributions=[ACME])


def test_the_report_says_who_approved_what_and_how_it_was_found(tmp_path: Path) -> None:
    lines = [
        a_line("a"),
        a_line("b", expression="MPL-2.0", outcome="approved", decided_by="ana", comment="as a whole", confidence=1.0),
        a_line(
            "c", expression="ISC", found="MIT", outcome="corrected", decided_by="ana", earlier=["License field: none"]
        ),
    ]
    report = write_report(a_review(tmp_path / "new" / "folder"), lines, AT)
    text = Path(report.markdown).read_text()
    assert "| b | 1.0 | MPL-2.0 | classifier | 1.00 | approved | ana | as a whole |" in text
    assert "ISC (found: MIT)" in text
    assert "- c: License field: none" in text
    document = json.loads(Path(report.json_file).read_text())
    assert [line["distribution"] for line in document["distributions"]] == ["a", "b", "c"]
    assert document["distributions"][1]["decided_by"] == "ana"
    assert document["totals"] == report.totals
    assert report.totals == {
        "distributions": 3,
        "allowed": 1,
        "approved": 1,
        "corrected": 1,
        "rejected": 0,
        "failed": 0,
    }


def test_a_rejected_licence_is_not_counted_as_in_use() -> None:
    text = as_markdown(a_review("x"), [a_line("a"), a_line("b", expression="GPL-3.0-only", outcome="rejected")], AT)
    assert "- 1 × MIT" in text
    assert "× GPL-3.0-only" not in text


def test_text_of_others_cannot_break_the_table() -> None:
    text = as_markdown(a_review("x"), [a_line("a|b", outcome="rejected", comment="no\n| x |<script>")], AT)
    row = next(line for line in text.splitlines() if line.startswith("| a"))
    assert row.count(" | ") == 7
    assert "<script>" not in text


def test_an_old_report_stays_whole_when_a_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(a_review(tmp_path), [a_line("old")], AT)
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_report(a_review(tmp_path), [a_line("new")], AT)
    assert "old" in (tmp_path / "report.md").read_text()
    assert json.loads((tmp_path / "report.json").read_text())["distributions"][0]["distribution"] == "old"


@pytest.mark.parametrize(
    ("expression", "confidence", "reason"),
    [
        ("MIT", 0.8, ""),
        ("MIT", 0.79, questions.UNSURE),
        ("MPL-2.0", 1.0, questions.NOT_ALLOWED),
        ("MPL-2.0 OR MIT", 1.0, ""),
        ("MPL-2.0 AND MIT", 1.0, questions.NOT_ALLOWED),
        ("", 0.0, questions.UNKNOWN),
    ],
)
def test_a_person_is_asked_about_what_is_unsure_unknown_or_not_allowed(
    expression: str, confidence: float, reason: str
) -> None:
    answer = Answer(expression=expression, confidence=confidence, found_by="test")
    assert questions.why_a_person(answer, Policy()) == reason


def test_what_has_no_proposal_cannot_be_approved() -> None:
    unknown = questions.first_question(
        ACME, Answer(expression="", confidence=0, found_by="nothing"), Policy(), "unknown_licence"
    )
    assert "approve" not in unknown.verdicts


def test_markup_in_foreign_metadata_stays_text() -> None:
    answer = Answer(
        expression="MIT",
        confidence=0.5,
        found_by="classifier",
        earlier=["License field: “<b>[x](http://e.example)` | *”"],
        quotes=[Quote(document="a`b", text="</code>\n# Heading")],
    )
    body = questions.first_question(ACME, answer, Policy(), questions.UNSURE).body
    assert r"\<b\>\[x\](http://e.example)\` \| \*" in body
    assert "    # Heading" in body
    assert "`ab`" in body
