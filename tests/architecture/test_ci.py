"""CI runs the very command the README tells its readers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def told(folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(folder / ".ci" / "run"), "--test-command"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def checkout(folder: Path, readme: str) -> Path:
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", folder / ".ci" / "run")
    (folder / "README.md").write_text(readme, encoding="utf-8")
    return folder


def test_the_readme_has_a_command_for_ci_to_run() -> None:
    run = told(ROOT)
    assert run.returncode == 0, run.stderr
    assert "-m pytest" in run.stdout


def test_ci_takes_the_block_after_the_marker_and_no_other(tmp_path: Path) -> None:
    readme = (
        "```\nnot && this\n```\n<!-- test-command -->\n\n```bash\ninstall && \\\n  test\n```\n```\nnor && this\n```\n"
    )
    assert told(checkout(tmp_path, readme)).stdout == "install && \\\n  test\n"


def test_a_readme_without_the_marker_stops_ci(tmp_path: Path) -> None:
    run = told(checkout(tmp_path, "```\ninstall && test\n```\n"))
    assert run.returncode == 1
    assert "<!-- test-command -->" in run.stderr
