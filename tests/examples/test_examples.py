"""Each example runs as its first lines say, offline, and prints what its readers are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def printed(name: str, *arguments: str, folder: Path) -> str:
    """What the example prints when it is run in an empty folder."""
    ended = subprocess.run(
        [sys.executable, ROOT / "examples" / name, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_hello(tmp_path: Path) -> None:
    assert printed("hello.py", folder=tmp_path) == "HELLO, WORLD!\n"
    assert printed("hello.py", "Ada", folder=tmp_path) == "HELLO, ADA!\n"
    assert (tmp_path / "agentflow.db").exists()


def test_extract_invoice(tmp_path: Path) -> None:
    assert printed("extract_invoice.py", "--auto", folder=tmp_path).splitlines() == [
        "asked: Invoice INV-4721 (ACME Stationery Ltd, 1200.00), confidence 0.62",
        "decided: corrected",
        "booked INV-4721 from ACME Stationery Limited: 1200.00",
    ]


def test_crash_and_resume(tmp_path: Path) -> None:
    assert printed("crash_and_resume.py", folder=tmp_path).splitlines() == [
        "killed with cake 3 in the oven; starting again",
        "cake 1: begun 1, done 1",
        "cake 2: begun 1, done 1",
        "cake 3: begun 2, done 1",
        "cake 4: begun 1, done 1",
        "cake 5: begun 1, done 1",
        "Every cake was done once. Only the one in the oven, which had no recorded result, was begun again.",
    ]


def test_refund_agent(tmp_path: Path) -> None:
    assert printed("refund_agent.py", "--auto", folder=tmp_path).splitlines() == [
        'asked: Refund 120 EUR for A-17: refund({"order":"A-17","amount":120.0})',
        "the agent says: Both were paid, and both are of no use to her.",
        "decided: corrected",
        "I am sorry about that. This is done: refunded 60 EUR for A-17; refunded 12.5 EUR for A-18.",
        "in the books: 12.5, 60",
    ]


def test_research_agent(tmp_path: Path) -> None:
    assert printed("research_agent.py", "--auto", folder=tmp_path).splitlines() == [
        "asked: research has reached its limit of tokens: 159 tokens of 150 tokens are spent",
        "granted: 75",
        "asked: research has reached its limit of tokens: 264 tokens of 225 tokens are spent",
        "granted: 75",
        "From 1899 on, or 1901 at the latest. (lamps.txt, letters.txt)",
        "model#1/example:small#1: 45 tokens",
        "model#2/example:small#1: 48 tokens",
        "model#3/example:small#1: 66 tokens",
        "model#5/example:small#1: 105 tokens",
        "model#7/example:small#1: 142 tokens",
    ]


def test_support_triage(tmp_path: Path) -> None:
    *corrected, count, crash, login, score = printed("support_triage.py", "--auto", folder=tmp_path).splitlines()
    assert sorted(corrected) == [
        "corrected: Nobody in our office can log in since eight o'clock! {'urgency': 'high'}",
        "corrected: The app crashes when I open an invoice. {'queue': 'bug', 'urgency': 'high'}",
    ]
    assert [count, crash, login, score] == [
        "6 cases, 2 of them corrected, in cases.jsonl",
        "wrong: The app crashes when I open an invoice. (queue billing, not bug; urgency normal, not high)",
        "wrong: Nobody in our office can log in since eight o'clock! (urgency normal, not high)",
        "score: 4 of 6",
    ]
    first = json.loads((tmp_path / "cases.jsonl").read_text().splitlines()[0])
    assert first == {
        "input": {"ticket": "I was charged twice in May."},
        "expected": {"queue": "billing", "urgency": "normal"},
        "changes": [],
    }


def test_invoice_desk(tmp_path: Path) -> None:
    assert printed("invoice_desk.py", "--auto", folder=tmp_path).splitlines() == [
        "sent: 202, and again: 202, the same run",
        "asked: Book INV-4721: 1.2 EUR",
        "decided: corrected",
        "told: run.completed: booked INV-4721 from ACME Stationery: 1200 EUR",
        'to review: Book INV-4721: [{"op": "replace", "path": "/amount", "value": 1200.0}]',
        'in the books: {"supplier": "ACME Stationery", "number": "INV-4721", "amount": "1200"}',
    ]


def test_every_example_is_told_of_and_tested() -> None:
    page = (ROOT / "examples" / "README.md").read_text()
    tested = Path(__file__).read_text()
    for path in (ROOT / "examples").glob("*.py"):
        assert f"]({path.name})" in page
        assert f'"{path.name}"' in tested
