"""One word for each thing: words that name nothing here, and words the documentation defines."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from typing import TYPE_CHECKING

from tests.architecture.source import PACKAGES, Source, sources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BANNED = frozenset(
    {"job", "workflow", "execution", "process", "handler", "manager", "service", "util", "helper", "common"}
    | {"data", "info", "jobs", "workflows", "executions", "processes", "handlers", "managers", "services", "utils"}
    | {"utilities", "utility", "helpers"}
)
ALLOWED_NAMES = {
    "corrected_data": "an alias of Decision.data in the published API",
    "data": "wait_for_approval(data=...) and Decision.data are the published API; Litestar calls a request's body so",
    "manager": "what `async with` takes is a context manager, in Python's own words",
}
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
TERM = re.compile(r"^\|\s*\*\*(?P<terms>[^*|]+)\*\*")


def banned_names(root: Path) -> list[str]:
    """Modules, classes, functions, arguments, fields and module-level names that use a word which says nothing."""
    found = []
    for source in sources(root, PACKAGES):
        for line, name in _defined(source):
            words = {word.lower() for word in WORD.findall(name)} & BANNED
            if words and name.lower() not in ALLOWED_NAMES:
                found.append(f"{source.name}:{line} {name}: '{min(words)}' is not a name of our things")
    return found


def _defined(source: Source) -> Iterator[tuple[int, str]]:
    yield from ((1, part) for part in source.module.split("."))
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        if isinstance(node, ast.arg):
            yield node.lineno, node.arg
        if isinstance(node, ast.Module | ast.ClassDef):
            yield from _assigned(node)


def _assigned(owner: ast.Module | ast.ClassDef) -> Iterator[tuple[int, str]]:
    for node in owner.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        yield from ((node.lineno, target.id) for target in targets if isinstance(target, ast.Name))


def glossary(page: str) -> list[str]:
    """The terms a page's glossary table defines: the bold words that open a row, split at `·` and `/`."""
    rows = (TERM.match(line) for line in page.splitlines())
    terms = [re.split(r"\s*[·/]\s*", row["terms"]) for row in rows if row]
    return [term.strip() for group in terms for term in group if term.strip()]


def unused_terms(root: Path, page: str) -> list[str]:
    """Terms that no identifier in the code uses: a glossary of words nobody writes misleads."""
    written = {word.lower() for source in sources(root) for name in _identifiers(source) for word in WORD.findall(name)}
    return [term for term in glossary(page) if not {word.lower() for word in WORD.findall(term)} <= written]


def _identifiers(source: Source) -> Iterator[str]:
    tokens = tokenize.generate_tokens(io.StringIO(source.text).readline)
    return (token.string for token in tokens if token.type == tokenize.NAME)
