"""Each example runs as its first lines say, offline, and prints what its readers are told."""

from __future__ import annotations

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
        timeout=50,
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


def test_every_example_is_told_of_and_tested() -> None:
    page = (ROOT / "examples" / "README.md").read_text()
    tested = Path(__file__).read_text()
    for path in (ROOT / "examples").glob("*.py"):
        assert f"]({path.name})" in page
        assert f'"{path.name}"' in tested
