"""Python files as the architecture tests read them: text and syntax tree, nothing imported."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGES = ("agentflow", "approvals_ui", "schedulers")
EVERYTHING = (*PACKAGES, "tests", "examples", "benchmarks")


@dataclass(frozen=True)
class Source:
    """One Python file below `root`."""

    root: Path
    path: Path

    @property
    def name(self) -> str:
        """The path as a person writes it, from the root."""
        return self.path.relative_to(self.root).as_posix()

    @property
    def module(self) -> str:
        """The dotted name it is imported by."""
        dotted = self.name.removesuffix(".py").replace("/", ".")
        return dotted.removesuffix(".__init__")

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=self.name)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def sources(root: Path, folders: tuple[str, ...] = PACKAGES) -> list[Source]:
    """Every Python file in `folders` of `root`; a folder that is not there yet has none."""
    return [Source(root, path) for folder in folders for path in sorted((root / folder).rglob("*.py"))]
