"""What no file of the checkout may hold: a machine's paths, hosts of registries, exceptions without a reason."""

from __future__ import annotations

import io
import re
import subprocess
import tokenize
from typing import TYPE_CHECKING

from tests.architecture.source import EVERYTHING, sources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MACHINE_PATH = re.compile(r"(?<![\w.$~}/-])(?:/(?:root|home|Users|opt|work|mnt)/\w|[A-Z]:\\Users\\)")
REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|yarnpkg\.com|docker\.io|ghcr\.io"
    r"|-{2}(?:(?:extra-)?index-url|trusted-host|find-links|registry\b)"
)
NOQA = re.compile(r"#\s*noqa\b(?P<rest>[^\n]*)", re.IGNORECASE)
REASONED_NOQA = re.compile(r":\s*[A-Z]+\d+(?:\s*,\s*[A-Z]+\d+)*\s+\W*\w.{3,}")
CODE = re.compile(r'"[A-Z]+\d*"')


def files(root: Path) -> list[Path]:
    """What git tracks or would add; without git, everything outside hidden folders."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, capture_output=True, text=True, check=False)
    if listing.returncode:
        every = (path for path in root.rglob("*") if not path.relative_to(root).parts[0].startswith("."))
        return sorted(path for path in every if path.is_file())
    return sorted(path for name in listing.stdout.split("\0") if name and (path := root / name).is_file())


def _lines(root: Path) -> Iterator[tuple[str, str]]:
    for path in files(root):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            yield f"{path.relative_to(root).as_posix()}:{number}", line


def machine_paths(root: Path) -> list[str]:
    """Lines that name a folder of somebody's machine."""
    return [f"{place}: {line.strip()[:100]}" for place, line in _lines(root) if MACHINE_PATH.search(line)]


def registry_hosts(root: Path) -> list[str]:
    """Lines that say where packages come from, which is the business of whoever installs them."""
    return [f"{place}: {line.strip()[:100]}" for place, line in _lines(root) if REGISTRY.search(line)]


def unreasoned_noqa(root: Path) -> list[str]:
    """`noqa` comments without a rule or without a reason."""
    found = []
    for source in sources(root, EVERYTHING):
        for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
            comment = NOQA.search(token.string) if token.type == tokenize.COMMENT else None
            if comment and not REASONED_NOQA.match(comment["rest"]):
                found.append(f"{source.name}:{token.start[0]} {token.string}")
    return found


def unreasoned_ignores(pyproject: str) -> list[str]:
    """Lines of ruff's ignore lists that switch a rule off and do not say why."""
    found, section, in_list = [], "", False
    for number, line in enumerate(pyproject.splitlines(), start=1):
        if line.startswith("["):
            section, in_list = line, False
        per_file = section == "[tool.ruff.lint.per-file-ignores]"
        in_list = per_file or (section == "[tool.ruff.lint]" and (in_list or line.startswith("ignore")))
        setting, _, reason = line.partition("#")
        if in_list and CODE.search(setting) and not reason.strip():
            found.append(f"pyproject.toml:{number} {line.strip()}")
        if not per_file and line.startswith("]"):
            in_list = False
    return found
