"""What import-linter does not look at: imports inside functions, cycles within a layer, folders it cannot see."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from tests.architecture.source import PACKAGES, Source, sources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The composition root starts fast because it imports late; an optional integration may find its library absent.
LATE = ("agentflow/cli/", "agentflow/integrations/")

Import = ast.Import | ast.ImportFrom


def hidden_imports(root: Path) -> list[str]:
    """Imports inside functions."""
    return [
        f"{source.name}:{node.lineno} imports inside {function.name}"
        for source in sources(root)
        if not source.name.startswith(LATE)
        for function in source.functions()
        for node in ast.walk(function)
        if isinstance(node, Import)
    ]


def folders_without_init(root: Path) -> list[str]:
    """Folders of modules that are no packages: import-linter does not see what is in them. Alembic wants its own so."""
    folders = {source.path.parent for source in sources(root) if "/migrations/" not in source.name}
    return sorted(folder.relative_to(root).as_posix() for folder in folders if not (folder / "__init__.py").exists())


def cycles(root: Path) -> list[str]:
    """The first cycle among the modules, if there is one. Imports for annotations alone make none."""
    every = {source.module: source for source in sources(root, PACKAGES)}
    graph = {module: set(_imported(source, every)) - {module} for module, source in every.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" -> ".join(reversed(error.args[1]))]
    return []


def _imported(source: Source, every: dict[str, Source]) -> Iterator[str]:
    for node in _run_time_nodes(source.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in every)
        elif isinstance(node, ast.ImportFrom):
            base = _base(source, node)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                if inner in every:
                    yield inner
                elif base in every:
                    yield base


def _base(source: Source, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = source.module.split(".") if source.is_package else source.module.split(".")[:-1]
    parents = package[: len(package) - node.level + 1]
    return ".".join([*parents, node.module] if node.module else parents)


def _run_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _run_time_nodes(node)
