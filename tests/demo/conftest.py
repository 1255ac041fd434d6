"""Distributions made up for a test: real metadata folders on the path, read by the real importlib."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agentflow.demo.findings import Distribution

Install = Callable[..., Distribution]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution that consists of metadata and licence files only."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def installed(name: str, *, version: str = "1.0", headers: str = "", **files: str) -> Distribution:
        folder = site / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{headers}")
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        written = [file.relative_to(site).as_posix() for file in folder.rglob("*") if file.is_file()]
        (folder / "RECORD").write_text("".join(f"{file},,\n" for file in written))
        return Distribution(name=name, version=version)

    return installed
